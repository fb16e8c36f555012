from __future__ import annotations

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from qiskit.quantum_info import SparsePauliOp, Statevector

from hybridopt.bench.problem import Problem, ladder, parse_problem, z_of_each
from hybridopt.errors import ArgumentError, CircuitError, ResourceError, UnknownNameError


def test_ladder_matches_its_definition():
    problem = ladder(3, 6, 5)
    assert problem.circuit.count_ops() == {"ry": 9, "cx": 4}
    assert (problem.name, problem.batch, problem.scale) == ("ladder:3-6-5", 5, 1.0)
    x, w = np.array([0.3, -1.1, 2.0]), np.array([0.4, 0.9, -0.7, 0.0, 0.0, 0.0])
    bound = problem.circuit.assign_parameters(
        dict(zip([*problem.inputs, *problem.weights], [*x, *w], strict=True))
    )
    # the second layer has zero angles, so both ladders of CX follow the first rotations
    value = Statevector(bound).expectation_value(problem.observables[0]).real
    angles = x + w[:3]
    once = QuantumCircuit(3)
    for qubit in range(3):
        once.ry(angles[qubit], qubit)
    for _ in range(2):
        once.cx(0, 1)
        once.cx(1, 2)
    assert value == pytest.approx(Statevector(once).expectation_value(SparsePauliOp("ZZZ")).real)


def test_reuploading_has_inputs_and_weights_in_one_angle():
    problem = parse_problem("reuploading:3-24-7")
    mixed = [item.operation.params[0] for item in problem.circuit.data[:1]]
    assert {p.name for p in mixed[0].parameters} == {"x[0]", "w[0]", "w[1]"}
    assert problem.circuit.count_ops() == {"rz": 12, "ry": 6, "cz": 6}
    assert (len(problem.observables), problem.scale, problem.batch) == (3, 3.0, 7)
    assert problem.name == "reuploading:3-24-7"
    assert set(problem.circuit.parameters) == {*problem.inputs, *problem.weights}


def test_angles_are_new_in_each_draw_and_repeat_with_the_seed():
    problem = ladder(3, 6, 5)
    first, second = (problem.angles(np.random.default_rng(4)) for _ in range(2))
    assert first[0].shape == (5, 3)
    assert first[1].shape == (6,)
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    generator = np.random.default_rng(4)
    problem.angles(generator)
    assert not np.array_equal(problem.angles(generator)[1], first[1])


def test_batch_and_shots_replace_the_problems_own():
    changed = ladder(3, 6, 5).resized(batch=2, shots=100)
    assert (changed.batch, changed.shots, changed.name) == (2, 100, "ladder:3-6-2, 100 shots")
    assert ladder(3, 6, 5).resized(batch=None, shots=None).batch == 5
    assert ladder(3, 6, 5).resized(noise=0.01).name == "ladder:3-6-5, noise 0.01"


def test_the_default_observables_are_z_of_each_qubit():
    assert [str(op.paulis[0]) for op in z_of_each(3)] == ["IIZ", "IZI", "ZII"]


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("laddr:4-16", UnknownNameError, "Unknown problem 'laddr'"),
        ("ladder:4", ArgumentError, "`problem` must have the form"),
        ("ladder:4-6", ArgumentError, r"`weights` .* a multiple of 4, .*got 6"),
        ("reuploading:4-8", ArgumentError, r"`weights` .* a multiple of 16, .*got 8"),
        ("ladder:1-4", ArgumentError, "`qubits`"),
        ("ladder:4-0", ArgumentError, "`weights`"),
        ("ladder:4-16-0", ArgumentError, "`batch`"),
    ],
)
def test_bad_names_are_refused(text, error, message):
    with pytest.raises(error, match=message):
        parse_problem(text)


def test_noise_is_a_probability_on_few_qubits():
    for noise in (0.0, 1.0, -0.1):
        with pytest.raises(ArgumentError, match="`noise`"):
            ladder(3, 6).resized(noise=noise)
    with pytest.raises(ResourceError, match=r"at most 10 qubits \(got 11\)"):
        ladder(11, 11).resized(noise=0.1)


def test_problems_need_weights_and_observables():
    circuit = QuantumCircuit(2)
    with pytest.raises(CircuitError, match="`weights`"):
        Problem("empty", circuit, (), (), (SparsePauliOp("ZZ"),))
    with pytest.raises(CircuitError, match="`observables`"):
        Problem("empty", circuit, (), (Parameter("w"),), ())
