"""The rule that cuts jobs: pieces cover a job once, and are neither too small nor too large."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit_aer.noise import NoiseModel, depolarizing_error

from hybridopt.execution import AerExecutor, Expectations, Stream
from hybridopt.execution.dask.cutting import LARGEST_PIECE, SMALLEST_PIECE, Work, cut, work_of
from tests.execution.jobs import job_of, rotations_job

WORK = Work("table", 0.01, 0.001, own_runs=False, can_cut_settings=True, rows_per_piece=1,
            settings_at_once=1000)  # fmt: skip
sizes = st.tuples(st.integers(1, 40), st.integers(1, 40), st.integers(1, 30))


@settings(max_examples=200, deadline=None)
@given(
    sizes,
    st.floats(1e-3, 1e3),
    st.integers(1, 50),
    st.booleans(),
    st.sampled_from(["table", "checkpoints", "stacked"]),
    st.integers(1, 8),
)
def test_pieces_cover_each_setting_once(sizes, factor, workers, own_runs, strategy, rows):
    work = replace(WORK, own_runs=own_runs, strategy=strategy, rows_per_piece=rows)
    plan = cut(sizes, work, factor, workers)
    covered = np.zeros(sizes, dtype=int)
    for piece in plan.pieces():
        covered[piece.shared, piece.rows, piece.settings] += 1
        assert min(piece.sizes) >= 1
    assert (covered == 1).all()
    assert plan.seconds == pytest.approx(factor * work.seconds(sizes))
    assert plan.count * SMALLEST_PIECE <= max(plan.seconds, SMALLEST_PIECE) * (1 + 1e-9)


def test_small_jobs_are_not_cut():
    assert cut((5, 1, 1), WORK, 1.0, 8).count == 1  # 55 ms
    assert cut((10, 1, 1), WORK, 1.0, 8).count == 2  # 110 ms


def test_number_of_pieces_follows_workers_and_time():
    assert cut((1000, 1, 1), WORK, 1.0, 3).count == 12
    assert cut((10, 100, 1), WORK, 1.0, 3).parts == (1, 12, 1)  # the longer table first
    assert cut((4, 5, 1), WORK, 10.0, 3).parts == (3, 5, 1)
    long = cut((1000, 1, 1), WORK, 100.0, 3)  # 1100 s
    assert long.seconds / long.count <= LARGEST_PIECE


def test_samples_stay_together_if_circuits_share_states():
    work = replace(WORK, strategy="checkpoints")
    assert cut((1000, 12, 1), work, 0.5, 3).parts == (1, 12, 1)
    stacked = replace(WORK, strategy="stacked", rows_per_piece=16)
    assert cut((1, 64, 1), stacked, 1.0, 3).parts == (1, 4, 1)
    assert cut((1, 8, 1), stacked, 10.0, 3).parts == (1, 1, 1)


def test_settings_are_cut_where_little_is_repeated():
    repeated = replace(WORK, circuit=1.0, setting=0.001)
    assert cut((1, 1, 100), repeated, 1.0, 3).parts == (1, 1, 1)
    assert cut((1, 1, 100), replace(repeated, own_runs=True), 1.0, 3).parts == (1, 1, 12)
    shared = replace(WORK, circuit=0.1, setting=0.01)  # a quarter of 1.1 s is 2.75 circuits
    assert cut((1, 1, 100), shared, 1.0, 3).parts == (1, 1, 3)
    whole = replace(WORK, own_runs=True, can_cut_settings=False)
    assert cut((1, 1, 100), whole, 1.0, 3).parts == (1, 1, 1)


def test_parts_of_settings_fit_into_memory():
    work = replace(WORK, own_runs=True, settings_at_once=2)
    assert cut((1, 1, 100), work, 1.0, 3).parts == (1, 1, 50)


def test_part_of_a_job_has_its_position():
    job = job_of("pauli_rotations", 5, 4, stream=Stream(3, 10, 20, 30))
    work = replace(WORK, own_runs=True)
    assert isinstance(job.readout, Expectations)
    plan = cut((4, 5, job.readout.num_settings), work, 100.0, 20)
    assert min(plan.parts) > 1
    for piece in plan.pieces():
        part = piece.of(job)
        first = 10 + piece.shared.start, 20 + piece.rows.start, 30 + piece.settings.start
        assert part.stream == Stream(3, *first)
        np.testing.assert_array_equal(part.rows, job.rows[piece.rows])
        assert part.readout.groups == job.readout.groups[piece.settings]


NOISE = NoiseModel()
NOISE.add_all_qubit_quantum_error(depolarizing_error(0.01, 2), ["cx"])


@pytest.mark.parametrize(
    ("options", "strategy", "own_runs"),
    [
        ({}, "in-place", False),
        ({"strategy": "stacked"}, "stacked", False),
        ({"method": "matrix_product_state"}, "table", False),
        ({"noise_model": NOISE}, "table", True),
        ({"noise_model": NOISE, "shots": 10, "method": "statevector"}, "measured", True),
    ],
)
def test_work_follows_the_strategy(options, strategy, own_runs):
    executor = AerExecutor(**options)
    job = job_of("pauli_rotations", whole=not executor.has_noise)
    work = work_of(job, executor)
    assert (work.strategy, work.own_runs) == (strategy, own_runs)
    assert work.circuit > 0
    assert (work.rows_per_piece > 1) == (strategy in {"in-place", "stacked"})


def test_trajectories_cost_time_per_shot():
    few, many = (
        work_of(
            job_of("pauli_rotations", whole=False),
            AerExecutor(noise_model=NOISE, method="statevector", shots=shots),
        )
        for shots in (10, 1000)
    )
    assert many.circuit == pytest.approx(100 * few.circuit)


def test_programs_with_own_circuits_are_estimated_by_memory():
    job = rotations_job()
    assert work_of(job, AerExecutor()).circuit == pytest.approx(2e-9 * job.program.working_memory())
