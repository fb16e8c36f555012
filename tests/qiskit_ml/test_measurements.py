from __future__ import annotations

import numpy as np
import pytest
from qiskit import ClassicalRegister, QuantumCircuit, transpile
from qiskit.circuit import Clbit
from qiskit.quantum_info import SparsePauliOp, Statevector

from hybridopt.errors import ArgumentError, CircuitError
from hybridopt.qiskit_ml.measurements import without_measurements
from hybridopt.qiskit_ml.outcomes import outcomes_of


def three_qubits() -> QuantumCircuit:
    circuit = QuantumCircuit(3, 2)
    circuit.ry(0.4, 0)
    circuit.ry(1.3, 1)
    circuit.ry(2.1, 2)
    circuit.cx(0, 2)
    return circuit


def test_a_bit_holds_its_last_measurement():
    circuit = three_qubits()
    circuit.measure([0, 1], [0, 1])
    circuit.barrier()
    circuit.measure(2, 0)
    unmeasured = without_measurements(circuit)
    assert unmeasured.measured == {0: 2, 1: 1}
    assert "measure" not in unmeasured.circuit.count_ops()
    assert Statevector(_without_bits(unmeasured.circuit)).equiv(_without_bits(three_qubits()))


def test_gates_on_other_qubits_may_follow_a_measurement():
    circuit = three_qubits()
    circuit.measure(0, 1)
    circuit.rx(0.3, 2)
    assert without_measurements(circuit).measured == {1: 0}
    circuit.rz(0.3, 0)
    with pytest.raises(CircuitError, match="on qubit 0 is a mid-circuit measurement: `rz` follows"):
        without_measurements(circuit)


def test_qubits_of_a_device_that_no_gate_acts_on_are_left_out():
    circuit = three_qubits()
    circuit.measure([2, 0], [0, 1])
    placed = transpile(
        circuit,
        coupling_map=[[0, 1], [1, 2], [2, 3], [3, 4], [4, 5]],
        basis_gates=["rz", "sx", "cx"],
        initial_layout=[4, 1, 5],
        seed_transpiler=0,
    )
    unmeasured = without_measurements(placed)
    assert unmeasured.kept == (1, 4, 5)
    assert unmeasured.circuit.num_qubits == 3
    assert unmeasured.measured == {0: 5, 1: 4}
    observable = SparsePauliOp("ZIX").apply_layout(placed.layout)
    kept = unmeasured.observable(observable)
    expected = Statevector(_without_bits(three_qubits())).expectation_value(SparsePauliOp("ZIX"))
    actual = Statevector(_without_bits(unmeasured.circuit)).expectation_value(kept)
    assert actual == pytest.approx(expected, abs=1e-12)
    with pytest.raises(ArgumentError, match=r"acts on 3 qubits, but the\s+circuit has 6"):
        unmeasured.observable(SparsePauliOp("ZIX"))


def test_a_device_on_which_nothing_happens_keeps_one_qubit():
    circuit = QuantumCircuit(3)
    placed = transpile(
        circuit.measure_all(inplace=False),
        coupling_map=[[0, 1], [1, 2], [2, 3]],
        initial_layout=[0, 1, 2],
        optimization_level=0,
    )
    unmeasured = without_measurements(placed)
    assert unmeasured.kept == (0,)
    outcomes = outcomes_of(unmeasured, 3, squeezed=False)
    assert (outcomes.qubits, outcomes.keys.tolist()) == ((0,), [0, 1])
    zero = unmeasured.observable(SparsePauliOp("XIII"))
    assert np.all(zero.coeffs == 0)


def test_bits_outside_all_registers_are_not_read():
    circuit = QuantumCircuit(3)
    circuit.add_bits([Clbit()])
    circuit.add_register(ClassicalRegister(1, "c"))
    circuit.measure(0, 0)
    unmeasured = without_measurements(circuit)
    with pytest.raises(CircuitError, match="measures into no classical register"):
        outcomes_of(unmeasured, 3, squeezed=False)
    circuit.measure(2, 1)
    outcomes = outcomes_of(without_measurements(circuit), 3, squeezed=False)
    assert (outcomes.qubits, outcomes.keys.tolist()) == ((2,), [0, 1])


def _without_bits(circuit: QuantumCircuit) -> QuantumCircuit:
    bare = QuantumCircuit(circuit.num_qubits)
    for item in circuit.data:
        bare.append(item.operation, [circuit.find_bit(qubit).index for qubit in item.qubits])
    return bare
