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
from hybridopt.errors import ConversionError, DataError, HybridOptError
from hybridopt.nn import CircuitLayer
from hybridopt.nn.parameter_map import is_transformed

UNFIT = (RuntimeError, ValueError, TypeError, IndexError, AssertionError, AttributeError)


class InputValidation:
    """Record of accepted kinds of inputs: dtypes, and all lengths but the first."""

    def __init__(self) -> None:
        self._accepted: set[object] = set()

    def __getstate__(self) -> dict[str, object]:
        return {"_accepted": set()}  # kinds may hold local types, which cannot be pickled

    def check(
        self,
        plain: Callable[[], nn.Module],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        fixed: Mapping[str, Tensor],
    ) -> None:
        """Raise a DataError if the network, copied by `plain`, cannot take the inputs.

        Raise a ConversionError if its outputs depend on the ``fixed`` entries of parameters, masks
        by name, in a way that torch would train.
        """
        kind = _kind((args, dict(kwargs)))
        on_meta = (isinstance(v, Tensor) and v.is_meta for v in (*args, *kwargs.values()))
        if kind not in self._accepted and not any(on_meta):
            _try(plain(), args, kwargs, fixed)
            self._accepted.add(kind)


@torch.no_grad()  # not on torch's meta device, which checks neither dtypes nor token numbers
def _try(
    network: nn.Module,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    fixed: Mapping[str, Tensor],
) -> None:
    silence_circuits(network)
    try:
        with isolated(0), torch.set_grad_enabled(bool(fixed)):
            outputs = network(*args, **kwargs)
            _check_fixed(network, _tensors(outputs), fixed)
    except HybridOptError:
        raise
    except UNFIT as error:
        given = ", ".join(_words(value) for value in (*args, *kwargs.values())) or "no input"
        raise DataError(
            f"Inputs of {type(network).__name__} must fit the plain network (got {given}). "
            f"{_validation.first_line(error)}"
        ) from error


def _check_fixed(network: nn.Module, outputs: list[Tensor], fixed: Mapping[str, Tensor]) -> None:
    """Raise an error if the outputs have a derivative with respect to fixed entries."""
    trained = [t for t in outputs if t.requires_grad and not is_transformed(t)]
    if not fixed or not trained:
        return
    factors = (torch.arange(1.0, t.numel() + 1, device=t.device).sqrt().cos() for t in trained)
    pairs = zip(trained, factors, strict=True)  # no random numbers, which `torch.vmap` forbids
    total = torch.stack([(t.reshape(-1) * f.to(t.dtype)).sum().abs() for t, f in pairs]).sum()
    parameters = [network.get_parameter(name) for name in fixed]
    slopes = torch.autograd.grad(total, parameters, allow_unused=True)
    for (name, mask), slope in zip(fixed.items(), slopes, strict=True):
        if slope is not None and bool((slope[mask.to(slope.device)] != 0).any()):
            raise ConversionError(
                f"The padding row of `{name}` must have no gradient, because it has no angles. "
                "Tie weights by a layer, as in `head.weight = embedding.weight`, or make the "
                "embedding without `padding_idx`."
            )


def _tensors(value: object) -> list[Tensor]:
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, tuple | list):
        return [tensor for item in value for tensor in _tensors(item)]
    return [value] if isinstance(value, Tensor) else []


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
