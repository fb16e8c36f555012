"""Work on torch modules as such: checks, copies, modes, precision, passes on the meta device."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from hybridopt.errors import ArgumentError, ArgumentTypeError, ConversionError, HybridOptError


def check_module(module: object, name: str = "network") -> nn.Module:
    """Return the module; `ArgumentTypeError` if it is none."""
    if isinstance(module, nn.Module):
        return module
    shown = f"of type {type(module).__name__}"
    if isinstance(module, type):
        shown = f"the class {module.__name__} itself. Make one of it: {module.__name__}(...)"
    raise ArgumentTypeError(f"Argument `{name}` must be a torch.nn.Module, but is {shown}.")


def check_samples(x: object, width: int, owner: str, column: str) -> None:
    """Refuse what is no dense batch of rows of ``width`` real numbers, each for one ``column``."""
    if not isinstance(x, Tensor) or not x.is_floating_point() or x.layout != torch.strided:
        kind = f"{x.dtype}, {x.layout}" if isinstance(x, Tensor) else type(x).__name__
        raise ArgumentTypeError(
            f"The input of {owner} must be a dense tensor of real floating point "
            f"numbers, but is of type {kind}. Convert it: `torch.as_tensor(x).float()`."
        )
    if x.ndim == 0 or x.shape[-1] != width:
        raise ArgumentError(
            f"The input must have shape (..., {width}), one column for each {column}, but has "
            f"shape {tuple(x.shape)}."
        )


def copy_module(
    module: nn.Module, memo: dict[int, Any] | None = None, *, user: str = "A bridge"
) -> nn.Module:
    """Copy a module for a ``user``, with others in the place of some of its parts.

    ``memo`` holds them by the id of the part, as `copy.deepcopy` takes it. `ConversionError` says
    that the module cannot be copied.
    """
    try:
        return copy.deepcopy(module, memo)
    except Exception as error:
        raise ConversionError(
            f"The network {type(module).__name__} cannot be copied ({error}). {user} works on a "
            "copy, so `copy.deepcopy(network)` must work; keep no computed tensors in it (a pruned "
            "network: `torch.nn.utils.prune.remove`)."
        ) from error


def keep_dtype(
    fn: Callable[[Tensor], Tensor], exact: Iterable[Tensor]
) -> Callable[[Tensor], Tensor]:
    """Return what `nn.Module._apply` is given, but ``exact`` tensors are moved and never cast."""
    exact = list(exact)
    kept = {id(tensor) for tensor in (*exact, *(t.grad for t in exact if t.is_leaf))}

    def move(tensor: Tensor) -> Tensor:
        moved = fn(tensor)
        if id(tensor) not in kept or moved.dtype == tensor.dtype:
            return moved
        if tensor.is_meta or moved.is_meta:
            return torch.empty_like(tensor, device=moved.device)
        return tensor.to(moved.device)

    return move


def run_on_meta(network: nn.Module, x: Tensor) -> object:
    """Run a forward pass on torch's meta device: no circuit runs and no weight is touched.

    The caller decides by `torch.set_grad_enabled` whether it is that of a training step. Torch's
    own errors tell that shapes do not fit, or that an operation has no meta form.
    """
    tensors = {}
    for prefix, module in network.named_modules():  # each once, though it may stand at two places
        for name, tensor in (
            *module.named_parameters(recurse=False, remove_duplicate=False),
            *module.named_buffers(recurse=False, remove_duplicate=False),
        ):
            tensors[f"{prefix}.{name}" if prefix else name] = _empty_like(tensor)
    # tied, torch (2.13) would put the tensors of a module at two places back but once
    return torch.func.functional_call(network, tensors, (_empty_like(x),), tie_weights=False)


def _empty_like(tensor: Tensor) -> Tensor:
    return torch.empty_like(tensor, device="meta").requires_grad_(tensor.requires_grad)


@contextmanager
def evaluation_mode(network: nn.Module) -> Iterator[None]:
    """Put a network in evaluation mode for a block, then give each module its own mode back."""
    modes = {module: module.training for module in network.modules()}
    network.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def check_has_values(network: nn.Module, error: type[HybridOptError]) -> None:
    """Raise an error for the first parameter or buffer without a shape or without numbers."""
    parameters, buffers = network.named_parameters(), network.named_buffers()
    for kind, tensors in (("Parameter", parameters), ("Buffer", buffers)):
        for name, tensor in tensors:
            if is_lazy(tensor):
                raise error(
                    f"{kind} `{name}` has no shape yet. Run the lazy network on one batch first."
                )
            if tensor.is_meta:
                raise error(
                    f"{kind} `{name}` is on the meta device and has no values. Load them, or make "
                    "the network without it."
                )
