from __future__ import annotations

import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import AnnotatedOperation, Gate, InverseModifier, Parameter
from qiskit.circuit.library import RXGate
from qiskit.quantum_info import Operator

from hybridopt.bench.flattening import flatten
from hybridopt.errors import CircuitError
from tests.bench.circuits import mixed

PLAIN = {"rx", "ry", "rz", "cx", "h", "p", "u1", "sx"}


def test_definitions_are_opened_until_every_gate_is_known():
    problem = mixed()
    table = {p: 0.1 * i + 0.2 for i, p in enumerate([*problem.inputs, *problem.weights])}
    parts = flatten(problem.circuit, lambda part: part.name in PLAIN)
    assert {part.name for part in parts} <= PLAIN
    rebuilt = QuantumCircuit(4)
    for part in parts:
        rebuilt.append(part.gate, part.qubits)
    whole = Operator(problem.circuit.assign_parameters(table))
    assert Operator(rebuilt.assign_parameters(table)).equiv(whole)


def test_annotated_gates_are_synthesized():
    angle = Parameter("w")
    circuit = QuantumCircuit(1)
    circuit.append(AnnotatedOperation(RXGate(angle), [InverseModifier()]), [0])
    (part,) = flatten(circuit, lambda part: part.name == "rx")
    assert float(part.free[0].bind({angle: 0.3})) == pytest.approx(-0.3)


def test_barriers_have_no_effect():
    circuit = QuantumCircuit(2)
    circuit.barrier()
    circuit.delay(10, 0)
    circuit.id(1)
    assert flatten(circuit, lambda part: True) == []


def test_a_gate_that_is_neither_known_nor_defined():
    circuit = QuantumCircuit(3)
    circuit.append(Gate("secret", 2, []), [2, 0])
    with pytest.raises(CircuitError, match="Gate `secret` on qubits 2, 0 has no translation"):
        flatten(circuit, lambda part: False)
