"""DaskExecutor: the numbers and the account of one process, for every kind of executor and cut."""

from __future__ import annotations

import copy
import os
import pickle
import signal
import sys
import threading

import numpy as np
import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from qiskit_aer.noise import NoiseModel, ReadoutError, depolarizing_error

import hybridopt as ho
from hybridopt.errors import (
    ArgumentError,
    ArgumentTypeError,
    ExecutionError,
    MissingExtraError,
    ResourceError,
    UnsupportedError,
)
from hybridopt.execution import Job, Probabilities, Stream
from hybridopt.execution.dask import cutting
from hybridopt.execution.dask import executor as module
from tests.execution.dask.fake_client import ADDRESS, FakeClient
from tests.execution.jobs import job_of, rotations_job
from tests.execution.test_executor import Relay

NOISE = NoiseModel()
NOISE.add_all_qubit_quantum_error(depolarizing_error(0.02, 2), ["cx"])
READOUT = copy.deepcopy(NOISE)
READOUT.add_all_qubit_readout_error(ReadoutError([[0.97, 0.03], [0.06, 0.94]]))
MITIGATED = {"noise_model": READOUT, "readout_mitigation": "inverse", "shots": 50, "seed": 5}
KINDS = {
    "exact": {},
    "shots": {"shots": 50, "seed": 5},
    "noise": {"noise_model": NOISE},
    "noise and shots": {"noise_model": NOISE, "shots": 50, "seed": 5},
    "trajectories": {"noise_model": NOISE, "shots": 5, "seed": 5, "method": "statevector"},
    "product states": {"method": "matrix_product_state", "shots": 50, "seed": 5},
    "random seed": {"shots": 50},
    "mitigated": MITIGATED,
    "mitigated trajectories": {**MITIGATED, "shots": 5, "method": "statevector"},
}
CUTS = [(1, 1, 3), (1, 3, 1), (2, 1, 1), (2, 3, 1), (2, 3, 3)]  # parts of S, B and G


def pair(client, **options):
    """Return an executor and another of equal seed on the cluster."""
    one = ho.AerExecutor(**options)
    other = ho.AerExecutor(**options)
    other.load_state_dict(one.state_dict())
    return one, ho.DaskExecutor(client, other)


def cut_into(monkeypatch, parts):
    """Cut every job into these numbers of parts."""

    def always(sizes, work, factor, workers):
        return cutting.Cut(sizes, parts, work.seconds(sizes), work)

    monkeypatch.setattr(module, "cut", always)


@pytest.fixture
def cut_small(monkeypatch):
    """Cut also tiny jobs by the rule."""
    monkeypatch.setattr(cutting, "SMALLEST_PIECE", 1e-9)


def assert_equal(found, expected, *, exact=False):
    tolerance = {"rtol": 0, "atol": 1e-14} if exact else {"rtol": 0, "atol": 0}
    np.testing.assert_allclose(found.values, expected.values, **tolerance)
    if expected.variances is None:
        assert found.variances is None
    else:
        np.testing.assert_array_equal(found.variances, expected.variances)
    counted = [(cost.settings, cost.shots) for cost in (found.cost, expected.cost)]
    assert counted[0] == counted[1]


