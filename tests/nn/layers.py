"""Layers made of the shared families of circuits."""

from __future__ import annotations

import torch
from torch import Tensor

from hybridopt import CircuitLayer
from tests.circuits.families import FAMILIES, CircuitFamily

EXACT_RULES = ("parameter-shift", "adjoint")


def family(name: str) -> CircuitFamily:
    """By its name."""
    return next(one for one in FAMILIES if one.name == name)


def layer_of(circuits: CircuitFamily | str, weights=None, **arguments) -> CircuitLayer:
    """A layer in double precision that reads all observables of a family."""
    known = family(circuits) if isinstance(circuits, str) else circuits
    initial = known.samples()[1] if weights is None else weights
    return CircuitLayer(
        known.circuit,
        known.inputs,
        known.weights,
        list(known.observables),
        initial=torch.as_tensor(initial).double(),
        **arguments,
    )


def tensors(name: str, batch: int = 3) -> tuple[Tensor, Tensor]:
    """Inputs and weights of a family, both requiring a gradient."""
    rows, weights = family(name).samples(batch)
    return torch.tensor(rows, requires_grad=True), torch.tensor(weights, requires_grad=True)


def function_of(layer: CircuitLayer):
    """The layer as a function of inputs and weights."""

    def function(x: Tensor, weight: Tensor) -> Tensor:
        return torch.func.functional_call(layer, {"weight": weight}, (x,))

    return function
