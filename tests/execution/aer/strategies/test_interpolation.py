"""Sums of states: equal to the states of all rows, from fewer runs and gates."""

from __future__ import annotations

import math

import numpy as np
import pytest
import qiskit_aer
from qiskit.circuit import library as lib
from scipy.linalg import expm

from hybridopt.bench.problem import ladder
from hybridopt.circuits import lower
from hybridopt.circuits.gates import family_of
from hybridopt.execution import AerExecutor, Expectations, Job, Probabilities
from hybridopt.execution.aer.strategies import in_place
from hybridopt.execution.aer.strategies.interpolation import Interpolation, points_of
from tests.execution.jobs import dense, job_of

GATES = (
    *(lib.RXGate(0.0), lib.RZZGate(0.0), lib.RZXGate(0.0), lib.PhaseGate(0.0)),
    *(lib.CPhaseGate(0.0), lib.CRYGate(0.0), lib.XXPlusYYGate(0.0), lib.XXMinusYYGate(0.0)),
)
NAMES = (
    *("pauli_rotations", "two_qubit_rotations", "phases", "controlled_rotations", "controlled_u"),
    *("doubly_controlled_rotations", "exchanges", "expressions", "no_inputs"),
)


def shifted(name: str, seed: int = 5, **options) -> Job:
    """Return all terms of all shift rules, one more value of an angle, and two other rows."""
    job = job_of(name, 3, 1, seed=seed, **options)
    rules = job.program.shifts[1]
    rows = [job.shared[0]] * 6  # more than half of the rows have each angle
    for angle, rule in enumerate(rules):
        for _, shift in rule:
            rows.append(job.shared[0] + shift * np.eye(len(rules))[angle])
    rows.append(job.shared[0] + 0.7 * np.eye(len(rules))[-1])
    generator = np.random.default_rng(seed + 1)
    rows += list(generator.uniform(-3, 3, (2, len(rules))))
    table = np.array(rows)[generator.permutation(len(rows))]
    return Job(job.program, job.readout, job.rows, table)


@pytest.fixture(params=["checkpoints", "in-place"])
def way(request, monkeypatch):
    monkeypatch.setattr(in_place, "AMPLITUDES_WORTH_SUMS", 0)
    return request.param


@pytest.mark.parametrize("gate", GATES, ids=lambda gate: gate.name)
def test_weights_are_those_of_matrix_exponentials(gate):
    family = family_of(gate)
    points = points_of(family)
    diagonal = np.diag(family.eigenvalues)
    moves = np.array([-5.0, -math.pi / 2, 0.0, 0.3, math.pi / 2, 3 * math.pi / 2, 11.0])
    for move, weights in zip(moves, points.weights(moves), strict=True):
        total = sum(
            w * expm(-1j * at * diagonal) for w, at in zip(weights, points.moves, strict=True)
        )
        np.testing.assert_allclose(total, expm(-1j * move * diagonal), rtol=0, atol=1e-14)
        assert np.linalg.norm(weights) < 1 + 1e-12  # sums lose no digits


@pytest.mark.parametrize("name", NAMES)
def test_every_family_from_fewer_runs(name, way):
    job = shifted(name)
    executor = AerExecutor(strategy=way)
    values = executor.run(job).values
    np.testing.assert_allclose(values, dense(job), rtol=0, atol=1e-12)
    assert executor.usage.settings == len(job.shared) * 3 * job.readout.num_settings
    # runs of the common row and the two other rows, and half of each rule's terms
    needed = 3 + sum(len(rule) // 2 for rule in job.program.shifts[1])
    assert executor.usage.runs <= needed < len(job.shared) - 5
    if way == "checkpoints":
        assert executor.usage.runs == needed


@pytest.mark.parametrize("readout", [Probabilities(), Probabilities((2, 0))], ids=["all", "some"])
def test_probabilities(readout, way):
    job = shifted("controlled_u", readout=readout)
    np.testing.assert_allclose(
        AerExecutor(strategy=way).run(job).values, dense(job), rtol=0, atol=1e-12
    )


@pytest.mark.parametrize("name", ["controlled_rotations", "phases", "two_qubit_rotations"])
def test_shots_are_those_of_rows_that_are_run(name, way):
    job = shifted(name)
    found, expected = (
        AerExecutor(strategy=one, shots=300, seed=2).run(job) for one in (way, "stacked")
    )
    np.testing.assert_array_equal(found.values, expected.values)
    np.testing.assert_allclose(found.variances, expected.variances, rtol=0, atol=1e-15)


@pytest.mark.parametrize("memory", [14_000, 50_000])
def test_parts_of_any_size(way, memory):
    job = shifted("controlled_rotations")
    table = np.tile(job.shared, (2, 1))  # several rows per value of an angle
    several = Job(job.program, job.readout, job.rows, table)
    executor = AerExecutor(strategy=way, max_memory=memory)
    expected = np.tile(dense(job), (2, 1, 1))
    np.testing.assert_allclose(executor.run(several).values, expected, rtol=0, atol=1e-12)
    assert executor.usage.settings == len(table) * 3 * job.readout.num_settings


def test_tables_of_shifts_need_half_of_the_gates(monkeypatch):
    problem = ladder(4, 40, 2)
    program = lower(problem.circuit, problem.inputs, problem.weights)
    shared = np.tile(np.linspace(-2, 2, 40), (80, 1))
    shared[np.arange(80), np.arange(80) // 2] += [math.pi / 2, -math.pi / 2] * 40
    job = Job(program, Expectations(problem.observables), np.ones((2, 4)), shared)
    gates: list[int] = []
    run = qiskit_aer.AerSimulator.run

    def spy(self, circuits, **options):
        for circuit, binds in zip(circuits, options["parameter_binds"], strict=True):
            gates.append(len(circuit.data) * len(next(iter(binds.values()))))
        return run(self, circuits, **options)

    monkeypatch.setattr(qiskit_aer.AerSimulator, "run", spy)
    AerExecutor(strategy="checkpoints").run(job)
    with_sums = sum(gates)
    gates.clear()
    monkeypatch.setattr(Interpolation, "of", lambda program, table, common: none(common))
    AerExecutor(strategy="checkpoints").run(job)
    assert 0.5 <= with_sums / sum(gates) < 0.56


def none(common: np.ndarray) -> Interpolation:
    empty = np.zeros((0, 1), dtype=np.int64)
    return Interpolation(empty[:, 0], np.zeros((0, 2), complex), empty, common[None][:0])


def test_few_values_of_an_angle_are_run():
    job = job_of("controlled_rotations", 1, 1)
    common = job.shared[0]
    rows = np.tile(common, (5, 1))
    rows[[1, 2], 0] += [0.4, 0.9]  # three eigenvalues: two values save nothing
    rows[3, 1] += 0.4
    rows[4, :2] += 0.4
    sums = Interpolation.of(job.program, rows, common)
    assert len(job.program.shifts[1][0]) == 4
    assert (len(sums.members), len(sums.runs)) == (0, 0)
    assert sums.explain() == ""


def test_sums_are_explained(way, aer_calls):
    text = AerExecutor(strategy=way).explain(shifted("pauli_rotations"))
    assert "7 rows that differ in one angle are not run: numpy adds" in text
    assert aer_calls == []
