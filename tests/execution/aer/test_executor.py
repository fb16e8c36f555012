"""Aer executor compared with matrices: streams, memory limits, and checks of arguments."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace

import numpy as np
import pytest
import qiskit_aer
from qiskit import QuantumCircuit
from qiskit_aer.noise import NoiseModel

from hybridopt.bridges.memory.circuit import MemoryProgram
from hybridopt.circuits import lower
from hybridopt.errors import (
    ArgumentError,
    ArgumentTypeError,
    DeviceError,
    ResourceError,
    UnknownNameError,
    UnsupportedError,
)
from hybridopt.execution import AerExecutor, Cost, Job, Probabilities, Stream, available_devices
from tests.execution.jobs import dense, job_of, rotations_job

HAS_GPU = "GPU" in available_devices()


def test_many_circuits_run_in_few_calls(aer_calls):
    job = rotations_job(9, 8)
    numbers = AerExecutor().run(job).values
    assert aer_calls == [64, 8]
    np.testing.assert_allclose(numbers, dense(job), rtol=0, atol=1e-12)


@pytest.mark.parametrize("shots", [None, 7])
def test_memory_limit_splits_calls_without_changing_results(shots, aer_calls):
    job = rotations_job(2, 4)
    whole = AerExecutor(shots=shots, seed=3).run(job).values
    pieces = AerExecutor(shots=shots, seed=3, max_memory=3000).run(job).values
    assert aer_calls[0] == 8
    assert max(aer_calls[1:]) == 3
    assert sum(aer_calls[1:]) == 8
    np.testing.assert_array_equal(pieces, whole)


def test_too_large_circuits_raise_before_a_run(aer_calls):
    AerExecutor(max_memory=51_000_000).check(MemoryProgram(19), Probabilities())
    message = r"`max_memory` .*50.4 MB.*20 qubits .*40 MB"
    small = AerExecutor(max_memory=40_000_000)
    with pytest.raises(ResourceError, match=message) as caught:
        small.run(Job(MemoryProgram(19), Probabilities(), np.zeros((1, 0)), np.zeros((1, 2**19))))
    assert isinstance(caught.value, MemoryError)
    assert aer_calls == []
    assert small.usage == Cost()


def test_parts_of_a_job_draw_the_same_shots():
    job = rotations_job(3, 4, stream=Stream(call=5))
    whole = AerExecutor(shots=11, seed=2).run(job).values
    for s, b in [(slice(1, 3), slice(0, 2)), (slice(0, 2), slice(3, 4))]:
        piece = Job(
            job.program, job.readout, job.rows[b], job.shared[s], Stream(5, s.start, b.start)
        )
        np.testing.assert_array_equal(AerExecutor(shots=11, seed=2).run(piece).values, whole[s, b])


def test_rows_and_calls_draw_different_shots():
    job = rotations_job(1, 1)
    same = replace(
        job, rows=np.repeat(job.rows, 2, axis=0), shared=np.repeat(job.shared, 2, axis=0)
    )
    executor = AerExecutor(shots=1000, seed=4)
    draws = np.concatenate(
        [executor.run(same).values.reshape(4, -1), executor.run(same).values.reshape(4, -1)]
    )
    assert len(np.unique(draws, axis=0)) == 8


def test_calls_are_numbered_from_zero():
    executor = AerExecutor(shots=50, seed=5)
    numbered = [executor.run(rotations_job()).values for _ in range(2)]
    for call, numbers in enumerate(numbered):
        again = AerExecutor(shots=50, seed=5).run(rotations_job(stream=Stream(call))).values
        np.testing.assert_array_equal(numbers, again)
    executor.run(rotations_job(stream=Stream(9)))  # explicit streams do not count
    assert executor.state_dict()["calls"] == 2


def test_state_dict_resumes_the_stream():
    job, executor = rotations_job(), AerExecutor(shots=50)
    executor.run(job)
    state = json.loads(json.dumps(executor.state_dict()))
    expected = executor.run(job).values
    resumed = AerExecutor(shots=50, seed=99)
    resumed.load_state_dict(state)
    np.testing.assert_array_equal(resumed.run(job).values, expected)


@pytest.mark.parametrize("job", [rotations_job(), job_of("euler_angles")], ids=["own", "table"])
def test_pickle_keeps_stream_and_usage(job):
    executor = AerExecutor(shots=50, seed=8, strategy="table")
    executor.run(job)
    copied = pickle.loads(pickle.dumps(executor))
    assert copied.usage == executor.usage
    np.testing.assert_array_equal(copied.run(job).values, executor.run(job).values)


def test_usage_counts_circuits_that_reach_aer(aer_calls):
    executor = AerExecutor(shots=10, seed=1)
    executor.run(rotations_job(2, 3))
    executor.run(rotations_job(1, 4))
    assert executor.usage == Cost(settings=10, shots=100, runs=10)
    assert sum(aer_calls) == executor.usage.settings
    exact = AerExecutor()
    exact.run(rotations_job(2, 3))
    assert exact.usage == Cost(settings=6, shots=0, runs=6)


def test_outputs_come_from_aer(monkeypatch):
    run = qiskit_aer.AerSimulator.run

    def flipped(self, circuits, **kwargs):
        for circuit in circuits:
            save = circuit.data.pop()
            circuit.x(0)
            circuit.append(save)
        return run(self, circuits, **kwargs)

    monkeypatch.setattr(qiskit_aer.AerSimulator, "run", flipped)
    job = rotations_job()
    expected = dense(job)[..., np.arange(8) ^ 1]
    np.testing.assert_allclose(AerExecutor().run(job).values, expected, rtol=0, atol=1e-12)


def test_explain_names_the_strategy_and_runs_nothing(aer_calls):
    executor = AerExecutor(shots=9, seed=1, max_memory=2000)
    text = executor.explain(rotations_job(2, 3))
    assert text.startswith("6 settings of 3 qubits on Aer statevector (CPU, double precision)")
    assert "9 shots per setting" in text
    assert "2 or fewer per call" in text
    assert ", exact. Strategy one-by-one" in AerExecutor().explain(rotations_job())
    assert aer_calls == []
    assert executor.state_dict()["calls"] == 0


def test_repr_is_the_constructor_call():
    executor = AerExecutor(shots=9, seed=1, precision="single")
    assert repr(executor) == (
        "AerExecutor(device='CPU', shots=9, method='automatic', precision='single', seed=1)"
    )
    assert repr(eval(repr(executor))) == repr(executor)


def test_device_names_ignore_case():
    assert AerExecutor("cpu").device == "CPU"
    assert AerExecutor("auto").device == ("GPU" if HAS_GPU else "CPU")


@pytest.mark.skipif(HAS_GPU, reason="this build of Aer has a GPU")
def test_missing_gpu_raises():
    with pytest.raises(DeviceError, match="pip install qiskit-aer-gpu"):
        AerExecutor("gpu")


REFUSED = [
    ({"shots": 0}, ArgumentError, "`shots`"),
    ({"shots": 1e3}, ArgumentTypeError, "`shots`"),
    ({"shots": 2**63}, ArgumentError, "`shots`"),
    ({"seed": True}, ArgumentTypeError, "`seed`"),
    ({"seed": -1}, ArgumentError, "`seed`"),
    ({"device": "CUP"}, UnknownNameError, "'CPU'"),
    ({"device": 3}, ArgumentTypeError, "device"),
    ({"method": "statevectr"}, UnknownNameError, "'statevector'"),
    ({"strategy": "stack"}, UnknownNameError, "'stacked'"),
    ({"strategy": "stacked", "method": "density_matrix"}, UnsupportedError, "`strategy`"),
    ({"strategy": "checkpoints", "noise_model": NoiseModel()}, UnsupportedError, "`strategy`"),
    ({"method": "statevector", "noise_model": NoiseModel()}, UnsupportedError, "`method`"),
    ({"precision": "dubble"}, UnknownNameError, "'double'"),
    ({"noise_model": object()}, ArgumentTypeError, "`noise_model`"),
    ({"max_memory": 0}, ArgumentError, "`max_memory`"),
]


@pytest.mark.wrong_types
@pytest.mark.parametrize(("arguments", "error", "name"), REFUSED, ids=lambda a: str(a)[:30])
def test_wrong_arguments_raise(arguments, error, name, aer_calls):
    with pytest.raises(error, match=name):
        AerExecutor(**arguments)
    assert aer_calls == []


def without_angles(num_qubits: int) -> Job:
    nothing = np.zeros((1, 0))
    return Job(lower(QuantumCircuit(num_qubits)), Probabilities(), nothing, nothing)


REFUSED_JOBS = [
    (lambda: QuantumCircuit(2), ArgumentTypeError, "`job` .*QuantumCircuit"),
    (lambda: replace(rotations_job(), program=QuantumCircuit(2)), ArgumentTypeError, "`program`"),
    (lambda: replace(rotations_job(), readout=["ZII"]), ArgumentTypeError, "`readout`"),
    (lambda: replace(rotations_job(), readout=Probabilities((4,))), ArgumentError, "4"),
    (lambda: without_angles(0), ArgumentError, "1 qubit .*0"),
    (lambda: without_angles(40), ResourceError, "40 qubits"),
]


@pytest.mark.wrong_types
@pytest.mark.parametrize("verb", ["run", "explain"])
@pytest.mark.parametrize(("job", "error", "named"), REFUSED_JOBS, ids=range(len(REFUSED_JOBS)))
def test_wrong_jobs_raise(verb, job, error, named, aer_calls):
    with pytest.raises(error, match=named):
        getattr(AerExecutor(), verb)(job())
    assert aer_calls == []
