"""All tensors of a module by name, their bytes, and the state of the module."""

from __future__ import annotations

import io
from typing import Any

import torch
from torch import Tensor, nn

from hybridopt._copies import compute_weights
from hybridopt.bridges.readout_cache import HasReadoutCache
from hybridopt.errors import CheckpointError
from hybridopt.nn.frozen_state import marks_of, put_marks


def tensors_of(module: nn.Module) -> dict[str, Tensor]:
    """Return parameters and buffers by all their names, also those outside the state_dict."""
    return {
        **dict(module.named_parameters(remove_duplicate=False)),
        **dict(module.named_buffers(remove_duplicate=False)),
    }


def to_bytes(tensors: dict[str, Tensor]) -> bytes:
    """Return bytes for `torch.load(weights_only=True)`; shared tensors are written once."""
    copies = {
        key: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for key, tensor in {id(tensor): tensor for tensor in tensors.values()}.items()
    }
    raw = io.BytesIO()
    torch.save({name: copies[id(tensor)] for name, tensor in tensors.items()}, raw)
    return raw.getvalue()


def from_bytes(content: bytes) -> dict[str, Tensor]:
    """Return the tensors without running code from the file."""
    try:
        tensors: dict[str, Tensor] = torch.load(io.BytesIO(content), weights_only=True)
    except Exception as error:  # the message of torch advises to run code from the file
        raise ValueError(f"torch cannot read the tensors: {type(error).__name__}") from error
    return tensors


def ties_in(module: nn.Module) -> list[list[str]]:
    """Return groups of names that share one parameter."""
    names: dict[nn.Parameter, list[str]] = {}
    for name, parameter in module.named_parameters(remove_duplicate=False):
        names.setdefault(parameter, []).append(name)
    return [group for group in names.values() if len(group) > 1]


def tie(module: nn.Module, groups: list[list[str]]) -> None:
    """Make each group of names share its first parameter."""
    for first, *others in groups:
        parameter = module.get_parameter(first)
        for name in others:
            owner, _, attribute = name.rpartition(".")
            setattr(module.get_submodule(owner), attribute, parameter)


def state_of(module: nn.Module) -> dict[str, Any]:
    """Return trainable parameters, modes and marks for `put_state`."""
    named = module.named_parameters(remove_duplicate=False)
    return {
        "trainable": {name: parameter.requires_grad for name, parameter in named},
        "modes": {name: child.training for name, child in module.named_modules()},
        "marks": marks_of(module),
    }


def put_state(module: nn.Module, stored: dict[str, Any], tensors: dict[str, Tensor]) -> None:
    """Set tensors with their dtypes, trainable parameters, modes and marks of a module."""
    own = tensors_of(module)
    for name in sorted({*own, *tensors}):
        shapes = [tuple(t[name].shape) if name in t else "missing" for t in (tensors, own)]
        if shapes[0] != shapes[1]:
            raise CheckpointError(
                f"`{name}` must have shape {shapes[1]} (the file has {shapes[0]}). Load the file "
                "with the version that wrote it."
            )
    for name, tensor in own.items():
        tensor.data = tensors[name]  # keeps shared tensors shared
    put_marks(module, stored["marks"])
    for name, parameter in module.named_parameters(remove_duplicate=False):
        parameter.requires_grad_(stored["trainable"][name])
    for name, child in module.named_modules():
        child.training = stored["modes"].get(name, child.training)
    compute_weights(module)


def readings_of(module: nn.Module) -> dict[str, Tensor]:
    """Return cached readouts with shots by module and name, because they cannot be repeated."""
    return {
        f"{path}:{name}": tensor
        for path, part in module.named_modules()
        if isinstance(part, HasReadoutCache)
        and getattr(getattr(part, "executor", None), "shots", None) is not None
        for name, tensor in part.cached_readout().items()
    }


def put_readings(module: nn.Module, stored: dict[str, Tensor]) -> None:
    """Restore the cached readouts of `readings_of`."""
    for path, part in module.named_modules():
        keys = [key for key in stored if key.rpartition(":")[0] == path]
        if keys and isinstance(part, HasReadoutCache):
            part.restore_readout({key.rpartition(":")[2]: stored[key] for key in keys})
