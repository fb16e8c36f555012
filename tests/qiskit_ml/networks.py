"""Circuits and networks of three qubits, and their outputs by matrix products."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from qiskit import ClassicalRegister, QuantumCircuit
from qiskit.circuit import Parameter, ParameterVector
from qiskit.circuit.library import real_amplitudes, zz_feature_map
from qiskit.quantum_info import SparsePauliOp, Statevector
from qiskit_machine_learning.neural_networks import NeuralNetwork

Network = TypeVar("Network", bound=NeuralNetwork)

OBSERVABLES = (
    SparsePauliOp(["ZZI", "XIX", "III"], [0.7, -0.3, 0.2]),
    SparsePauliOp(["IYZ", "ZIX"], [1.1, 0.4]),
    SparsePauliOp("IIZ"),
)


@dataclass(frozen=True, eq=False)
class Example:
    """Circuit without measurements, and its parameters in the order of the network."""

    circuit: QuantumCircuit
    inputs: list[Parameter]
    weights: list[Parameter]

    def network(self, kind: type[Network], **keywords) -> Network:
        """Return a network of qiskit-machine-learning; keywords may replace the circuit."""
        given = {"circuit": self.circuit, "input_params": self.inputs}
        return kind(**{**given, "weight_params": self.weights, **keywords})

    def values(self, batch: int = 4, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Return inputs of a batch, and weights."""
        generator = np.random.default_rng(seed)
        x = generator.uniform(-1.5, 1.5, (batch, len(self.inputs)))
        return x, generator.uniform(-3, 3, len(self.weights))

    def state(self, sample: np.ndarray, w: np.ndarray) -> Statevector:
        values = dict(zip([*self.inputs, *self.weights], [*sample, *w], strict=True))
        return Statevector(self.circuit.assign_parameters(values))

    def expectations(self, x: np.ndarray, w: np.ndarray, observables=OBSERVABLES) -> np.ndarray:
        states = [self.state(sample, w) for sample in x]
        return np.array([[s.expectation_value(op).real for op in observables] for s in states])

    def probabilities(self, x: np.ndarray, w: np.ndarray, qubits=None) -> np.ndarray:
        return np.array([self.state(sample, w).probabilities(qubits) for sample in x])


def feature_map_and_ansatz() -> Example:
    feature_map, ansatz = zz_feature_map(3), real_amplitudes(3, reps=1)
    circuit = feature_map.compose(ansatz)
    return Example(circuit, list(feature_map.parameters), list(ansatz.parameters))


def uploaded_twice() -> Example:
    """Return products of inputs and weights, controlled rotations, repeated parameters."""
    x, w = ParameterVector("z", 2), ParameterVector("a", 5)  # weights sort before inputs
    circuit = QuantumCircuit(3)
    for layer in range(2):
        circuit.ry(x[0] * w[layer] + 0.3, 0)
        circuit.rx(2 * x[1], 1)
        circuit.crz(w[2] - 0.5 * w[layer], 0, 2)
        circuit.cx(0, 1)
        circuit.ry(w[3], 2)
        circuit.cp(w[4] * w[3], 1, 2)
        circuit.h(2)
    return Example(circuit, [x[1], x[0]], [w[4], w[0], w[2], w[1], w[3]])


def without_inputs() -> Example:
    ansatz = real_amplitudes(3, reps=1)
    return Example(ansatz, [], list(ansatz.parameters))


def without_weights() -> Example:
    feature_map = zz_feature_map(3, reps=1)
    return Example(feature_map, list(feature_map.parameters), [])


EXAMPLES = {
    example.__name__: example
    for example in (feature_map_and_ansatz, uploaded_twice, without_inputs, without_weights)
}
TRAINED = {name: example for name, example in EXAMPLES.items() if name != "without_weights"}


def trained(
    build: Callable[[], Example] = feature_map_and_ansatz, batch: int = 4, seed: int = 0
) -> tuple[Example, np.ndarray, np.ndarray]:
    """Return an example, inputs of a batch and weights."""
    example = build()
    return example, *example.values(batch, seed)


def measured(circuit: QuantumCircuit, registers: dict[str, list[int | None]]) -> QuantumCircuit:
    """Return the circuit with qubits measured into registers; None is an unused bit."""
    result = circuit.copy()
    for name, qubits in registers.items():
        register = ClassicalRegister(len(qubits), name)
        result.add_register(register)
        for bit, qubit in enumerate(qubits):
            if qubit is not None:
                result.measure(qubit, register[bit])
    return result


def parity(outcome: int) -> int:
    return outcome.bit_count() % 2


def central_difference(function, at: np.ndarray, step: float = 1e-5) -> np.ndarray:
    """Return derivatives along the last axis; the error is of order step^2 and 1e-16/step."""
    columns = []
    for place in range(at.size):
        moved = np.zeros_like(at)
        moved[place] = step
        columns.append((function(at + moved) - function(at - moved)) / (2 * step))
    return np.stack(columns, axis=-1)
