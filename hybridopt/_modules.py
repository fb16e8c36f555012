"""Checks, copies and modes of torch modules, in one way for the whole package."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from torch.nn.parameter import is_lazy

from hybridopt.errors import ArgumentTypeError, HybridOptError


def check_module(module: object, name: str = "network") -> None:
    """Refuse what is no torch module.

    Args:
        module: What was given.
        name: Of the argument.

    Raises:
        ArgumentTypeError: Naming argument and type.
    """
    if isinstance(module, type) and issubclass(module, nn.Module):
        raise ArgumentTypeError(
            f"Argument `{name}` must be a torch.nn.Module, but is the class {module.__name__} "
            f"itself. Make one of it: {module.__name__}(...)."
        )
    if not isinstance(module, nn.Module):
        raise ArgumentTypeError(
            f"Argument `{name}` must be a torch.nn.Module, but is of type {type(module).__name__}."
        )


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