@pytest.mark.parametrize("parts", CUTS, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_results_do_not_depend_on_the_cut(kind, parts, monkeypatch):
    cut_into(monkeypatch, parts)
    client = FakeClient()
    one, many = pair(client, **KINDS[kind])
    for seed in (0, 1):
        job = job_of("pauli_rotations", 3, 2, whole=many.lowering == "whole", seed=seed)
        found, expected = many.run(job), one.run(job)
        assert_equal(found, expected, exact=kind == "exact")
    assert client.calls == {"run_piece": 2 * np.prod(parts), "_unpack": 5}
    assert (many.usage.settings, many.usage.shots) == (one.usage.settings, one.usage.shots)
    assert many.state_dict() == one.state_dict()


def test_parts_that_memory_requires_are_added_up_as_in_one_process(monkeypatch):
    job = job_of("pauli_rotations", 2, 1)
    limits = {"shots": 40, "seed": 3, "max_memory": "1 kB"}  # 2 settings at once
    one, many = pair(FakeClient(), **limits)
    assert one._strategies.settings_at_once(job) < job.readout.num_settings
    cut_into(monkeypatch, (1, 1, job.readout.num_settings))
    assert_equal(many.run(job), one.run(job))


@pytest.mark.parametrize("readout", [Probabilities((0, 2)), Probabilities((1,), ((0, 1),))])
def test_probabilities(readout, cut_small):
    one, many = pair(FakeClient(), shots=30, seed=1)
    job = job_of("pauli_rotations", 5, 4, readout=readout)
    assert_equal(many.run(job), one.run(job))


def test_programs_with_their_own_circuits(cut_small):
    client = FakeClient()
    one, many = pair(client, shots=30, seed=1)
    job = rotations_job(3, 4)
    assert_equal(many.run(job), one.run(job))
    assert client.calls["run_piece"] == 8


def test_jobs_keep_their_own_stream_shots_and_precision(cut_small):
    one, many = pair(FakeClient(), shots=30, seed=1)
    whole = job_of("pauli_rotations", 4, 3)
    for options in ({"stream": Stream(7, 1, 2, 3)}, {"shots": 11}, {"precision": 0.2}):
        job = Job(whole.program, whole.readout, whole.rows, whole.shared, **options)
        assert_equal(many.run(job), one.run(job))


def test_shift_tables_travel_as_differences(cut_small):
    job = job_of("feature_map_and_ansatz", 2, 60, like_a_shift=True)
    one, many = pair(FakeClient(), shots=20, seed=2)
    assert_equal(many.run(job), one.run(job))


@pytest.mark.parametrize("shape", [(0, 3), (3, 0)])
def test_empty_jobs_run_here(shape):
    client = FakeClient()
    one, many = pair(client)
    job = job_of("pauli_rotations", *shape)
    assert many.run(job).values.shape == one.run(job).values.shape
    assert not client.calls


def test_small_jobs_run_here():
    client = FakeClient()
    one, many = pair(client, shots=9, seed=1)
    job = job_of("pauli_rotations")
    assert_equal(many.run(job), one.run(job))
    assert not client.calls
    assert "In this process" in many.explain(job)
    assert ADDRESS in many.explain(job)


def test_explain_names_the_pieces(cut_small):
    many = ho.DaskExecutor(FakeClient(workers=1), ho.AerExecutor(shots=9))
    text = many.explain(job_of("pauli_rotations", 4, 4))
    assert "4 pieces (4 of shared angles) for 1 workers" in text
    assert "9 shots per setting" in text  # of a piece


def test_measured_times_correct_the_estimate(monkeypatch):
    executor = ho.DaskExecutor(FakeClient(), ho.AerExecutor())
    job = job_of("pauli_rotations", 6, 6)
    executor.run(job)
    before = executor._cut(job, 1).seconds
    work = executor._cut(job, 1).work
    for seconds, expected in ((10.0, 10.0), (20.0, 15.0), (5.0, 5.0)):
        executor._factors.clear() if expected == 10.0 else None
        executor._learn(job, executor._cut(job, 1), (6, 6, 3), seconds)
        assert executor._cut(job, 1).seconds == pytest.approx(expected * 1.0)
    assert before > 0
    assert work is not None


def test_objects_are_sent_once_and_dropped_with_the_program(cut_small):
    client = FakeClient()
    many = ho.DaskExecutor(client, ho.AerExecutor(shots=10))
    job = job_of("pauli_rotations", 4, 4)
    for _ in range(3):
        many.run(job)
    assert client.calls["_unpack"] == 3  # executor, program and readout
    assert len(many._kept._records) == 3
    del job
    assert len(many._kept._records) == 1


def test_lost_pieces_are_sent_again(cut_small):
    client = FakeClient()
    one, many = pair(client, shots=10, seed=0)
    job = job_of("pauli_rotations", 4, 4)
    client.lose = 3
    assert_equal(many.run(job), one.run(job))
    assert (many.usage.settings, many.usage.shots) == (one.usage.settings, one.usage.shots)
    client.lose = 1000
    with pytest.raises(ExecutionError, match="lost task"):
        many.run(job)


def test_errors_of_workers_are_raised(cut_small, monkeypatch):
    client = FakeClient()
    many = ho.DaskExecutor(client, ho.AerExecutor())

    def fail(self, job):
        raise ResourceError("too small")

    monkeypatch.setattr(ho.AerExecutor, "run", fail)
    with pytest.raises(ResourceError, match="too small"):
        many.run(job_of("pauli_rotations", 4, 4))
    assert many.usage == ho.Cost()
    assert client.cancelled == client.calls["run_piece"] - 1


def test_layers_train_with_the_same_numbers(cut_small):
    w, x = Parameter("w"), Parameter("x")
    circuit = QuantumCircuit(3)
    circuit.ry(x, 0)
    circuit.cx(0, 1)
    circuit.rx(w, 1)
    circuit.cx(1, 2)
    one, many = pair(FakeClient(), shots=25, seed=4, noise_model=NOISE)
    gradients = []
    for executor in (one, many):
        layer = ho.CircuitLayer(circuit, [x], [w], ["IZZ", "XXX"], executor=executor, initial=[0.4])
        inputs = torch.linspace(-1, 1, 3).unsqueeze(1)
        for _ in range(2):
            layer(inputs).square().sum().backward()
        gradients.append(layer.weight.grad)
    assert torch.equal(*gradients)


def test_noise_of_devices_and_layouts_is_that_of_the_executor():
    from qiskit_ibm_runtime.fake_provider import FakeManilaV2

    inner = ho.AerExecutor(noise_model=FakeManilaV2(), layout=[3, 4, 2])
    many = ho.DaskExecutor(FakeClient(), inner)
    circuit = QuantumCircuit(3)
    circuit.cx(0, 2)
    assert many.has_noise
    assert many.lowering == inner.lowering == "elementary"
    assert many.place(circuit).virtual_qubits == inner.place(circuit).virtual_qubits


def test_adjoint_is_refused_with_the_remedy():
    circuit = ho.load_circuit("strongly_entangling")
    executor = ho.DaskExecutor(FakeClient())
    with pytest.raises(UnsupportedError, match="parameter-shift"):
        ho.CircuitLayer(*circuit, executor=executor, gradient="adjoint")


def test_deep_copies_are_the_executor_and_pickles_are_refused():
    executor = ho.DaskExecutor(FakeClient(), ho.AerExecutor(shots=3))
    assert copy.deepcopy(executor) is executor
    with pytest.raises(ArgumentTypeError, match="pickle"):
        pickle.dumps(executor)


def test_copies_have_their_own_stream(cut_small):
    executor = ho.DaskExecutor(FakeClient(), ho.AerExecutor(shots=30, seed=1))
    job = job_of("pauli_rotations", 4, 4)
    own = copy.copy(executor)
    first = executor.run(job)
    assert executor.state_dict()["calls"] == 1
    assert own.state_dict()["calls"] == 0
    np.testing.assert_array_equal(own.run(job).values, first.values)


def test_files_have_the_executor_of_the_pieces(tmp_path):
    circuit = ho.load_circuit("strongly_entangling")
    executor = ho.DaskExecutor(FakeClient(), ho.AerExecutor(shots=30, seed=1))
    layer = ho.CircuitLayer(*circuit, executor=executor)
    layer(torch.rand(2, layer.in_features))
    ho.save(layer, tmp_path / "layer.ho")
    loaded = ho.load(tmp_path / "layer.ho")
    assert type(loaded.executor) is ho.AerExecutor
    assert loaded.executor.state_dict() == executor.state_dict()
    assert executor.settings() == {"class": "AerExecutor", **loaded.executor.settings()}


def test_estimators_of_scikit_learn_restart_the_stream():
    from hybridopt.sklearn.base import _restarted

    executor = ho.DaskExecutor(FakeClient(), ho.AerExecutor(shots=30, seed=1))
    executor.run(job_of("pauli_rotations"))
    own = _restarted(executor, 3)
    assert own.state_dict()["calls"] == 0
    assert executor.state_dict()["calls"] == 1


@pytest.mark.wrong_types
def test_bad_arguments_are_refused():
    client = FakeClient()
    with pytest.raises(ArgumentTypeError, match="`client`"):
        ho.DaskExecutor("tcp://scheduler:8786")
    with pytest.raises(ArgumentTypeError, match="`executor`"):
        ho.DaskExecutor(client, Relay())
    with pytest.raises(UnsupportedError, match="`executor`"):
        ho.DaskExecutor(client, ho.DaskExecutor(client))
    with pytest.raises(ArgumentError, match="`timeout`"):
        ho.DaskExecutor(client, timeout=-1)
    with pytest.raises(ArgumentTypeError, match="`job`"):
        ho.DaskExecutor(client).run("job")
    with pytest.raises(UnsupportedError, match="`discarded_weight`"):
        _ = ho.DaskExecutor(client).discarded_weight
    with pytest.raises(ResourceError, match="`max_memory`"):
        ho.DaskExecutor(client, ho.AerExecutor(max_memory=10)).run(job_of("pauli_rotations"))


def test_missing_package_names_the_install_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'hybridopt-qiskit\[dask\]'"):
        ho.DaskExecutor(None)


@pytest.mark.slow
def test_cluster_gives_the_numbers_of_one_process(client, monkeypatch):
    cut_into(monkeypatch, (2, 1, 3))
    one, many = pair(client, **KINDS["trajectories"])
    job = job_of("pauli_rotations", 1, 2, whole=False)
    assert_equal(many.run(job), one.run(job))


@pytest.mark.slow
def test_killed_workers_change_no_number_and_no_account(client, cluster, monkeypatch):
    cut_into(monkeypatch, (1, 4, 1))
    one, many = pair(client, noise_model=NOISE, shots=60, seed=5, method="statevector")
    job = job_of("pauli_rotations", 4, 2, whole=False)
    assert_equal(many.run(job), one.run(job))  # workers are ready
    for number in range(2):
        victim = sorted(client.run(os.getpid).values())[number]
        killer = threading.Timer(0.02, os.kill, (victim, signal.SIGKILL))
        killer.start()
        found, expected = many.run(job), one.run(job)
        assert_equal(found, expected)
        killer.join()
        client.wait_for_workers(2, timeout=300)
        assert victim not in client.run(os.getpid).values()
    assert many.usage == one.usage
