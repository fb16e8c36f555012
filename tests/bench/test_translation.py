from __future__ import annotations

import numpy as np
import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import AnnotatedOperation, Gate, InverseModifier, Parameter, ParameterVector
from qiskit.circuit.library import RXGate
from qiskit.quantum_info import Operator, SparsePauliOp

from hybridopt.bench.problem import Problem
from hybridopt.bench.translation import angle_function, flatten, pauli_terms
from hybridopt.errors import CircuitError
from tests.bench.circuits import mixed

X, W = ParameterVector("x", 2), ParameterVector("w", 3)
PROBLEM = Problem("none", QuantumCircuit(1), tuple(X), tuple(W), (SparsePauliOp("Z"),))
EXPRESSIONS = [
    W[1],
    2 * X[0] - W[2] / 3 + 0.4,
    X[1] * W[0] + W[1],
    (W[0] + X[0]).sin() * W[1].exp(),
    W[0] ** 2 - X[1].cos().abs(),
    W[2].arctan() + (W[0] * W[0] + 1).log(),
]


@pytest.mark.parametrize("expression", EXPRESSIONS, ids=str)
@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_angles_match_values_of_qiskit(expression, library):
    generator = np.random.default_rng(3)
    x, w = generator.uniform(-1, 1, (4, 2)), generator.uniform(-1, 1, 3)
    angle = angle_function(expression, PROBLEM, np if library == "numpy" else torch)
    given = (x, w) if library == "numpy" else (torch.tensor(x), torch.tensor(w))
    found = np.broadcast_to(np.asarray(angle(*given)), 4)
    for sample, value in zip(x, found, strict=True):
        table = dict(zip([*X, *W], [*sample, *w], strict=True))
        own = {p: v for p, v in table.items() if p in expression.parameters}
        assert value == pytest.approx(float(expression.bind(own)), abs=1e-14)


def test_without_inputs_an_angle_is_one_number():
    angle = angle_function(2 * W[1], PROBLEM, np)
    assert np.shape(angle(np.zeros((4, 2)), np.ones(3))) == ()
    assert angle_function(0.7, PROBLEM, np)(None, None) == 0.7
    cancelled = angle_function(W[0] - W[0] + 0.2, PROBLEM, np)
    assert cancelled(np.zeros((1, 0)), np.ones(3)) == pytest.approx(0.2)


def test_complex_angles_are_refused():
    with pytest.raises(CircuitError, match="must be real"):
        angle_function(1j * W[0], PROBLEM, np)


PLAIN = {"rx", "ry", "rz", "cx", "h", "p", "u1", "sx"}


def test_unknown_gates_are_replaced_by_their_definitions():
    problem = mixed()
    table = {p: 0.1 * i + 0.2 for i, p in enumerate([*problem.inputs, *problem.weights])}
    parts = flatten(problem.circuit, lambda part: part.name in PLAIN)
    assert {part.name for part in parts} <= PLAIN
    rebuilt = QuantumCircuit(4)
    for part in parts:
        rebuilt.append(part.gate, part.qubits)
    whole = Operator(problem.circuit.assign_parameters(table))
    assert Operator(rebuilt.assign_parameters(table)).equiv(whole)


def test_annotated_gates_are_synthesized_and_barriers_removed():
    angle = Parameter("w")
    circuit = QuantumCircuit(1)
    circuit.append(AnnotatedOperation(RXGate(angle), [InverseModifier()]), [0])
    circuit.barrier()
    circuit.delay(10, 0)
    circuit.id(0)
    (part,) = flatten(circuit, lambda part: part.name == "rx")
    assert float(part.free[0].bind({angle: 0.3})) == pytest.approx(-0.3)


def test_a_gate_without_translation_or_definition_is_refused():
    circuit = QuantumCircuit(3)
    circuit.append(Gate("secret", 2, []), [2, 0])
    with pytest.raises(CircuitError, match="`secret` on qubits 2, 0"):
        flatten(circuit, lambda part: False)


def test_pauli_strings_by_qubit():
    observable = SparsePauliOp(["XIZ", "III"], [0.5, -2])
    assert list(pauli_terms(observable)) == [({0: "Z", 2: "X"}, 0.5), ({}, -2.0)]
