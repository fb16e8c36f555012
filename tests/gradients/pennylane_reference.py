"""Values and derivatives from PennyLane, as an independent reference."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from qiskit import transpile

from tests.circuits.families import CircuitFamily

qml = pytest.importorskip("pennylane")

GATES = {"u": qml.U3, "cx": qml.CNOT}
PAULIS = {"X": qml.PauliX, "Y": qml.PauliY, "Z": qml.PauliZ}


def observable(operator):
    """Return the observable in PennyLane; wire k is qubit k."""
    terms = []
    for label, coefficient in operator.to_list():
        letters = [(k, c) for k, c in enumerate(reversed(label)) if c != "I"]
        factors = [PAULIS[letter](wire) for wire, letter in letters] or [qml.Identity(0)]
        terms.append(qml.s_prod(coefficient.real, qml.prod(*factors)))
    return qml.sum(*terms)


class PennyLaneReference:
    """Circuit of a family in the gates U and CX, with PennyLane's own backpropagation."""

    def __init__(self, family: CircuitFamily) -> None:
        self.family = family
        self.circuit = transpile(
            family.circuit, basis_gates=list(GATES), optimization_level=0, seed_transpiler=0
        ).decompose(["delay", "barrier"])
        self.angles = [
            angle for item in self.circuit.data for angle in item.operation.params
            if item.operation.name == "u"
        ]  # fmt: skip

    def slopes(self, row: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return expectation values ``(K,)``, and derivatives ``(K, I + P)`` for all parameters."""
        numbers = self.family.values(row, weights)
        angles = torch.from_numpy(np.array([_number(angle, numbers) for angle in self.angles]))
        values = self._run(angles)
        by_angles = torch.autograd.functional.jacobian(self._run, angles).numpy()
        chain = np.array(
            [
                [_number(_slope(angle, parameter), numbers) for parameter in numbers]
                for angle in self.angles
            ]
        ).reshape(len(angles), len(numbers))
        return values.detach().numpy(), by_angles @ chain

    def _run(self, angles: torch.Tensor) -> torch.Tensor:
        device = qml.device("default.qubit", wires=self.circuit.num_qubits)

        @qml.qnode(device, interface="torch", diff_method="backprop")
        def expectations():
            place = 0
            for item in self.circuit.data:
                wires = [self.circuit.find_bit(qubit).index for qubit in item.qubits]
                if item.operation.name == "u":
                    qml.U3(*angles[place : place + 3], wires=wires)
                    place += 3
                elif item.operation.name == "cx":
                    qml.CNOT(wires=wires)
                else:
                    assert item.operation.name in {"delay", "barrier"}, item.operation.name
            return [qml.expval(observable(operator)) for operator in self.family.observables]

        return torch.stack(expectations())


def _slope(angle, parameter):
    known = getattr(angle, "parameters", ())
    return angle.gradient(parameter) if parameter in known else 0.0


def _number(expression, numbers) -> float:
    parameters = getattr(expression, "parameters", None)
    if parameters is None:
        return float(expression)
    return float(expression.bind({p: numbers[p] for p in parameters}))
