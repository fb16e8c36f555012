"""Samples that share the ending of noisy circuits, compared with one run per circuit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.quantum_info import SparsePauliOp
from qiskit_ibm_runtime.fake_provider import FakeManilaV2

from hybridopt import AerExecutor, CircuitLayer
from hybridopt.execution import Job, Probabilities
from tests.execution.aer.density_adjoint.noise_models import W, X, many_errors
from tests.execution.devices.circuits import with_delays

OBSERVABLES = [SparsePauliOp(["ZZXI", "IIII", "IYII"], [1, 0.5, -2])]


def with_long_ending(*, weight_first: bool) -> QuantumCircuit:
    """Return inputs on each qubit, perhaps behind a weight, and three layers of weights."""
    circuit = QuantumCircuit(4)
    if weight_first:
        circuit.ry(W[0], 0)
        circuit.cx(0, 1)
    for qubit in range(4):
        circuit.rx(X[qubit], qubit)
    for layer in range(3):
        for qubit in range(3):
            circuit.cx(qubit, qubit + 1)
            circuit.u(W[1 + layer], 0.3, W[2 + layer], qubit)
    return circuit


def job_of(executor: AerExecutor, observables, batch=12, tables=3, circuit=None) -> Job:
    circuit = circuit or with_long_ending(weight_first=False)
    inputs = [one for one in circuit.parameters if one.name.startswith("x")]
    weights = [one for one in circuit.parameters if one.name.startswith("w")]
    layer = CircuitLayer(circuit, inputs, weights, observables, executor)
    generator = np.random.default_rng(0)
    rows = generator.uniform(-3, 3, (batch, layer.program.num_row_angles))
    shared = generator.uniform(-3, 3, (tables, layer.program.num_shared_angles))
    return Job(layer.program, layer.program_readout, rows, shared)


@pytest.mark.parametrize("memory", [None, 400_000])
@pytest.mark.parametrize(
    "observables", [OBSERVABLES, Probabilities((3,))], ids=["strings", "outcomes"]
)
@pytest.mark.parametrize("corrected", [False, True])
def test_values_are_those_of_single_circuits(observables, corrected, memory):
    given = {"noise_model": many_errors()}
    if corrected:
        given |= {"readout_mitigation": "inverse", "confusion": [[[0.9, 0.1], [0.2, 0.8]]] * 4}
    executor = AerExecutor(**given, max_memory=memory)
    table = AerExecutor(**given, strategy="table")
    circuit = with_long_ending(weight_first=corrected)
    job = job_of(executor, observables, batch=24, tables=2, circuit=circuit)
    assert "Strategy shared-ending" in executor.explain(job)
    found, expected = executor.run(job), table.run(job)
    np.testing.assert_allclose(found.values, expected.values, rtol=0, atol=1e-12)
    assert found.cost.settings == expected.cost.settings
    assert corrected or found.cost.runs < expected.cost.runs


def test_delays_on_devices():
    given = {"noise_model": FakeManilaV2(), "seed_transpiler": 3}
    executor = AerExecutor(**given)
    job = job_of(executor, ["IZIZ"], batch=24, tables=4, circuit=with_delays())
    assert "Strategy shared-ending" in executor.explain(job)
    expected = AerExecutor(**given, strategy="table").run(job).values
    np.testing.assert_allclose(executor.run(job).values, expected, rtol=0, atol=1e-12)


def test_few_samples_or_shots_run_one_by_one():
    executor = AerExecutor(noise_model=many_errors())
    job = job_of(executor, OBSERVABLES, batch=1)
    assert "Strategy table" in executor.explain(job)
    assert "Strategy table" in executor.explain(job_of(executor, None))
    many = job_of(executor, OBSERVABLES)
    assert "Strategy table" in executor.explain(replace(many, shots=100))


def test_separate_settings_have_separate_outputs():
    executor = AerExecutor(noise_model=many_errors())
    job = job_of(executor, OBSERVABLES, batch=16, tables=1)
    whole = executor.run(job).values
    apart = replace(job, readout=job.readout.separate())
    values = executor.run(apart).values
    assert values.shape == (1, 16, 2)
    np.testing.assert_allclose(values.sum(-1, keepdims=True) + 0.5, whole, rtol=0, atol=1e-12)
