"""Trial of new kinds of inputs on the plain network, before a circuit runs for them."""

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
    """Record of accepted kinds of inputs: dtypes, and all lengths but the first."""

    def __init__(self) -> None:
        self._accepted: set[object] = set()

    def __getstate__(self) -> dict[str, object]:
        return {"_accepted": set()}  # kinds may hold local types, which cannot be pickled

    def check(
        self, plain: Callable[[], nn.Module], args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> None:
        """Raise a DataError if the network, copied by `plain`, cannot take the inputs."""
        kind = _kind((args, dict(kwargs)))
        on_meta = (isinstance(v, Tensor) and v.is_meta for v in (*args, *kwargs.values()))
        if kind not in self._accepted and not any(on_meta):
            _try(plain(), args, kwargs)
            self._accepted.add(kind)


@torch.no_grad()  # not on torch's meta device, which checks neither dtypes nor token numbers
def _try(network: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    silence_circuits(network)
    try:
        with isolated(0):
            network(*args, **kwargs)
    except HybridOptError:
        raise
    except UNFIT as error:
        given = ", ".join(_words(value) for value in (*args, *kwargs.values())) or "no input"
        raise DataError(
            f"Inputs of {type(network).__name__} must fit the plain network (got {given}). "
            f"{_validation.first_line(error)}"
        ) from error


def silence_circuits(network: nn.Module) -> None:
    """Let the circuit layers of a copy return zeros, without a run."""
    for layer in network.modules():
        if isinstance(layer, CircuitLayer):
            layer.forward = partial(_zeros, copy.deepcopy(layer))  # type: ignore[method-assign]


def _zeros(layer: CircuitLayer, x: Tensor) -> Tensor:
    """Return zeros in the shape of a circuit layer's outputs, after its checks."""
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
