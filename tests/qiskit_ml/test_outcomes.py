"""Integers that the classical bits of a circuit represent."""

from __future__ import annotations

import pytest
from qiskit import ClassicalRegister, QuantumCircuit, transpile
from qiskit.circuit import Clbit

from hybridopt.errors import CircuitError
from hybridopt.qiskit_ml.outcomes import outcomes_of

LINE = [[0, 1], [1, 2], [2, 3], [3, 4], [4, 5]]


def three_qubits() -> QuantumCircuit:
    circuit = QuantumCircuit(3)
    circuit.ry(0.4, 0)
    circuit.cx(0, 2)
    return circuit


def test_bits_outside_all_registers_are_not_read():
    circuit = three_qubits()
    circuit.add_bits([Clbit()])
    circuit.add_register(ClassicalRegister(1, "c"))
    circuit.measure(0, 0)
    with pytest.raises(CircuitError, match="register"):
        outcomes_of(circuit, 3, squeezed=False)
    circuit.measure(2, 1)
    outcomes = outcomes_of(circuit, 3, squeezed=False)
    assert (outcomes.bits, outcomes.keys.tolist()) == ((1,), [0, 1])


@pytest.mark.parametrize("measure_first", [True, False])
def test_bits_of_a_transpiled_circuit(measure_first):
    """They keep their order, or follow the layout if all qubits are measured afterwards."""
    circuit = three_qubits()
    if measure_first:
        circuit.measure_all()
    placed = transpile(circuit, coupling_map=LINE, initial_layout=[4, 1, 2], seed_transpiler=0)
    bits = (0, 1, 2)
    if not measure_first:
        bits = tuple(placed.layout.final_index_layout(filter_ancillas=True))
        placed.measure_all()
    outcomes = outcomes_of(placed, 3, squeezed=False)
    assert outcomes.bits == bits
    assert outcomes.keys.tolist() == list(range(8))


def test_two_bits_of_one_qubit_are_read_once():
    circuit = three_qubits()
    register = ClassicalRegister(3, "c")
    circuit.add_register(register)
    circuit.measure([1, 1, 2], register)
    outcomes = outcomes_of(circuit, 3, squeezed=False)
    assert outcomes.bits == (0, 2)
    assert outcomes.keys.tolist() == [0b000, 0b011, 0b100, 0b111]
