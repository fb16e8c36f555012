"""Layers of `beside_peers.py`: one circuit in three libraries, and as dense matrices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.quantum_info import SparsePauliOp
from qiskit_machine_learning.connectors import TorchConnector
from qiskit_machine_learning.neural_networks import EstimatorQNN
from torch import Tensor, nn

from hybridopt import CircuitLayer

try:
    import pennylane as qml
except ImportError:  # optional
    qml = None

WEIGHT = torch.tensor([0.3, -0.5, 0.7, 1.2, -0.9, 0.4], dtype=torch.float64)
OBSERVABLES = ("IZZ", "ZII")


def qiskit_circuit(*, measured: bool = False) -> tuple[QuantumCircuit, list[Any], list[Any]]:
    """Return RY of inputs, RX and RY with CX ladders, and optionally a measurement between."""
    x, w = list(ParameterVector("x", 3)), list(ParameterVector("w", 6))
    circuit = QuantumCircuit(3, 1 if measured else 0)
    for qubit in range(3):
        circuit.ry(x[qubit], qubit)
        circuit.rx(w[qubit], qubit)
    circuit.cx([0, 1], [1, 2])
    if measured:
        circuit.measure(0, 0)
    for qubit in range(3):
        circuit.ry(w[3 + qubit], qubit)
    circuit.cx([0, 1], [1, 2])
    return circuit, x, w


def pennylane_gates(inputs: Tensor, weights: Tensor, *, measured: bool = False) -> None:
    for wire in range(3):
        qml.RY(inputs[..., wire], wire)
        qml.RX(weights[wire], wire)
    qml.CNOT([0, 1])
    qml.CNOT([1, 2])
    if measured:
        qml.measure(0)
    for wire in range(3):
        qml.RY(weights[3 + wire], wire)
    qml.CNOT([0, 1])
    qml.CNOT([1, 2])


def pennylane_circuit(inputs: Tensor, weights: Tensor) -> list[Any]:
    pennylane_gates(inputs, weights)
    return [qml.expval(qml.Z(0) @ qml.Z(1)), qml.expval(qml.Z(2))]


def pennylane_measured(inputs: Tensor, weights: Tensor) -> list[Any]:
    pennylane_gates(inputs, weights, measured=True)
    return [qml.expval(qml.Z(0) @ qml.Z(1)), qml.expval(qml.Z(2))]


PAULIS = {
    name: torch.tensor(rows, dtype=torch.complex128)
    for name, rows in {
        "X": [[0, 1], [1, 0]],
        "Y": [[0, -1j], [1j, 0]],
        "Z": [[1, 0], [0, -1]],
    }.items()
}


def on(qubit: int, matrix: Tensor) -> Tensor:
    """Return a matrix of one qubit as a matrix of three qubits, qubit 0 rightmost."""
    left, right = (torch.eye(2**n, dtype=torch.complex128) for n in (2 - qubit, qubit))
    return torch.kron(torch.kron(left, matrix), right)


def dense_states(x: Tensor, w: Tensor, *, measured: bool = False) -> Tensor:
    """Return unnormalized states, one per outcome of the measurement, by matrix products."""
    one = torch.eye(8, dtype=torch.complex128)
    z = on(0, PAULIS["Z"])
    ladder = one
    for qubit in range(2):
        z_here, x_next = on(qubit, PAULIS["Z"]), on(qubit + 1, PAULIS["X"])
        ladder = ((one + z_here) / 2 + (one - z_here) / 2 @ x_next) @ ladder

    def turned(states: Tensor, pauli: str, angles: Tensor) -> Tensor:
        for qubit in range(3):
            half, generator = angles[qubit] / 2, on(qubit, PAULIS[pauli])
            states = (half.cos() * one - 1j * half.sin() * generator) @ states
        return states

    states = ladder @ turned(turned(one[:, :1], "Y", x), "X", w[:3])
    if measured:
        states = torch.cat([(one + z) / 2 @ states, (one - z) / 2 @ states], dim=1)
    return ladder @ turned(states, "Y", w[3:])


def dense(x: Tensor, w: Tensor, *, measured: bool = False) -> Tensor:
    """Return both expectation values of every sample, shape (batch, 2)."""
    z = [on(qubit, PAULIS["Z"]) for qubit in range(3)]
    rows = []
    for sample in x:
        states = dense_states(sample, w, measured=measured)
        rows.append(
            torch.stack([(states.conj() * (o @ states)).sum().real for o in (z[0] @ z[1], z[2])])
        )
    return torch.stack(rows)


def ours(*, measured: bool = False, **options: Any) -> nn.Module:
    circuit, x, w = qiskit_circuit(measured=measured)
    return CircuitLayer(circuit, x, w, OBSERVABLES, initial=WEIGHT, **options)


def pennylane_node(
    circuit: Callable[..., Any] = pennylane_circuit, *, expand: bool = False, **options: Any
) -> Any:
    shots = options.pop("shots", None)
    node = qml.QNode(circuit, qml.device("default.qubit", seed=1), interface="torch", **options)
    node = node if shots is None else qml.set_shots(node, shots=shots)
    return qml.transforms.broadcast_expand(node) if expand else node


def pennylane(circuit: Callable[..., Any] = pennylane_circuit, **options: Any) -> nn.Module:
    start = {"weights": WEIGHT.clone()}
    return qml.qnn.TorchLayer(pennylane_node(circuit, **options), {"weights": 6}, init_method=start)


def qnn(
    *, measured: bool = False, observables: Sequence[str] = OBSERVABLES, **options: Any
) -> nn.Module:
    circuit, x, w = qiskit_circuit(measured=measured)
    operators = [SparsePauliOp(letters) for letters in observables]
    network = EstimatorQNN(
        circuit=circuit, observables=operators, input_params=x, weight_params=w, **options
    )
    return TorchConnector(network, WEIGHT.numpy())


shift = partial(pennylane, diff_method="parameter-shift")
