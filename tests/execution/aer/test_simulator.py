"""Requests to Aer: tables, counts, failures, options and saved probabilities."""

from __future__ import annotations

import os
import pickle
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import qiskit_aer
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from qiskit.quantum_info import Statevector
from qiskit_aer import AerSimulator

from hybridopt.errors import ExecutionError
from hybridopt.execution import Cost
from hybridopt.execution.aer import simulator as simulator_module
from hybridopt.execution.aer.simulator import (
    RunRequest,
    Simulator,
    as_double,
    save_settings,
    side_by_side,
    small_or_large,
    usable_threads,
)
from hybridopt.execution.readout import Setting
from tests.execution.jobs import distribution

ANGLE = Parameter("angle")


def rotated() -> QuantumCircuit:
    circuit = QuantumCircuit(3)
    circuit.ry(ANGLE, 1)
    circuit.save_probabilities([1], label="one")
    return circuit


def simulator(shots: int | None = None) -> Simulator:
    return Simulator("statevector", "CPU", "double", shots)


def test_a_table_has_one_run_per_value():
    angles = [0.1, 0.7, 2.0]
    (runs,) = simulator().submit([RunRequest(rotated(), 4, {ANGLE: angles})])
    ones = [run["one"][1] for run in runs]
    np.testing.assert_allclose(ones, np.sin(np.array(angles) / 2) ** 2, rtol=0, atol=1e-12)


def test_requests_without_tables_run_once():
    circuits = [rotated().assign_parameters({ANGLE: angle}) for angle in (0.4, 1.3)]
    results = simulator().submit([RunRequest(circuit, 1) for circuit in circuits])
    assert [len(runs) for runs in results] == [1, 1]
    assert results[1][0]["one"][1] == pytest.approx(np.sin(0.65) ** 2, abs=1e-12)


@pytest.mark.parametrize("shots", [None, 10])
def test_settings_shots_and_runs_are_counted(shots, aer_calls):
    one = simulator(shots)
    one.submit([RunRequest(rotated(), 4, {ANGLE: [0.1, 0.7, 2.0]})])
    one.submit([RunRequest(rotated().assign_parameters({ANGLE: 1.0}), 5)])
    assert one.usage == Cost(settings=17, shots=17 * (shots or 0), runs=4)
    assert aer_calls == [1, 1]


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        (SimpleNamespace(success=True, results=[object()], status="DONE"), "1 results .*2"),
        (
            SimpleNamespace(success=False, results=[], status="ERROR: out of qubits"),
            "out of qubits",
        ),
    ],
)
def test_failures_raise_and_are_not_counted(result, reason, monkeypatch):
    job = SimpleNamespace(result=lambda: result)
    monkeypatch.setattr(qiskit_aer.AerSimulator, "run", lambda *args, **kwargs: job)
    one = simulator()
    with pytest.raises(ExecutionError, match=reason):
        one.submit([RunRequest(rotated(), 1, {ANGLE: [0.1, 0.7]})])
    assert one.usage == Cost()


def test_pickles_have_no_backend():
    one = simulator()
    one.submit([RunRequest(rotated(), 1, {ANGLE: [0.1]})])
    copied = pickle.loads(pickle.dumps(one))
    assert copied.state.backend is None
    assert copied.usage == one.usage
    assert len(copied.submit([RunRequest(rotated(), 1, {ANGLE: [0.1]})])) == 1


def test_single_precision_becomes_double():
    assert as_double(np.ones(2, np.float32)).dtype == np.float64
    assert as_double(np.ones(2, np.complex64)).dtype == np.complex128


def test_small_calls_use_one_thread():
    assert small_or_large(16)["max_parallel_threads"] == 1
    assert "max_parallel_threads" not in small_or_large(17)
    assert "max_parallel_threads" not in small_or_large(12, runs=16)
    assert small_or_large(8, runs=4)["max_parallel_threads"] == 1


@pytest.mark.parametrize(
    ("given", "cores", "limits", "expected"),
    [
        ("", 3, [], 3),
        ("2", 3, [], 2),
        ("2,1", 3, [], 2),
        ("many", 3, [], 3),
        ("0", 3, [], 3),
        ("8", 3, [], 3),
        ("2", 3, [1], 1),
    ],
)
def test_usable_threads_are_limited_by_cores_environment_and_cluster(
    given, cores, limits, expected, monkeypatch
):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)), raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", given)
    monkeypatch.setattr(simulator_module, "_THREADS", limits)
    assert usable_threads() == expected


def test_parallel_runs_have_one_thread_each_and_fuse_when_large():
    small, large = side_by_side(10, 2), side_by_side(17, 3)
    assert (small["max_parallel_experiments"], small["fusion_enable"]) == (2, False)
    assert (large["max_parallel_threads"], large["fusion_enable"]) == (3, True)


SETTINGS = (
    Setting(((0, "X"), (2, "Y")), (0, 2)),
    Setting((), (2, 1)),
    Setting(((1, "Y"),), (0, 1, 2)),
)


@pytest.mark.parametrize("index", [(), (3,)])
def test_settings_are_saved_independently(index):
    circuit = QuantumCircuit(4)
    for qubit, angle in enumerate([0.3, 1.1, -0.7, 0.9]):
        circuit.rx(angle, qubit)
        circuit.ry(0.5 + angle, qubit)
    for qubit in range(3):
        circuit.cx(qubit, qubit + 1)
    state = Statevector(circuit)
    labels = save_settings(circuit, SETTINGS, index)
    data = AerSimulator(method="statevector").run(circuit).result().data(0)
    assert len(set(labels)) == 3
    for setting, label in zip(SETTINGS, labels, strict=True):
        expected = distribution(state, replace(setting, qubits=(*setting.qubits, *index)))
        np.testing.assert_allclose(data[label], expected, rtol=0, atol=1e-12)
