"""Outputs of states in numpy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64
from qiskit.circuit.library import HGate, SdgGate

from hybridopt.circuits.program import CircuitProgram
from hybridopt.execution.aer.in_place.circuit import States, apply
from hybridopt.execution.aer.in_place.fusion import matrix_of
from hybridopt.execution.aer.in_place.state import Placed
from hybridopt.execution.aer.marginals import marginal
from hybridopt.execution.aer.observable_action import ObservableAction
from hybridopt.execution.memory_budget import Limits
from hybridopt.execution.readout import Expectations, Readout, Setting

BASES = {"X": matrix_of(HGate()), "Y": matrix_of(HGate()) @ matrix_of(SdgGate())}


def exact_outputs(
    program: CircuitProgram, readout: Readout, states: States, limits: Limits
) -> Float64[np.ndarray, "cells K"]:
    """Return the exact outputs of each state."""
    if isinstance(readout, Expectations) and readout.is_whole:
        return ObservableAction.of(program, readout, limits).values(states)
    tables = distributions(states, readout.settings(program))
    return np.broadcast_to(
        readout.read(program, tables), (len(states), readout.num_outputs(program))
    )


def distributions(
    states: States, settings: Sequence[Setting]
) -> list[Float64[np.ndarray, "cells outcomes"]]:
    """Return the probabilities of each setting."""
    tables = []
    for setting in settings:
        gates: list[Placed] = [([qubit], BASES[letter]) for qubit, letter in setting.basis]
        rotated = apply(states, gates) if gates else states
        tables.append(marginal(rotated.real**2 + rotated.imag**2, setting.qubits))
    return tables
