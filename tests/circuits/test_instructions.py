"""Removal of the measurements at the end of a circuit."""

from __future__ import annotations

import pytest
from qiskit import QuantumCircuit
from qiskit.quantum_info import Statevector

from hybridopt.circuits.instructions import without_measurements
from hybridopt.errors import CircuitError


def three_qubits() -> QuantumCircuit:
    circuit = QuantumCircuit(3, 2)
    circuit.ry(0.4, 0)
    circuit.ry(1.3, 1)
    circuit.ry(2.1, 2)
    circuit.cx(0, 2)
    return circuit


def test_bit_holds_its_last_measurement():
    circuit = three_qubits()
    circuit.measure([0, 1], [0, 1])
    circuit.barrier()
    circuit.measure(2, 0)
    bare, measured = without_measurements(circuit)
    assert measured == {0: 2, 1: 1}
    assert "measure" not in bare.count_ops()
    bare.remove_final_measurements()
    assert Statevector(bare).equiv(Statevector(three_qubits().remove_final_measurements(False)))


def test_gates_on_other_qubits_may_follow_a_measurement():
    circuit = three_qubits()
    assert without_measurements(circuit)[0] is circuit
    circuit.measure(0, 1)
    circuit.rx(0.3, 2)
    assert without_measurements(circuit)[1] == {1: 0}
    circuit.rz(0.3, 0)
    with pytest.raises(CircuitError, match=r"`measure` on qubit 0.*`rz`"):
        without_measurements(circuit)
