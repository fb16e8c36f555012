"""What tells one run from another: short texts that follow from data, weights and settings."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from hybridopt.data import Dataset
from hybridopt.execution import AerExecutor, Executor


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
        digest.update(name.encode())
        if isinstance(tensor, torch.Tensor):
            flat = tensor.detach().cpu().contiguous().reshape(-1)
            digest.update(f"{tensor.dtype}{tuple(tensor.shape)}".encode())
            digest.update(flat.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]


def name_of(thing: object) -> str | None:
    """A loss or function in words that do not change from run to run."""
    if thing is None:
        return None
    return (
        thing.extra_repr() + type(thing).__qualname__
        if isinstance(thing, nn.Module)
        else str(getattr(thing, "__qualname__", type(thing).__qualname__))
    )


def executor_text(source: Executor | Callable[[int], Executor] | None) -> str:
    """An executor in words."""
    return (
        repr(AerExecutor())
        if source is None
        else (repr(source) if isinstance(source, Executor) else str(name_of(source)))
    )
