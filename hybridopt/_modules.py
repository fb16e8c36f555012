"""The check that what should be a network is one, in the same words wherever one is taken."""

from __future__ import annotations

from torch import nn

from hybridopt.errors import ArgumentTypeError


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
