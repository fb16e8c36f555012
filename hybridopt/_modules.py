"""Checks, modes, precision and meta passes of torch modules."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from hybridopt import _validation
from hybridopt._inputs import Inputs, call, map_inputs
from hybridopt.errors import ArgumentError, ArgumentTypeError, ConversionError, HybridOptError

WRAPPERS = {  # attribute with the module inside, by class
    "OptimizedModule": "`compiled._orig_mod`",
    "DataParallel": "`wrapper.module`",
    "DistributedDataParallel": "`wrapper.module`",
    "FullyShardedDataParallel": "`wrapper.module`",
}


def check_module(module: object, name: str = "network") -> nn.Module:
    """Return the module; raise `ArgumentTypeError` for other types."""
    checked: nn.Module = _validation.instance(name, module, nn.Module, "a torch.nn.Module")
    return checked


def check_not_scripted(network: nn.Module) -> None:
    """Raise an error for TorchScript, whose layers are not Python objects."""
    for name, module in network.named_modules():
        if isinstance(module, torch.jit.ScriptModule):
            raise ConversionError(
                f"`network` must not be a TorchScript module (got {_place(name, module)}). Pass "
                "the original network after `load_state_dict(compiled.state_dict())`, and "
                "compile the result of `to_classical`."
            )


def check_unwrapped(network: nn.Module) -> None:
    """Raise an error for wrappers that compile a network or divide it between processes."""
    check_not_scripted(network)
    for name, module in network.named_modules():
        attribute = next((a for kind, a in WRAPPERS.items() if _is_a(module, kind)), None)
        if isinstance(module, nn.DataParallel) and len(module.device_ids) < 2:
            continue  # it only calls its module
        if attribute is not None:
            raise ConversionError(
                f"`network` must not be wrapped (got {_place(name, module)}). Pass the module "
                f"inside it, {attribute}, and wrap the result."
            )
    for name, parameter in network.named_parameters():
        if _is_a(parameter.data, "DTensor"):
            raise ConversionError(
                f"Parameter `{name}` must be on one device (got a DTensor). Pass the network "
                "before `fully_shard` or `parallelize_module`."
            )


def _is_a(value: object, kind: str) -> bool:
    """Return whether a class has this name, without an import of its package."""
    return any(base.__name__ == kind for base in type(value).__mro__)


def _place(name: str, module: nn.Module) -> str:
    return f"layer `{name}` ({type(module).__name__})" if name else type(module).__name__


def given_input(x: Tensor | None, width: int) -> Tensor:
    """Return the input of a module; raise ArgumentTypeError if it is missing."""
    if x is None:
        raise ArgumentTypeError(
            f"The input must be a tensor of shape (n, {width}) for n samples (got none). Pass "
            f"{'samples' if width else 'torch.zeros(n, 0), without input parameters'}."
        )
    return x


def check_samples(x: object, width: int, owner: str, column: str) -> None:
    """Check for a dense batch of rows of ``width`` real numbers, one per ``column``."""
    if not isinstance(x, Tensor) or not x.is_floating_point() or x.layout != torch.strided:
        kind = f"{x.dtype}, {x.layout}" if isinstance(x, Tensor) else type(x).__name__
        raise ArgumentTypeError(
            f"The input of {owner} must be a dense tensor of real floating point numbers "
            f"(got {kind}). Convert it: `torch.as_tensor(x).float()`."
        )
    if torch._C._get_tracing_state() is not None:
        return  # in TorchScript's trace, lengths are tensors
    if x.ndim == 0 or x.shape[-1] != width:
        raise ArgumentError(
            f"The input of {owner} must have shape (..., {width}), one column per {column} "
            f"(got shape {tuple(x.shape)})."
        )


def keep_dtype(
    fn: Callable[[Tensor], Tensor], exact: Iterable[Tensor]
) -> Callable[[Tensor], Tensor]:
    """Return a function for `nn.Module._apply` that moves ``exact`` tensors without a cast."""
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


def run_on_meta(network: nn.Module, x: Inputs) -> object:
    """Run a forward pass on the meta device, without circuits and changes of the network."""
    tensors = {}
    for prefix, module in network.named_modules():  # each once, even if it occurs twice
        for name, tensor in (
            *module.named_parameters(recurse=False, remove_duplicate=False),
            *module.named_buffers(recurse=False, remove_duplicate=False),
        ):
            tensors[f"{prefix}.{name}" if prefix else name] = _empty_like(tensor)

    # with tied weights torch (2.13) restores the tensors of a repeated module only once
    def run(*args: Tensor, **kwargs: Tensor) -> object:
        return torch.func.functional_call(network, tensors, args, kwargs, tie_weights=False)

    return call(run, map_inputs(_empty_like, x))


def _empty_like(tensor: Tensor) -> Tensor:
    return torch.empty_like(tensor, device="meta").requires_grad_(tensor.requires_grad)


@contextmanager
def evaluation_mode(network: nn.Module) -> Iterator[None]:
    """Put a network in evaluation mode for a block, then restore the mode of each module."""
    modes = {module: module.training for module in network.modules()}
    network.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def check_has_values(network: nn.Module, error: type[HybridOptError]) -> None:
    """Raise an error for the first parameter or buffer without shape or values."""
    parameters, buffers = network.named_parameters(), network.named_buffers()
    for kind, tensors in (("Parameter", parameters), ("Buffer", buffers)):
        for name, tensor in tensors:
            if is_lazy(tensor):
                raise error(
                    f"{kind} `{name}` must have a shape. Run the lazy network on one batch first."
                )
            if tensor.is_meta:
                raise error(
                    f"{kind} `{name}` must have values (got the meta device). Load them, or create "
                    "the network on another device."
                )
