"""What tells one run from another: short texts that follow from data, weights and settings."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import partial
from types import CodeType
from typing import Any

import torch
from torch import nn

from hybridopt.data import Dataset
from hybridopt.execution import Executor


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


def loss_text(loss: object) -> str | None:
    """A loss in words that change with its options, tensors and code; None is the default."""
    if loss is None:
        return None
    name = str(getattr(loss, "__qualname__", type(loss).__qualname__))
    if isinstance(loss, partial):
        return f"{loss_text(loss.func)} {loss.args} {sorted(loss.keywords.items())}"
    if isinstance(loss, nn.Module):
        options = [_options(module) for module in loss.modules()]
        return f"{name} {key_of({'options': options})} {hash_of(loss.state_dict())}"
    code = getattr(loss, "__code__", None)
    return name if code is None else f"{name} {key_of(_content(code))}"


def executor_text(executor: Executor) -> str:
    """An executor in words, the numbers of its noise among them."""
    noise = getattr(executor, "noise", None)
    if noise is None:
        return repr(executor)
    content = noise.model.to_dict(serializable=True)
    for error in content["errors"]:
        error.pop("id", None)  # drawn anew for each model
    return f"{executor!r} {key_of(content)}"


def _options(module: nn.Module) -> dict[str, Any]:
    """The options that torch's modules keep as plain attributes, such as ``label_smoothing``."""
    plain = (bool, int, float, str, tuple)
    options = {key: value for key, value in vars(module).items() if isinstance(value, plain)}
    return {"class": type(module).__qualname__, **options}


def _content(code: CodeType) -> dict[str, Any]:
    """What a function does, but for the values that it finds outside."""
    constants = [_content(c) if isinstance(c, CodeType) else c for c in code.co_consts]
    return {"steps": code.co_code.hex(), "names": code.co_names, "constants": constants}
