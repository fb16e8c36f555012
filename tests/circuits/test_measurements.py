"""Removal of final measurements from circuits of any origin."""

from __future__ import annotations

import pytest
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister
from qiskit.circuit import Parameter
from qiskit.quantum_info import Operator

from hybridopt.circuits.measurements import strip_measurements
from hybridopt.errors import CircuitError


def base() -> QuantumCircuit:
    angle = Parameter("a")
    circuit = QuantumCircuit(
        QuantumRegister(3, "q"), ClassicalRegister(2, "c"), ClassicalRegister(2, "d")
    )
    circuit.rx(angle, 0)
    circuit.cx(0, 1)
    circuit.global_phase = 0.3
    return circuit


def test_measured_qubits_are_in_the_order_of_the_bits():
    circuit = base()
    circuit.reset(2)
    circuit.barrier()
    circuit.measure([0, 2, 1], [3, 1, 0])
    circuit.barrier()
    circuit.delay(100, 1)
    bare, measured = strip_measurements(circuit, "mine")
    assert [circuit.find_bit(qubit).index for qubit in measured] == [1, 2, 0]
    assert (bare.num_clbits, bare.qregs, bare.global_phase) == (0, circuit.qregs, 0.3)
    assert [item.operation.name for item in bare.data] == [
        "rx",
        "cx",
        "barrier",
        "barrier",
        "delay",
    ]
    expected = base().assign_parameters([0.4])
    kept = bare.assign_parameters([0.4])
    assert Operator(kept) == Operator(expected)


def test_without_measurements_nothing_is_measured():
    bare, measured = strip_measurements(base(), "mine")
    assert measured is None
    assert [item.operation.name for item in bare.data] == ["rx", "cx"]


def test_boxes_stay():
    circuit = base()
    with circuit.box():
        circuit.x(0)
    assert strip_measurements(circuit, "mine")[0].data[-1].operation.name == "box"


def gate_after(circuit):
    circuit.measure(1, 0)
    circuit.cx(2, 1)


def reset_after(circuit):
    circuit.reset(1)


def reset_of_measured(circuit):
    circuit.measure(2, 0)
    circuit.reset(2)


def condition(circuit):
    circuit.measure(1, 0)
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.x(0)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (gate_after, "mine: `cx` follows the measurement of its qubit 1"),
        (reset_after, "mine: `reset` of qubit 1"),
        (reset_of_measured, "mine: `reset` of qubit 2"),
        (condition, "mine: `if_else` uses classical bits"),
    ],
)
def test_refused(change, words):
    circuit = base()
    change(circuit)
    with pytest.raises(CircuitError, match=words):
        strip_measurements(circuit, "mine")
