"""Connection to a cluster: workers, versions, threads, kept data, lost tasks, and clear errors."""

from __future__ import annotations

import os
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
import qiskit_aer
from distributed import Client, KilledWorker

from hybridopt.errors import ArgumentError, ExecutionError
from hybridopt.execution import AerExecutor
from hybridopt.execution.aer import simulator
from hybridopt.execution.dask import cluster as module
from hybridopt.execution.dask.cluster import Cluster, TaskLostError, set_threads
from tests.execution.dask.fake_client import ADDRESS, FakeClient
from tests.execution.jobs import job_of


def square(number):
    return number**2


def fail():
    raise KeyError("boom")


def end_workers():
    raise KilledWorker("task", SimpleNamespace(address="tcp://worker:7"), 3)


def test_each_worker_is_checked_once():
    client = FakeClient(workers=2)
    cluster = Cluster(client)
    assert cluster.ready() == cluster.ready() == client.addresses
    assert client.checked == ["tcp://worker:0", "tcp://worker:1"]
    client.addresses["tcp://worker:2"] = 1
    cluster.ready()
    assert client.checked[2:] == ["tcp://worker:2"]


@pytest.mark.parametrize("name", module.MUST_AGREE)
def test_other_versions_are_refused_by_name(name):
    with pytest.raises(ExecutionError, match=rf"tcp://worker:0 .*{name} .*got 0\.1"):
        Cluster(FakeClient(versions={name: "0.1"})).ready()


def test_another_torch_is_a_warning():
    with pytest.warns(UserWarning, match="torch"):
        Cluster(FakeClient(1, versions={"torch": "0.1"})).ready()


def test_worker_without_hybridopt_is_refused():
    client = FakeClient(versions=ModuleNotFoundError("No module named 'hybridopt'"))
    with pytest.raises(ExecutionError, match="tcp://worker:0 must be able to import hybridopt"):
        Cluster(client).ready()


def test_worker_that_ended_is_not_used():
    client = FakeClient(versions=OSError("closed"))
    with pytest.raises(ExecutionError, match=f"{ADDRESS} must have at least 1 worker"):
        Cluster(client, timeout=0.01).ready()


def test_without_workers_the_scheduler_is_named():
    with pytest.raises(ExecutionError, match=f"{ADDRESS} must have at least 1 worker"):
        Cluster(FakeClient(workers=0), timeout=0.1).ready()


def test_closed_client_is_refused():
    client = FakeClient()
    cluster = Cluster(client)
    client.status = "closed"
    for use in (cluster.workers, cluster.ready, lambda: cluster.submit(square, 2)):
        with pytest.raises(ExecutionError, match="`client` must be connected"):
            use()
    with pytest.raises(ExecutionError, match="`client` must be connected"):
        Cluster(client)


def test_asynchronous_client_is_refused():
    client = FakeClient()
    client.asynchronous = True
    with pytest.raises(ArgumentError, match="`client` must be synchronous"):
        Cluster(client)


def test_forked_process_is_refused(monkeypatch):
    cluster = Cluster(FakeClient())
    monkeypatch.setattr(os, "getpid", lambda: -1)
    with pytest.raises(ExecutionError, match="forked"):
        cluster.workers()


def test_scheduler_that_does_not_answer_is_named(monkeypatch):
    client = FakeClient()
    cluster = Cluster(client)

    def refuse():
        raise OSError("connection refused")

    monkeypatch.setattr(client, "nthreads", refuse)
    with pytest.raises(ExecutionError, match=f"{ADDRESS} does not answer"):
        cluster.workers()


def test_values_that_cannot_be_pickled_are_refused():
    with pytest.raises(ArgumentError, match="must be picklable"):
        Cluster(FakeClient()).keep(threading.Lock())


def test_results_and_errors_are_yielded():
    cluster = Cluster(FakeClient())
    kept = cluster.keep(5)
    futures = {cluster.submit(square, kept): 25, cluster.submit(fail): None}
    found = {future: (value, error) for future, value, error in cluster.finished(futures)}
    assert [value for value, _ in found.values()] == [25, None]
    assert isinstance([*found.values()][1][1], KeyError)


def test_task_that_ends_its_workers_is_an_error():
    cluster = Cluster(FakeClient())
    ((_, _, error),) = cluster.finished([cluster.submit(end_workers)])
    assert isinstance(error, TaskLostError)
    assert "4 workers ended with it, the last at tcp://worker:7" in str(error)


def test_threads_of_workers_are_those_of_aer(monkeypatch):
    """The option of Aer, not the environment, limits the threads of a loaded Aer."""
    given = []
    run = qiskit_aer.AerSimulator.run

    def spy(self, circuits, **options):
        given.append(options.get("max_parallel_threads"))
        return run(self, circuits, **options)

    monkeypatch.setattr(qiskit_aer.AerSimulator, "run", spy)
    monkeypatch.setattr(simulator, "_THREADS", [])
    monkeypatch.setattr(module, "_PREPARED", [])
    monkeypatch.setenv("OMP_NUM_THREADS", "5")

    worker = SimpleNamespace(state=SimpleNamespace(nthreads=3))
    job = job_of("pauli_rotations")
    executor = AerExecutor(method="matrix_product_state")
    set_threads(module.this_process(), worker)  # the process of the client keeps its settings
    executor.run(job)
    set_threads(("elsewhere", 0), worker)
    executor.run(job)
    assert (given[0], given[-1]) == (None, 3)
    assert os.environ["OMP_NUM_THREADS"] == "3"


@pytest.mark.slow
def test_kept_data_and_tasks_survive_their_worker(client):
    cluster = Cluster(client)
    cluster.ready()
    kept = cluster.keep(np.arange(4))
    (_, value, error), *_ = cluster.finished([cluster.submit(np.sum, kept)])
    assert (value, error) == (6, None)
    (worker,) = client.who_has([kept])[kept.key]
    client.run(os._exit, 1, workers=[worker], on_error="ignore")
    (_, value, error), *_ = cluster.finished([cluster.submit(np.sum, kept)])
    assert (value, error) == (6, None)
    assert worker not in cluster.ready()


@pytest.mark.slow
def test_client_that_closes_while_a_task_runs(cluster):
    with Client(cluster) as client:
        closing = threading.Timer(0.2, client.close)
        closing.start()
        running = Cluster(client)
        with pytest.raises(ExecutionError, match="`client` must be connected"):
            next(running.finished([running.submit(time.sleep, 30)]))
        closing.join()
