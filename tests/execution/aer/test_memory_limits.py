"""Jobs in parts because of `max_memory`, with the same results and shots."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.quantum_info import SparsePauliOp

from hybridopt import CircuitLayer
from hybridopt.circuits import lower
from hybridopt.errors import ResourceError
from hybridopt.execution import AerExecutor, Expectations, Job, memory_budget
from hybridopt.execution.memory_budget import Limits
from hybridopt.execution.readout import expectations
from tests.execution.jobs import dense

STRINGS = ["XYZX", "YZXY", "ZXYZ", "XXYY", "YYZZ", "IZXX", "ZZZZ"]
W = ParameterVector("w", 12)


def circuit() -> QuantumCircuit:
    one = QuantumCircuit(4)
    for layer in range(3):
        for qubit in range(4):
            one.ry(W[4 * layer + qubit], qubit)
        for qubit in range(3):
            one.cx(qubit, qubit + 1)
    return one


def job() -> Job:
    program = lower(circuit(), (), list(W))
    readout = Expectations(
        tuple(SparsePauliOp([s, "IIIZ"], [1.0, k]) for k, s in enumerate(STRINGS))
    )
    shared = np.tile(np.random.default_rng(0).uniform(-3, 3, 12), (9, 1))
    shared[np.arange(9), np.arange(9)] += 1.0
    return Job(program, readout, np.zeros((2, 0)), shared)


def memory_for(settings: int) -> int:
    """Return the memory for a number of settings of four qubits."""
    return next(m for m in range(1, 1 << 20) if Limits(m).settings_at_once(4) == settings + 1) - 1


@pytest.mark.parametrize("strategy", ["stacked", "checkpoints", "table"])
@pytest.mark.parametrize("shots", [None, 50])
def test_settings_are_read_in_parts(strategy, shots, aer_calls):
    whole = AerExecutor(shots=shots, seed=1, strategy=strategy)
    memory = 6200 if strategy == "checkpoints" else memory_for(2)  # a checkpoint takes more
    cut = AerExecutor(shots=shots, seed=1, strategy=strategy, max_memory=memory)
    expected = whole.run(job()).values
    calls = len(aer_calls)
    actual = cut.run(job()).values
    assert len(aer_calls) - calls > calls
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-12)
    assert (cut.usage.settings, cut.usage.shots) == (whole.usage.settings, whole.usage.shots)
    if shots is None:
        np.testing.assert_allclose(actual, dense(job()), rtol=0, atol=1e-12)


def test_more_strings_than_fit_are_refused_only_if_they_are_grouped():
    labels = np.random.default_rng(0).choice(list("XYZ"), (3000, 12))
    program = lower(QuantumCircuit(12))
    readout = Expectations((SparsePauliOp(["".join(one) for one in labels]),))
    AerExecutor(max_memory="4 MB").check(program, readout)
    with pytest.raises(ResourceError, match=r"at least 5.99 MB .*2992 Pauli strings .*4 MB"):
        AerExecutor(max_memory="4 MB", shots=10).check(program, readout)


@pytest.mark.parametrize("memory", [None, "20 kB"], ids=["kept tables", "computed tables"])
@pytest.mark.parametrize("rule", ["adjoint", "parameter-shift"])
def test_many_strings_are_read_from_states(monkeypatch, rule, memory, aer_calls):
    monkeypatch.setattr(expectations, "STRINGS_WORTH_A_STATE", 3)
    start = torch.linspace(-2, 2, 12, dtype=torch.float64)
    results = []
    for limit in (3, 1000):
        monkeypatch.setattr(expectations, "STRINGS_WORTH_A_STATE", limit)
        executor = AerExecutor(max_memory=memory)
        arguments = (), list(W), list(job().readout.observables), executor, rule
        layer = CircuitLayer(circuit(), *arguments, initial=start)
        value = layer(torch.zeros(2, 0, dtype=torch.float64))
        (value * torch.arange(1, 8)).sum().backward()
        results.append((value.detach(), layer.weight.grad, executor.usage.settings))
    (value, slopes, settings), (expected, gradient, counted) = results
    torch.testing.assert_close(value, expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(slopes, gradient, rtol=0, atol=1e-11)
    assert settings == counted


def test_parts_of_a_readout_add_up():
    readout = job().readout
    parts = readout.parts(3)
    assert [len(part.groups) for part in parts] == [3, 3, 1]
    assert readout.parts(7) == [readout]
    np.testing.assert_array_equal(sum(part.constants for part in parts), readout.constants)


def test_checkpoints_save_all_states_that_fit():
    tight = AerExecutor(strategy="checkpoints", max_memory=6200)
    assert Limits(6200).states_at_once(4) < 3  # of three layers
    np.testing.assert_allclose(tight.run(job()).values, dense(job()), rtol=0, atol=1e-12)
    plenty = AerExecutor(strategy="checkpoints")
    plenty.run(job())
    assert tight.usage.settings == plenty.usage.settings
    assert tight.usage.runs > plenty.usage.runs


@pytest.mark.parametrize("kept", [0, 1 << 28])
@pytest.mark.parametrize("memory", [320 << 4, 1 << 13, None])
def test_adjoint_reads_many_settings_within_memory(monkeypatch, kept, memory):
    monkeypatch.setattr(memory_budget, "MOST_OF_OBSERVABLES", kept)
    start = torch.linspace(-2, 2, 12, dtype=torch.float64)
    observables = list(job().readout.observables)
    gradients, values = [], []
    for rule, limit in (("adjoint", memory), ("parameter-shift", None)):
        executor = AerExecutor(max_memory=limit)
        layer = CircuitLayer(circuit(), (), list(W), observables, executor, rule, initial=start)
        value = layer(torch.zeros(2, 0, dtype=torch.float64))
        (value * torch.arange(1, 8)).sum().backward()
        values.append(value.detach())
        gradients.append(layer.weight.grad)
    torch.testing.assert_close(*values, rtol=0, atol=1e-12)
    torch.testing.assert_close(*gradients, rtol=0, atol=1e-11)
