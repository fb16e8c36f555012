"""Every strategy and method compared with a dense twin, on every family of circuits."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import qiskit_aer
from qiskit.quantum_info import SparsePauliOp

from hybridopt.execution import AerExecutor, Expectations, Job, Probabilities, Stream
from hybridopt.execution.aer.in_place.state import BufferedState
from hybridopt.execution.memory_budget import Limits
from tests.circuits.families import FAMILIES
from tests.execution.jobs import dense, job_of

WAYS = {
    "automatic": {},
    "in-place": {"strategy": "in-place"},
    "stacked": {"strategy": "stacked"},
    "checkpoints": {"strategy": "checkpoints"},
    "table": {"strategy": "table"},
    "density matrix": {"method": "density_matrix"},
    "matrix product state": {"method": "matrix_product_state"},
}
EXACT = dict.fromkeys(WAYS, 1e-11) | {"matrix product state": 1e-8}  # it drops small amplitudes
SHAPES = [(1, 1), (3, 1), (1, 5), (3, 4), (5, 6)]  # samples, rows of shared angles
TINY = 400 * 2**4  # a checkpoint of four qubits; larger jobs run in parts


def settings_of(job: Job) -> int:
    return len(job.shared) * len(job.rows) * len(job.readout.settings(job.program))


@pytest.mark.parametrize("way", list(WAYS))
@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.name)
def test_expectation_values(family, way):
    job = job_of(family.name)
    executor = AerExecutor(**WAYS[way])
    np.testing.assert_allclose(executor.run(job).values, dense(job), rtol=0, atol=EXACT[way])
    assert executor.usage.settings == settings_of(job)
    assert executor.usage.shots == 0


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("way", list(WAYS))
def test_tables_of_any_shape_in_parts_of_any_size(way, shape):
    for name, like_a_shift in (("repeated_parameters", True), ("exchanges", False)):
        job = job_of(name, *shape, like_a_shift=like_a_shift)
        expected = dense(job)
        matrix = 2 if way == "density matrix" else 1
        for memory in (TINY**matrix, 8 * TINY**matrix):
            executor = AerExecutor(**WAYS[way], max_memory=memory)
            np.testing.assert_allclose(executor.run(job).values, expected, rtol=0, atol=EXACT[way])
            assert executor.usage.settings == settings_of(job)


READOUTS = {
    "all": Probabilities(),
    "some": Probabilities(qubits=(2, 0)),
    "given": Probabilities(qubits=(1,), given=((2, 1), (0, 0))),
    "given all others": Probabilities(qubits=(0, 1), given=((2, 0),)),
}


@pytest.mark.parametrize("readout", list(READOUTS))
@pytest.mark.parametrize("way", list(WAYS))
def test_probabilities(way, readout):
    job = job_of("controlled_u", 3, 5, readout=READOUTS[readout])
    result = AerExecutor(**WAYS[way]).run(job).values
    np.testing.assert_allclose(result, dense(job), rtol=0, atol=EXACT[way])


@pytest.mark.parametrize("way", list(WAYS))
def test_single_precision(way):
    job = job_of("controlled_rotations", 3, 5)
    single = AerExecutor(**WAYS[way], precision="single").run(job).values
    np.testing.assert_allclose(single, dense(job), rtol=0, atol=2e-5)
    assert single.dtype == np.float64


@pytest.mark.parametrize("way", list(WAYS))
def test_shots_do_not_depend_on_the_parts(way):
    job = job_of("controlled_rotations", 5, 6)
    matrix = 2 if way == "density matrix" else 1
    options = {**WAYS[way], "shots": 200, "seed": 3}
    whole = AerExecutor(**options).run(job).values
    pieces = AerExecutor(**options, max_memory=TINY**matrix).run(job).values
    np.testing.assert_array_equal(whole, pieces)
    assert not np.array_equal(whole, AerExecutor(**{**options, "seed": 4}).run(job).values)


@pytest.mark.parametrize("way", [w for w in WAYS if w != "automatic"])
def test_all_strategies_draw_the_same_shots(way):
    job = job_of("pauli_rotations", 3, 4, readout=Probabilities())
    default = AerExecutor(shots=500, seed=8).run(job).values
    other = AerExecutor(**WAYS[way], shots=500, seed=8).run(job).values
    # a rounding error of a probability may change a single shot
    assert np.abs(default - other).max() <= 2 / 500


@pytest.mark.parametrize("way", list(WAYS))
def test_parts_of_a_job_draw_the_same_shots(way):
    whole_job = job_of("exchanges", 4, 5, stream=Stream(call=2))
    options = {**WAYS[way], "shots": 100, "seed": 5}
    whole = AerExecutor(**options).run(whole_job).values
    part = Job(
        whole_job.program,
        whole_job.readout,
        whole_job.rows[1:3],
        whole_job.shared[2:5],
        Stream(2, first_shared=2, first_row=1),
    )
    # stacks of other sizes have other rounding errors, which may change a single shot
    difference = np.abs(AerExecutor(**options).run(part).values - whole[2:5, 1:3])
    assert np.count_nonzero(difference > 1e-9) <= 1


def pieces_of(job: Job, generator: np.random.Generator) -> list[tuple[slice, slice, Job]]:
    """Return the job in random pieces of samples, shared angles and settings."""
    edges = [
        sorted({0, n, *generator.integers(1, n, 2).tolist()})
        for n in (len(job.shared), len(job.rows))
    ]
    shared, rows = ([slice(*pair) for pair in itertools.pairwise(one)] for one in edges)
    pieces = []
    for s, r in itertools.product(shared, rows):
        first = 0
        for readout in job.readout.parts(int(generator.integers(1, 4))):
            stream = Stream(6, s.start, r.start, first)
            first += readout.num_settings
            pieces.append((s, r, Job(job.program, readout, job.rows[r], job.shared[s], stream)))
    return pieces


@pytest.mark.parametrize("shots", [None, 300])
@pytest.mark.parametrize("way", list(WAYS))
def test_cut_jobs_keep_settings_and_shots(way, shots):
    job = job_of("evolutions", 4, 5, stream=Stream(6))
    options = {**WAYS[way], "shots": shots, "seed": 5}
    whole, cut = AerExecutor(**options), AerExecutor(**options)
    expected, found = whole.run(job).values, np.zeros((5, 4, 3))
    for shared, rows, piece in pieces_of(job, np.random.default_rng(len(way))):
        found[shared, rows] += cut.run(piece).values
    assert (cut.usage.settings, cut.usage.shots) == (whole.usage.settings, whole.usage.shots)
    difference = np.abs(found - expected)
    if shots is None:
        assert difference.max() <= (2e-15 if way != "matrix product state" else 1e-8)
    else:  # other rounding errors may change a single shot
        assert np.count_nonzero(difference > 1e-9) <= 1


def test_settings_of_a_piece_are_cut_again_at_their_places():
    strings = ("ZZZ", "XXX", "YYY", "XYZ", "ZXY")  # five settings
    readout = Expectations(tuple(map(SparsePauliOp, strings)))
    job = job_of("exchanges", 2, 2, readout=readout, stream=Stream(6))
    options = {"strategy": "table", "shots": 100, "seed": 5}
    expected = AerExecutor(**options).run(job).values
    pieces, first, found = job.readout.parts(2), 0, 0.0
    assert [piece.num_settings for piece in pieces] == [2, 2, 1]
    for readout in pieces:
        part = replace(job, readout=readout, stream=Stream(6, first_setting=first))
        first += readout.num_settings
        executor = AerExecutor(**options)
        executor._strategies.limits = OneSetting(executor.max_memory)
        found = found + executor.run(part).values
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


class OneSetting(Limits):
    """Limits at which the probabilities of one setting fit into memory."""

    def settings_at_once(self, num_qubits: int) -> int:
        return 1


@pytest.mark.parametrize("way", list(WAYS))
def test_shots_scatter_about_the_exact_values(way):
    shots = 5000
    job = job_of("two_qubit_rotations", 3, 4, readout=Probabilities())
    exact = dense(job)
    executor = AerExecutor(**WAYS[way], shots=shots, seed=1)
    sampled = executor.run(job).values
    deviation = np.sqrt(exact * (1 - exact) / shots)
    assert np.all(np.abs(sampled - exact) <= 5 * deviation + 1 / shots)
    assert executor.usage.shots == 12 * shots
    np.testing.assert_allclose(sampled * shots, np.round(sampled * shots), rtol=0, atol=1e-6)


@pytest.mark.parametrize("way", list(WAYS))
def test_runs_are_counted_where_circuits_reach_aer(way, monkeypatch):
    ran = []
    run, enter = qiskit_aer.AerSimulator.run, BufferedState.__enter__

    def spy(self, circuits, **options):
        job = run(self, circuits, **options)
        ran.append(len(job.result().results))
        return job

    def spy_in_place(self):
        ran.append(0 if self.continues else 1)
        return enter(self)

    monkeypatch.setattr(qiskit_aer.AerSimulator, "run", spy)
    monkeypatch.setattr(BufferedState, "__enter__", spy_in_place)
    executor = AerExecutor(**WAYS[way])
    for name, readout in (("exchanges", None), ("repeated_parameters", Probabilities())):
        executor.run(job_of(name, 4, 9, like_a_shift=True, readout=readout))
    assert executor.usage.runs == sum(ran) > 0


@pytest.mark.parametrize("way", list(WAYS))
def test_empty_tables_run_nothing(way, aer_calls):
    for shape in ((0, 3), (2, 0), (0, 0)):
        result = AerExecutor(**WAYS[way]).run(job_of("exchanges", *shape)).values
        assert result.shape == (shape[1], shape[0], 3)
    assert aer_calls == []


@pytest.mark.parametrize("way", list(WAYS))
def test_the_same_stack_serves_other_angles(way):
    executor = AerExecutor(**WAYS[way])
    first = job_of("controlled_rotations", 3, 4)
    generator = np.random.default_rng(7)
    for samples, tables in ((4, 3), (3, 4), (2, 2), (4, 4)):
        rows = generator.uniform(-3, 3, (samples, first.program.num_row_angles))
        shared = generator.uniform(-3, 3, (tables, first.program.num_shared_angles))
        job = Job(first.program, first.readout, rows, shared)
        np.testing.assert_allclose(executor.run(job).values, dense(job), rtol=0, atol=EXACT[way])


def test_large_angles_and_exact_zeros():
    job = job_of("controlled_rotations", 2, 2)
    job.rows[0] = 0.0
    job.shared[1] = 2 * math.pi * 1000 + 0.3
    for options in WAYS.values():
        np.testing.assert_allclose(
            AerExecutor(**options).run(job).values, dense(job), rtol=0, atol=1e-8
        )
