"""All tensors of a module by name: out of it, into bytes, and back bit by bit."""

from __future__ import annotations

import io
from typing import Any

import torch
from torch import Tensor, nn

from hybridopt.bridges.readout_cache import HasReadoutCache
from hybridopt.errors import CheckpointError
from hybridopt.nn.frozen_state import marks_of, put_marks


def tensors_of(module: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers under all their names, those that no state_dict shows included."""
    return {
        **dict(module.named_parameters(remove_duplicate=False)),
        **dict(module.named_buffers(remove_duplicate=False)),
    }


def to_bytes(tensors: dict[str, Tensor]) -> bytes:
    """Tensors as `torch.load(weights_only=True)` reads them; what is shared is written once."""
    copies = {
        key: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for key, tensor in {id(tensor): tensor for tensor in tensors.values()}.items()
    }
    raw = io.BytesIO()
    torch.save({name: copies[id(tensor)] for name, tensor in tensors.items()}, raw)
    return raw.getvalue()


def from_bytes(content: bytes) -> dict[str, Tensor]:
    """The tensors again, without running any code in them."""
    try:
        tensors: dict[str, Tensor] = torch.load(io.BytesIO(content), weights_only=True)
    except Exception as error:  # torch's own words advise to run what stands in the file
        raise ValueError(f"its tensors cannot be read, a {type(error).__name__}") from error
    return tensors


def ties_in(module: nn.Module) -> list[list[str]]:
    """Names that share one parameter, where there are several."""
    names: dict[nn.Parameter, list[str]] = {}
    for name, parameter in module.named_parameters(remove_duplicate=False):
        names.setdefault(parameter, []).append(name)
    return [group for group in names.values() if len(group) > 1]


def tie(module: nn.Module, groups: list[list[str]]) -> None:
    """Let each group of names share its first parameter."""
    for first, *others in groups:
        parameter = module.get_parameter(first)
        for name in others:
            owner, _, attribute = name.rpartition(".")
            setattr(module.get_submodule(owner), attribute, parameter)


def state_of(module: nn.Module) -> dict[str, Any]:
    """What `put_state` takes beside the tensors."""
    named = module.named_parameters(remove_duplicate=False)
    return {
        "trainable": {name: parameter.requires_grad for name, parameter in named},
        "modes": {name: child.training for name, child in module.named_modules()},
        "marks": marks_of(module),
    }


def put_state(module: nn.Module, stored: dict[str, Any], tensors: dict[str, Tensor]) -> None:
    """Give a module of the same tensors those stored, precision included, marks and modes."""
    own = tensors_of(module)
    for name in sorted({*own, *tensors}):
        shapes = [tuple(t[name].shape) if name in t else "missing" for t in (tensors, own)]
        if shapes[0] != shapes[1]:
            raise CheckpointError(
                f"`{name}` is {shapes[0]} in the file and {shapes[1]} in the network made from it. "
                "The file was written by another version; load it with that one."
            )
    for name, tensor in own.items():
        tensor.data = tensors[name]  # what is shared stays shared
    put_marks(module, stored["marks"])
    for name, parameter in module.named_parameters(remove_duplicate=False):
        parameter.requires_grad_(stored["trainable"][name])
    for name, child in module.named_modules():
        child.training = stored["modes"].get(name, child.training)


def readings_of(module: nn.Module) -> dict[str, Tensor]:
    """What modules read with shots and use again, by module and name: no run gives it again."""
    return {
        f"{path}:{name}": tensor
        for path, part in module.named_modules()
        if isinstance(part, HasReadoutCache)
        and getattr(getattr(part, "executor", None), "shots", None) is not None
        for name, tensor in part.cached_readout().items()
    }


def put_readings(module: nn.Module, stored: dict[str, Tensor]) -> None:
    """Let modules remember what `readings_of` found."""
    by_path: dict[str, dict[str, Tensor]] = {}
    for key, tensor in stored.items():
        path, _, name = key.rpartition(":")
        by_path.setdefault(path, {})[name] = tensor
    for path, read in by_path.items():
        part = module.get_submodule(path)
        assert isinstance(part, HasReadoutCache)
        part.restore_readout(read)
