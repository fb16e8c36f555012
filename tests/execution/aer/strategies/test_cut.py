"""Cuts of jobs: every core has a run, and no result depends on the number of cores."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from hybridopt import CircuitLayer
from hybridopt.execution import AerExecutor, Job
from hybridopt.execution.aer import simulator
from hybridopt.execution.aer.simulator import AMPLITUDES_OF_SMALL_TABLES
from hybridopt.execution.aer.stack import Stack
from hybridopt.execution.aer.strategies.cut import QUBITS_OF_A_TINY_RUN, cut
from hybridopt.execution.memory_budget import AMPLITUDES_PER_ROW_OF_A_TABLE, Limits
from tests.circuits.families import FAMILIES
from tests.execution.jobs import dense, job_of

SMALLEST = AMPLITUDES_OF_SMALL_TABLES.bit_length() - 1  # qubits of a stack of divided samples
PLENTY = Limits(1 << 40)
SHAPES = list(itertools.product((1, 2, 5, 16, 60, 300, 5000), (1, 3, 16, 700, 20_000)))


@pytest.fixture
def cores(monkeypatch):
    """Return a function that sets the number of cores that executors see."""
    return lambda count: monkeypatch.setattr(simulator, "usable_cores", lambda: count)


@pytest.mark.parametrize("count", [1, 2, 7, 16, 64])
@pytest.mark.parametrize("num_qubits", [1, 4, 9, 13])
def test_every_core_has_a_run_unless_runs_become_small(num_qubits, count):
    for num_shared, num_rows in SHAPES:
        table = num_shared > 1
        found = cut((num_shared, num_rows), num_qubits, 1, PLENTY, count)
        per_run = min(found.samples, num_rows)
        stacks = -(-num_rows // found.samples)
        rows = -(-num_shared >> found.table_bits)
        wide = num_qubits + Stack.bits_for(per_run) + found.table_bits
        assert wide <= max(num_qubits, AMPLITUDES_PER_ROW_OF_A_TABLE.bit_length() - 1) or not table
        row = num_qubits + Stack.bits_for(per_run)
        if not table or stacks * rows >= count or num_shared << row <= AMPLITUDES_OF_SMALL_TABLES:
            continue
        assert num_shared < count  # samples are divided, but not among small stacks
        assert row <= max(num_qubits, QUBITS_OF_A_TINY_RUN, SMALLEST)


def test_one_core_has_the_widest_stacks():
    found = cut((256, 16), 4, 1, PLENTY, 1)
    assert (found.samples, found.table_bits, found.stacks) == (16, 7, 1)


@pytest.mark.parametrize(
    ("num_qubits", "shape", "count", "expected"),
    [
        (4, (256, 16), 2, (16, 7, 2)),  # two stacks of 128 rows
        (4, (256, 16), 16, (16, 0, 1)),  # a table of 256 runs
        (4, (5000, 16), 16, (16, 7, 16)),  # stacks of 128 rows
        (12, (2, 64), 16, (8, 0, 8)),  # 8 stacks of 8 samples, each with two rows
        (4, (8, 4), 16, (4, 3, 1)),  # 2^9 amplitudes stay together
        (14, (1, 9), 16, (9, 0, 1)),  # threads share a run without a table
    ],
)
def test_cut(num_qubits, shape, count, expected):
    found = cut(shape, num_qubits, 1, PLENTY, count)
    assert (found.samples, found.table_bits, found.stacks) == expected


JOBS = {
    "rows of one stack": ("repeated_parameters", 16, 40),
    "samples of a table": ("controlled_u", 600, 3),
    "one row": ("exchanges", 9, 1),
}


@pytest.mark.parametrize("name", JOBS)
def test_values_and_costs_do_not_depend_on_the_cores(name, cores, aer_calls, monkeypatch):
    monkeypatch.setattr(simulator, "AMPLITUDES_OF_SMALL_TABLES", 1 << 9)
    monkeypatch.setattr("hybridopt.execution.aer.strategies.cut.AMPLITUDES_OF_SMALL_TABLES", 1 << 9)
    job = job_of(*JOBS[name])
    expected = dense(Job(job.program, job.readout, job.rows[:3], job.shared[:3]))
    settings = set()
    for count in (1, 2, 3, 16):
        cores(count)
        aer_calls.clear()
        executor = AerExecutor(strategy="stacked")
        values = executor.run(job).values
        np.testing.assert_allclose(values[:3, :3], expected, rtol=0, atol=1e-11)
        settings.add(executor.usage.settings)
        if len(job.shared) > 1 and count > 1:
            assert executor.usage.runs >= count
            assert max(aer_calls) > 1 or len(job.shared) >= count  # several stacks, or a table
    assert len(settings) == 1


@pytest.mark.parametrize("name", JOBS)
def test_shots_do_not_depend_on_the_cores(name, cores):
    results = []
    for count in (1, 2, 16):
        cores(count)
        results.append(AerExecutor(shots=100, seed=3, strategy="stacked").run(job_of(*JOBS[name])))
    for other in results[1:]:
        np.testing.assert_array_equal(other.values, results[0].values)
        np.testing.assert_array_equal(other.variances, results[0].variances)


@pytest.mark.parametrize("memory", [180_000, 400_000, 10**6])
def test_stacks_of_one_call_fit_into_memory(memory, cores, monkeypatch):
    cores(16)
    held = []
    submit = simulator.Simulator.submit

    def spy(self, requests, **options):
        held.append(sum(request.runs << request.circuit.num_qubits for request in requests))
        return submit(self, requests, **options)

    monkeypatch.setattr(simulator.Simulator, "submit", spy)
    job = job_of("controlled_u", 300, 6)
    AerExecutor(strategy="stacked", max_memory=memory).run(job)
    assert 16 * max(held) <= memory


def test_adjoint_runs_use_every_core(cores):
    cores(4)
    family = FAMILIES[0]
    layer = CircuitLayer(
        family.circuit, family.inputs, family.weights, family.observables, gradient="adjoint"
    )
    samples = (4 << 14) >> family.circuit.num_qubits
    layer(torch.rand(samples, len(family.inputs))).sum().backward()
    assert layer.executor.usage.runs == 8  # four forward, four back


def test_a_limit_of_threads_is_a_limit_of_runs(cores, monkeypatch):
    cores(16)
    monkeypatch.setattr(simulator, "_THREADS", [3])
    assert simulator.Simulator("statevector", "CPU", "double", None).parallel_runs == 3
    assert simulator.Simulator("statevector", "GPU", "double", None).parallel_runs == 1
