"""Jobs: pickling, outputs, and checks of their tables."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest
from qiskit_aer.noise import NoiseModel, depolarizing_error

from hybridopt.bridges.memory.circuit import MemoryProgram
from hybridopt.errors import ArgumentError, ArgumentTypeError
from hybridopt.execution import AerExecutor, Job, Probabilities, Stream
from tests.execution.jobs import dense, job_of, rotations_job

NOISE = NoiseModel()
NOISE.add_all_qubit_quantum_error(depolarizing_error(0.02, 2), ["cx"])


def test_job_is_picklable():
    job = rotations_job(2, 3, stream=Stream(4, 1, 2))
    copied = pickle.loads(pickle.dumps(job))
    assert (copied.program, copied.readout, copied.stream) == (
        job.program,
        job.readout,
        Stream(call=4, first_shared=1, first_row=2),
    )
    np.testing.assert_array_equal(copied.rows, job.rows)
    np.testing.assert_array_equal(copied.shared, job.shared)


@pytest.mark.parametrize("num_index_qubits", [1, 3, 4])
def test_probabilities_read_every_outcome(num_index_qubits):
    outputs = Probabilities().num_outputs(MemoryProgram(num_index_qubits))
    assert outputs == 2 * 2**num_index_qubits


@pytest.mark.parametrize(
    ("rows", "shared", "named"),
    [
        (np.zeros((1, 0)), np.zeros((1, 5)), "`shared` .*4.*5"),
        (np.zeros((1, 3)), np.zeros((1, 4)), "`rows` .*0.*3"),
        (np.zeros((1, 0)), np.full((1, 4), np.nan), "Angle 0 of `shared` .*nan"),
    ],
)
def test_tables_that_do_not_fit_the_program_raise(rows, shared, named, aer_calls):
    job = Job(MemoryProgram(2), Probabilities(), rows, shared)
    with pytest.raises(ArgumentError, match=named):
        AerExecutor().run(job)
    assert aer_calls == []


@pytest.mark.wrong_types
@pytest.mark.parametrize("name", ["rows", "shared"])
@pytest.mark.parametrize(
    ("table", "error", "value"),
    [
        (np.zeros((1, 1, 1)), ArgumentError, r"\(1, 1, 1\)"),
        ([[0.5]], ArgumentTypeError, "list"),
        (np.zeros((1, 1), complex), ArgumentTypeError, "complex128"),
        (np.array([[None]]), ArgumentTypeError, "object"),
        (np.array([[True]]), ArgumentTypeError, "bool"),
    ],
)
def test_tables_of_other_types_raise(name, table, error, value):
    tables = {"rows": np.zeros((1, 3)), "shared": np.zeros((1, 3)), name: table}
    with pytest.raises(error, match=f"`{name}` .*{value}"):
        Job(rotations_job().program, Probabilities(), **tables)


@pytest.mark.wrong_types
def test_tables_of_other_real_types_are_converted():
    job = Job(rotations_job().program, Probabilities(), np.arange(3)[None], np.float32([[0, 1, 2]]))
    assert job.rows.dtype == job.shared.dtype == np.float64
    same = Job(job.program, Probabilities(), np.float64([[0, 1, 2]]), np.float64([[0, 1, 2]]))
    np.testing.assert_array_equal(AerExecutor().run(job).values, AerExecutor().run(same).values)


@pytest.mark.wrong_types
def test_other_streams_raise():
    with pytest.raises(ArgumentTypeError, match=r"`stream` .*int"):
        Job(MemoryProgram(2), Probabilities(), np.zeros((1, 0)), np.zeros((1, 4)), 3)


SIMULATIONS = {
    "state vectors": {},
    "table": {"strategy": "table"},
    "matrix product states": {"method": "matrix_product_state"},
    "density matrices": {"noise_model": NOISE},
    "trajectories": {"noise_model": NOISE, "method": "statevector"},
}


@pytest.mark.parametrize("options", SIMULATIONS.values(), ids=SIMULATIONS)
def test_shots_of_a_job_take_the_place_of_those_of_the_executor(options):
    job = replace(job_of("euler_angles", 2, 2), stream=Stream(3))
    expected = AerExecutor(shots=40, seed=7, **options)
    values = expected.run(job).values
    owned = [9] if options.get("method") == "statevector" else [9, None]
    for own in owned:  # trajectories need shots
        executor = AerExecutor(shots=own, seed=7, **options)
        np.testing.assert_array_equal(executor.run(replace(job, shots=40)).values, values)
        assert executor.usage == expected.usage
        assert "40 shots per setting" in executor.explain(replace(job, shots=40))
        assert executor.shots == own


def test_shots_of_a_job_of_own_circuits():
    job = rotations_job(stream=Stream(3))
    values = AerExecutor(shots=40, seed=7).run(job).values
    executor = AerExecutor(seed=7)
    np.testing.assert_array_equal(executor.run(replace(job, shots=40)).values, values)
    np.testing.assert_allclose(executor.run(job).values, dense(job), atol=1e-12)
    assert executor.usage.shots == 40 * executor.usage.settings // 2


@pytest.mark.wrong_types
@pytest.mark.parametrize(("shots", "error"), [(0, ArgumentError), (2.5, ArgumentTypeError)])
def test_other_shots_of_a_job_raise(shots, error):
    with pytest.raises(error, match="`shots`"):
        replace(rotations_job(), shots=shots)


def test_precision_sets_the_shots_of_a_job():
    job = replace(rotations_job(), stream=Stream(3))
    expected = AerExecutor(seed=7).run(replace(job, shots=400))
    found = AerExecutor(shots=9, seed=7).run(replace(job, precision=0.05))
    np.testing.assert_array_equal(found.values, expected.values)
    np.testing.assert_array_equal(found.variances, expected.variances)
    assert found.cost == expected.cost
    assert found.cost.shots == 400 * found.cost.settings


def test_results_hold_the_cost_of_their_job_alone():
    executor = AerExecutor(shots=30)
    first = executor.run(rotations_job(2, 3))
    second = executor.run(rotations_job(1, 4))
    assert (first.cost.settings, second.cost.settings) == (6, 4)
    assert first.cost + second.cost == executor.usage
    assert pickle.loads(pickle.dumps(first)).cost == first.cost
    assert AerExecutor().run(rotations_job(2, 3)).variances is None


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"precision": 0.0}, ArgumentError),
        ({"precision": float("nan")}, ArgumentError),
        ({"precision": "0.1"}, ArgumentTypeError),
        ({"precision": 0.1, "shots": 100}, ArgumentError),
    ],
)
def test_other_precisions_of_a_job_raise(options, error):
    with pytest.raises(error, match="`precision`"):
        replace(rotations_job(), **options)
