"""Readout of Pauli vectors, with the errors of measurement and of changes of basis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from hybridopt.circuits.program import CircuitProgram
from hybridopt.execution.aer.density_adjoint.pauli_vectors import Vectors
from hybridopt.execution.readout import Readout

Effect = Float64[np.ndarray, "2 4"]  # probability of reading 0 and 1, from the Pauli components
PLAIN: Effect = np.array([[0.5, 0, 0, 0.5], [0.5, 0, 0, -0.5]])


@dataclass(frozen=True, eq=False)
class MeasuredSetting:
    """Qubits of one setting, and the effect of each; its other qubits are traced out."""

    qubits: tuple[int, ...]  # the first is the least significant bit of the outcome
    effects: tuple[Effect, ...]

    def probabilities(self, vectors: Vectors, num_qubits: int) -> Float64[np.ndarray, "m outcomes"]:
        """Return the probabilities of reported outcomes."""
        ascending = np.argsort(self.qubits)
        tensor = vectors.reshape(-1, *(4,) * num_qubits)[self._components(num_qubits)]
        below = 1
        for place in ascending:
            tensor = np.matmul(self.effects[place], tensor.reshape(len(vectors), -1, 4, below))
            below *= 2
        return self._swapped(tensor.reshape(len(vectors), -1), np.argsort(ascending))

    def observables(self, weights: Float64[np.ndarray, "m outcomes"], num_qubits: int) -> Vectors:
        """Return observables that are weighted sums of the outcomes."""
        ascending = np.argsort(self.qubits)
        tensor, below = self._swapped(weights, ascending), 1
        for place in ascending:
            tensor = np.matmul(self.effects[place].T, tensor.reshape(len(weights), -1, 2, below))
            below *= 4
        result = np.zeros((len(weights), *(4,) * num_qubits))
        part = result[self._components(num_qubits)]
        part[...] = tensor.reshape(part.shape)
        return result.reshape(len(weights), -1)

    def _components(self, num_qubits: int) -> tuple[slice | int, ...]:
        """Return an index of the components with the identity on qubits that are not measured."""
        measured = set(self.qubits)
        return (
            slice(None),
            *(slice(None) if q in measured else 0 for q in range(num_qubits)[::-1]),
        )

    def _swapped(self, table: np.ndarray, order: np.ndarray) -> np.ndarray:
        """Return outcomes whose bit i was bit ``order[i]``."""
        count = len(order)
        tensor = table.reshape(-1, *(2,) * count)
        axes = [count - order[place] for place in reversed(range(count))]
        return tensor.transpose(0, *axes).reshape(table.shape)


@dataclass(frozen=True, eq=False)
class MeasuredReadout:
    """Readout of a program as linear functions of the last Pauli vector."""

    program: CircuitProgram
    readout: Readout
    settings: Sequence[MeasuredSetting]
    num_qubits: int

    @property
    def num_outputs(self) -> int:
        """Number of outputs K."""
        return self.readout.num_outputs(self.program)

    def values(self, vectors: Vectors) -> Float64[np.ndarray, "m K"]:
        """Return the outputs of each density matrix."""
        tables = [one.probabilities(vectors, self.num_qubits) for one in self.settings]
        return np.asarray(self.readout.read(self.program, tables))

    def constants(self) -> Float64[np.ndarray, " K"]:
        """Return the part of the outputs that does not depend on the circuit."""
        empty = [np.zeros(1 << len(one.qubits)) for one in self.settings]
        return np.asarray(self.readout.read(self.program, empty))

    def observables(self, cotangent: Float64[np.ndarray, "m K"]) -> Vectors:
        """Return weighted sums of the outputs, without `constants`, as observables."""
        tables = self.readout.outcome_weights(cotangent)
        pairs = zip(self.settings, tables, strict=True)
        return sum(
            (one.observables(table, self.num_qubits) for one, table in pairs),
            start=np.zeros((len(cotangent), 4**self.num_qubits)),
        )
