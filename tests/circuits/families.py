"""Circuits of every gate family, for whatever must hold for any circuit.

Three qubits or more, different angles, gates between, parameters that occur several times.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from qiskit.quantum_info import SparsePauliOp, Statevector

from tests.circuits.builders import BUILDERS

OBSERVABLES = (
    SparsePauliOp(["ZII", "XYI"], [0.7, -1.3]),
    SparsePauliOp(["IYZ", "IXX", "III"], [1.1, 0.4, -0.25]),
    SparsePauliOp("ZZY"),
)


@dataclass(frozen=True, eq=False)
class CircuitFamily:
    """A circuit with inputs, weights and observables.

    Attributes:
        name: Of the gates in it.
        circuit: On three qubits or more.
        inputs: Parameters that samples bring.
        weights: The other parameters.
        observables: On all qubits, no two of which commute qubit by qubit.
    """

    name: str
    circuit: QuantumCircuit
    inputs: tuple[Parameter, ...]
    weights: tuple[Parameter, ...]
    observables: tuple[SparsePauliOp, ...]

    def samples(self, batch: int = 3, seed: int = 5) -> tuple[np.ndarray, np.ndarray]:
        """Inputs, shape ``(batch, I)``, and weights, shape ``(P,)``, positive and all different."""
        generator = np.random.default_rng(seed)
        return (
            generator.uniform(0.2, 2.5, (batch, len(self.inputs))),
            generator.uniform(0.2, 2.5, len(self.weights)),
        )

    def values(self, row: np.ndarray, weights: np.ndarray) -> dict[Parameter, float]:
        """Numbers for all parameters of the circuit."""
        numbers = [*row.tolist(), *weights.tolist()]
        return dict(zip([*self.inputs, *self.weights], numbers, strict=True))

    def state(self, row: np.ndarray, weights: np.ndarray) -> Statevector:
        """Of the circuit, by Qiskit's matrices."""
        with warnings.catch_warnings():  # of scipy, for evolutions
            warnings.simplefilter("ignore")
            return Statevector(self.circuit.assign_parameters(self.values(row, weights)))

    def expectations(self, rows: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """The dense twin of a layer: shape ``(batch, K)``."""
        states = [self.state(row, weights) for row in rows]
        return np.array(
            [[state.expectation_value(o).real for o in self.observables] for state in states]
        )

    def slopes(
        self, rows: np.ndarray, weights: np.ndarray, step: float = 1e-4
    ) -> tuple[np.ndarray, np.ndarray]:
        """Derivatives of `expectations` by finite differences with an error of order step^4.

        Returns:
            By inputs, shape ``(batch, K, I)``, and by weights, shape ``(batch, K, P)``.
        """
        by_inputs = [
            _difference(lambda t, e=unit: self.expectations(rows + t * e, weights), step)
            for unit in np.eye(len(self.inputs))
        ]
        by_weights = [
            _difference(lambda t, e=unit: self.expectations(rows, weights + t * e), step)
            for unit in np.eye(len(self.weights))
        ]
        shape = (len(rows), len(self.observables), 0)
        return tuple(
            np.stack(parts, axis=-1) if parts else np.zeros(shape)
            for parts in (by_inputs, by_weights)
        )


def _difference(function: Callable[[float], np.ndarray], step: float) -> np.ndarray:
    near = (function(step) - function(-step)) / (2 * step)
    far = (function(2 * step) - function(-2 * step)) / (4 * step)
    return (4 * near - far) / 3


def _family(build: Callable[[], QuantumCircuit]) -> CircuitFamily:
    circuit = build()
    observables = tuple(
        SparsePauliOp(
            ["I" * (circuit.num_qubits - 3) + label for label in observable.paulis.to_labels()],
            observable.coeffs,
        )
        for observable in OBSERVABLES
    )
    inputs = tuple(p for p in circuit.parameters if p.name.startswith("x"))
    weights = tuple(p for p in circuit.parameters if not p.name.startswith("x"))
    return CircuitFamily(build.__name__.strip("_"), circuit, inputs, weights, observables)


FAMILIES = tuple(_family(build) for build in BUILDERS)
