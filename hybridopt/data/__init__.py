"""Datasets by name, or from tensors and arrays of the user."""

from __future__ import annotations

from hybridopt.data.coerce import as_dataset
from hybridopt.data.dataset import Dataset, Part
from hybridopt.data.load import dataset_names, load_dataset

__all__ = ["Dataset", "Part", "as_dataset", "dataset_names", "load_dataset"]
