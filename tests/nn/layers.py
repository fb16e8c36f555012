"""Circuit layers made of the shared families of circuits."""

from __future__ import annotations

import torch
from torch import Tensor

from hybridopt import CircuitLayer
from tests.circuits.families import FAMILIES, CircuitFamily

EXACT_RULES = ("parameter-shift", "adjoint")
NAME = "controlled_rotations"  # two inputs, three weights, three observables


def family(name: str) -> CircuitFamily:
    """Return the family of a name."""
    return next(one for one in FAMILIES if one.name == name)


def layer_of(circuits: CircuitFamily | str, weights=None, **arguments) -> CircuitLayer:
    """Return a float64 layer with all observables of a family."""
    known = family(circuits) if isinstance(circuits, str) else circuits
    initial = torch.as_tensor(known.samples()[1] if weights is None else weights).double()
    given = known.circuit, known.inputs, known.weights, list(known.observables)
    return CircuitLayer(*given, initial=initial, **arguments)


def tensors(name: str, batch: int = 3) -> tuple[Tensor, Tensor]:
    """Return inputs and weights of a family, both with ``requires_grad``."""
    rows, weights = family(name).samples(batch)
    return torch.tensor(rows, requires_grad=True), torch.tensor(weights, requires_grad=True)


def function_of(layer: CircuitLayer):
    """Return the layer as a function of inputs and weights."""

    def function(x: Tensor, weight: Tensor) -> Tensor:
        return torch.func.functional_call(layer, {"weight": weight}, (x,))

    return function
