"""Runs on Dask clusters: threads of this process, and processes that are killed."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading

import numpy as np
import pytest
import torch
from distributed import Client, LocalCluster
from qiskit.providers.fake_provider import GenericBackendV2
from torch import nn

import hybridopt as ho
from hybridopt.compare import Budget, Tuning
from hybridopt.compare import cluster as clusters
from hybridopt.compare.resampling import Experiment
from hybridopt.errors import (
    ArgumentError,
    ArgumentTypeError,
    ConversionError,
    ExecutionError,
    MissingExtraError,
)

from .conftest import quick

pytestmark = pytest.mark.usefixtures("no_page")
ADDRESS = "--scheduler", "tcp://127.0.0.1:1"


@pytest.fixture(scope="module")
def client():
    """Client of a cluster whose only worker has two threads of this process."""
    options = {"n_workers": 1, "threads_per_worker": 2, "processes": False}
    with (
        LocalCluster(**options, dashboard_address=":0", silence_logs=logging.CRITICAL) as cluster,
        Client(cluster) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def processes():
    """Client of a cluster of one process, which starts again when it is killed."""
    options = {"n_workers": 1, "threads_per_worker": 1, "dashboard_address": ":0"}
    with (
        LocalCluster(**options, silence_logs=logging.CRITICAL) as cluster,
        Client(cluster) as client,
    ):
        yield client


def timeless(study: ho.Study) -> list[dict[str, object]]:
    """Return the runs without the times, which differ."""
    return [_without_seconds(run.to_dict()) for run in study.runs]


def _without_seconds(value):
    if isinstance(value, dict):
        return {k: _without_seconds(one) for k, one in value.items() if "seconds" not in k}
    return [_without_seconds(one) for one in value] if isinstance(value, list | tuple) else value


def test_runs_are_those_of_one_process(client, tmp_path, capsys, monkeypatch):
    noisy = ho.AerExecutor(noise_model=GenericBackendV2(2, seed=1), shots=20, seed=2)
    schedule = [(ho.AerExecutor(shots=9), 3), (noisy, 1)]
    task = {
        "methods": [ho.Method("gd", executor=schedule), "twin+gd"],
        "network": lambda: nn.Sequential(
            nn.Dropout(0.2), ho.DressedCircuit(4, 3, num_qubits=2, depth=1)
        ).double(),
        "data": ho.load_dataset("iris", seed=0).test,  # 30 samples
        "judge": ho.AerExecutor(shots=30, seed=1), "budget": 2, "tuning": 2,
    }  # fmt: skip
    alone = quick(**task)
    spread = quick(client=client, output=tmp_path, progress=True, **task)
    assert timeless(spread) == timeless(alone)
    assert spread.failures == []
    shown = capsys.readouterr().err
    assert "4/4" in shown
    assert torch.get_default_dtype() == torch.float32
    monkeypatch.setattr(clusters, "make_run", None)  # nothing may be trained again
    assert quick(client=client, output=tmp_path, **task).runs == spread.runs


def stops():
    sys.exit("no licence")


def test_an_exit_is_a_failed_run(client, monkeypatch):
    monkeypatch.setattr(clusters, "make_run", lambda *_: stops())
    study = quick(client=client, methods=["adam"])
    assert {run.error for run in study.failures} == {"SystemExit: no licence"}


def test_a_default_dtype_is_that_of_the_caller(client):
    torch.set_default_dtype(torch.float64)
    try:
        study, alone = quick(client=client, methods=["adam"]), quick(methods=["adam"])
    finally:
        torch.set_default_dtype(torch.float32)
    assert timeless(study) == timeless(alone)


class Elsewhere:
    """A loss whose module the workers do not have."""

    def __call__(self, outputs, y):
        return nn.functional.cross_entropy(outputs, y)

    def __reduce__(self):
        return _only_here, ()


def _only_here():
    if threading.current_thread() is not threading.main_thread():
        raise ModuleNotFoundError("No module named 'elsewhere'")
    return Elsewhere()


class Unpicklable(Elsewhere):
    def __reduce__(self):
        raise TypeError("holds a lock")


def test_data_that_workers_cannot_read(client):
    with pytest.raises(ArgumentError, match=r"picklable.*holds a lock.*`client`"):
        quick(client=client, loss=Unpicklable())
    with pytest.raises(ArgumentError, match=r"ModuleNotFoundError.*elsewhere"):
        quick(client=client, loss=Elsewhere())
    hooked = nn.Linear(4, 3)
    hooked.weight.register_hook(torch.abs)  # pickle would lose it
    with pytest.raises(ConversionError, match=r"`weight` .*`client`"):
        quick(client=client, network=hooked)


def test_workers_with_other_versions_end_the_comparison(client, monkeypatch):
    found = clusters.installed_versions()
    monkeypatch.setattr(clusters.cluster, "installed_versions", lambda: found)
    answers = iter([found])  # those of the caller; then those of the workers
    monkeypatch.setattr(
        clusters, "installed_versions", lambda: next(answers, {**found, "qiskit": "9.9"})
    )
    with pytest.raises(ExecutionError, match=r"9\.9.*same packages"):
        quick(client=client, methods=["adam"])


@pytest.mark.wrong_types
def test_refused_clients(client, monkeypatch):
    with pytest.raises(ArgumentTypeError, match="`client`"):
        quick(client="tcp://127.0.0.1:8786")
    for workers in (2, None):
        with pytest.raises(ArgumentError, match=r"`workers`.*`client`"):
            quick(client=client, workers=workers)
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "distributed", None)
        with pytest.raises(MissingExtraError, match=r"pip install .*\[dask\]"):
            quick(client=client)
        with pytest.raises(MissingExtraError, match=r"\[dask\]"), clusters.connected("tcp://x:1"):
            pass


def test_a_cluster_without_workers():
    options = {"n_workers": 0, "processes": False, "dashboard_address": ":0"}
    with LocalCluster(**options) as cluster, Client(cluster) as client:
        engine = clusters.DaskCluster(client, timeout=0.1)
        experiment = Experiment("mlp:4-3", "iris", True, Budget(1), Tuning(1), None, None)
        with pytest.raises(ExecutionError, match=cluster.scheduler_address):
            next(engine.run(experiment, [], lambda *_: None))


def test_an_address_without_a_scheduler(monkeypatch):
    monkeypatch.setattr(clusters, "SECONDS_TO_CONNECT", 0.2)
    with pytest.raises(ExecutionError, match=r"127\.0\.0\.1:1"), clusters.connected(ADDRESS[1]):
        pass


def deadly(folder):
    """Return a function that kills the worker in runs with seed 1, and counts its deaths."""
    seeded = int(np.random.SeedSequence(1).generate_state(1)[0])
    caller = os.getpid()

    def network():
        if os.getpid() != caller and torch.initial_seed() == seeded:
            (folder / str(os.getpid())).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return nn.Linear(4, 3)

    return network


@pytest.mark.slow
def test_a_run_whose_worker_dies_three_times_is_a_failed_run(processes, tmp_path, monkeypatch):
    # on a busy machine, a worker that died may take longer than the default to start again
    monkeypatch.setattr(clusters.DaskCluster.__init__, "__defaults__", (300.0,))
    study = quick(client=processes, network=deadly(tmp_path), methods=["adam"])
    alone = quick(network=lambda: nn.Linear(4, 3), methods=["adam"])
    (failure,) = study.failures
    assert (failure.method, failure.seed) == ("adam", 1)
    assert "3 workers died" in failure.error
    assert len(list(tmp_path.iterdir())) == clusters.DEATHS
    kept = [run for run in timeless(alone) if run["seed"] != 1]
    assert [run for run in timeless(study) if run["status"] == "done"] == kept
