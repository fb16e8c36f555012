"""What tells one run from another: short texts that follow from data, weights and settings."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import torch

from hybridopt.compare.run_key import digest_of_content, tensor_text
from hybridopt.data import Dataset
from hybridopt.nn.network_spec import network_file


def key_of(settings: Mapping[str, Any]) -> str:
    """Sixteen hexadecimal digits that follow from the settings of a run."""
    text = json.dumps(settings, sort_keys=True, default=repr)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def digest_of(data: Dataset) -> str:
    """Of all samples."""
    tensors = {}
    for label, part in data.parts():
        tensors[f"{label}.x"], tensors[f"{label}.y"] = part.x, part.y
    return hash_of(tensors)


def hash_of(tensors: Mapping[str, Any]) -> str:
    """Of names, dtypes, shapes and values."""
    digest = hashlib.sha256()
    for name, tensor in tensors.items():
        if isinstance(tensor, torch.Tensor):
            digest.update(f"{name} {tensor_text(tensor)}".encode())
    return digest.hexdigest()[:16]


def loss_text(loss: object) -> str | None:
    """A loss in words that change with its options, tensors and code; None is the default."""
    if loss is None:
        return None
    name = str(getattr(loss, "__qualname__", type(loss).__qualname__))
    return f"{name} {digest_of_content(loss)}"


def source_text(source: object) -> str | None:
    """The digest of the file that a network is taken from; None where there is none."""
    file = network_file(source) if isinstance(source, str) else None
    if file is None or not file.is_file():
        return None
    return hashlib.sha256(file.read_bytes()).hexdigest()[:16]
