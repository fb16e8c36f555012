"""Inputs of a new kind are tried on the plain network before a circuit runs for them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from hybridopt import _validation
from hybridopt._modules import run_on_meta
from hybridopt._random import isolated
from hybridopt.errors import DataError, HybridOptError
from hybridopt.nn import CircuitLayer

UNFIT = (RuntimeError, ValueError, TypeError, IndexError, AssertionError, AttributeError)


class InputValidation:
    """Remembers what kinds of inputs a network takes: dtypes, and all lengths but the first.

    A kind costs one forward pass of a plain copy (the meta device minds no dtypes and no range of
    tokens), in which circuit layers answer 0. Nothing of the network changes, no random number is
    drawn, and no circuit runs.
    """

    def __init__(self) -> None:
        self._taken: set[object] = set()

    def __getstate__(self) -> dict[str, object]:
        return {"_taken": set()}  # kinds may hold types that have no name

    def check(
        self, plain: Callable[[], nn.Module], args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> None:
        """Refuse by a DataError inputs that the network, copied by `plain`, cannot take."""
        kind = _kind((args, dict(kwargs)))
        on_meta = (isinstance(v, Tensor) and v.is_meta for v in (*args, *kwargs.values()))
        if kind in self._taken or any(on_meta):
            return
        _try(plain(), args, kwargs)
        self._taken.add(kind)


@torch.no_grad()
def _try(network: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    for layer in network.modules():
        if isinstance(layer, CircuitLayer):
            layer.forward = partial(_zeros, copy.deepcopy(layer))  # type: ignore[method-assign]
    with isolated(0):
        try:
            network(*args, **kwargs)
        except HybridOptError:
            raise
        except UNFIT as error:
            given = ", ".join(_words(value) for value in (*args, *kwargs.values())) or "no input"
            raise DataError(
                f"The network {type(network).__name__} cannot take {given}: "
                f"{_validation.first_line(error)} Give it what the plain network takes."
            ) from error


def _zeros(layer: CircuitLayer, x: Tensor) -> Tensor:
    """In the place of a circuit layer's `forward`: its shapes and its refusals, but no run."""
    outputs = run_on_meta(layer, x)
    assert isinstance(outputs, Tensor)
    return torch.zeros(outputs.shape, dtype=outputs.dtype, device=x.device)


def _kind(value: object) -> object:
    if isinstance(value, Tensor):
        return (value.ndim, tuple(value.shape[1:]), value.dtype, value.device.type)
    if isinstance(value, tuple | list):
        return (type(value).__name__, *map(_kind, value))
    if isinstance(value, Mapping):
        return tuple((str(key), _kind(item)) for key, item in value.items())
    return type(value)


def _words(value: object) -> str:
    if isinstance(value, Tensor):
        dtype = str(value.dtype).removeprefix("torch.")
        return f"a tensor of shape {tuple(value.shape)} and {dtype}"
    return f"a {type(value).__name__}"
