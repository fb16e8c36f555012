"""All tensors of a module by name, their bytes, and the state of the module."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from hybridopt._copies import compute_weights
from hybridopt.bridges.readout_cache import HasReadoutCache
from hybridopt.errors import CheckpointError, ConversionError
from hybridopt.nn.frozen_state import marks_of, put_marks
from hybridopt.storage.torch_file import StoredTensor, TorchFile, dump


def tensors_of(module: nn.Module) -> dict[str, Tensor]:
    """Return parameters and buffers by all their names, also those outside the state_dict."""
    return {
        **dict(module.named_parameters(remove_duplicate=False)),
        **dict(module.named_buffers(remove_duplicate=False)),
    }


def to_bytes(tensors: dict[str, Tensor]) -> bytes:
    """Return bytes for `from_bytes` and `torch.load`; shared tensors are written once.

    Raises:
        ConversionError: If a tensor is not dense, or its values cannot be read again.
    """
    copies: dict[int, Tensor] = {}
    for name, tensor in tensors.items():
        if tensor.layout is not torch.strided or tensor.is_quantized or tensor.is_meta:
            raise ConversionError(f"`{name}` must be a dense tensor with values to be stored.")
        if problem := invalid_values(tensor, tensor):
            raise ConversionError(f"`{name}` must not have {problem} to be stored. Train again.")
        copies.setdefault(
            id(tensor), tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        )
    return dump({name: copies[id(tensor)] for name, tensor in tensors.items()})


def from_bytes(content: bytes) -> StoredTensors:
    """Return descriptions of the tensors; no code from the file is run."""
    file = TorchFile(io.BytesIO(content))
    tensors = file.value
    if not isinstance(tensors, dict) or not all(
        isinstance(name, str) and isinstance(one, StoredTensor) for name, one in tensors.items()
    ):
        raise ValueError("a file of tensors has other values")
    return StoredTensors(file, tensors)


@dataclass(frozen=True)
class StoredTensors:
    """Tensors of a file by name, not made yet."""

    file: TorchFile
    tensors: dict[str, StoredTensor]

    @property
    def size(self) -> int:
        """Number of elements of all tensors."""
        return sum(tensor.size for tensor in self.tensors.values())

    def check(self, own: dict[str, Tensor]) -> None:
        """Raise an error if names, shapes or kinds of numbers differ from those of a module."""
        for name in sorted({*own, *self.tensors}):
            shapes = [tuple(t[name].shape) if name in t else "missing" for t in (self.tensors, own)]
            if shapes[0] != shapes[1]:
                raise CheckpointError(
                    f"`{name}` must have shape {shapes[1]} (the file has {shapes[0]}). Load the "
                    "file with the version that wrote it."
                )
            kinds = [t[name].dtype for t in (self.tensors, own)]
            if _is_real_or_complex(kinds[0]) != _is_real_or_complex(kinds[1]):
                raise CheckpointError(
                    f"`{name}` must have values of {kinds[1]} (the file has {kinds[0]}). Save the "
                    "network again."
                )

    def made(self, name: str, own: Tensor | None = None) -> Tensor:
        """Return a tensor for the place of an own one."""
        tensor = self.file.tensor(self.tensors[name])
        if problem := invalid_values(tensor, tensor if own is None else own):
            raise CheckpointError(
                f"`{name}` must not have {problem}. Save the network again after training."
            )
        return tensor


def invalid_values(values: Tensor, place: Tensor) -> str | None:
    """Return the kind of values that a tensor must not have, or None.

    Parameters must be finite. Buffers may have inf, as attention masks do.
    """
    if isinstance(place, nn.Parameter):
        return None if bool(values.isfinite().all()) else "NaN or inf"
    return "NaN" if bool(values.isnan().any()) else None


def _is_real_or_complex(dtype: torch.dtype) -> bool:
    return dtype.is_floating_point or dtype.is_complex


def ties_in(module: nn.Module) -> list[list[str]]:
    """Return groups of names that share one parameter."""
    names: dict[nn.Parameter, list[str]] = {}
    for name, parameter in module.named_parameters(remove_duplicate=False):
        names.setdefault(parameter, []).append(name)
    return [group for group in names.values() if len(group) > 1]


def tie(module: nn.Module, groups: list[list[str]]) -> None:
    """Make each group of names share its first parameter."""
    names = [name for group in groups for name in group]
    if len(set(names)) < len(names):
        raise CheckpointError("A weight of the file is shared with itself. Save the network again.")
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


def give_memory(module: nn.Module) -> None:
    """Replace the tensors without values of a module by tensors with arbitrary values."""
    module._apply(  # type: ignore[no-untyped-call]
        lambda tensor: torch.empty(tensor.shape, dtype=tensor.dtype) if tensor.is_meta else tensor
    )


def put_state(module: nn.Module, stored: dict[str, Any], tensors: StoredTensors) -> None:
    """Set tensors with their dtypes, trainable parameters, modes and marks of a module."""
    own = tensors_of(module)
    tensors.check(own)
    made = {name: tensors.made(name, tensor) for name, tensor in own.items()}
    for name, tensor in own.items():
        tensor.data = made[name]  # keeps shared tensors shared
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


def put_readings(module: nn.Module, stored: StoredTensors) -> None:
    """Restore the cached readouts of `readings_of`."""
    for path, part in module.named_modules():
        keys = [key for key in stored.tensors if key.rpartition(":")[0] == path]
        if keys and isinstance(part, HasReadoutCache):
            part.restore_readout({key.rpartition(":")[2]: stored.made(key) for key in keys})
