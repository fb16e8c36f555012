"""Multiplexers in blocks of index bits, compared with the closed form and with one circuit."""

from __future__ import annotations

import numpy as np
import pytest
from qiskit.quantum_info import SparsePauliOp

from hybridopt import AerExecutor, Cost
from hybridopt.bridges.memory.circuit import MemoryProgram
from hybridopt.errors import ResourceError
from hybridopt.execution import Expectations, Job, Probabilities
from hybridopt.execution.aer import strategy_selection
from hybridopt.execution.aer.in_place.state import BufferedState
from hybridopt.execution.aer.strategies import index_blocks

INDEX_QUBITS = 7


def job(readout=None, settings: int = 2) -> Job:
    angles = np.random.default_rng(4).uniform(-6, 6, (settings, 1 << INDEX_QUBITS))
    readout = Probabilities() if readout is None else readout
    return Job(MemoryProgram(INDEX_QUBITS), readout, np.zeros((1, 0)), angles)


def closed_form(one: Job) -> np.ndarray:
    halves = one.shared / 2
    parts = np.concatenate([np.cos(halves) ** 2, np.sin(halves) ** 2], axis=1)
    return parts[:, None] / one.shared.shape[1]


@pytest.fixture(params=["in place", "circuits"])
def blocks(request, monkeypatch) -> str:
    """Make blocks of 2^6 and smaller ones out of 2^7 indices, in place or as circuits."""
    monkeypatch.setattr(index_blocks, "INDEX_QUBITS_IN_PLACE", 6)
    monkeypatch.setattr(index_blocks, "INDEX_QUBITS_OF_A_CIRCUIT", 6)
    monkeypatch.setattr(index_blocks, "SMALLEST_BLOCK", 3)
    if request.param == "circuits":
        monkeypatch.setattr(strategy_selection, "is_available", lambda: False)
    return request.param


def test_blocks_give_the_closed_form(blocks):
    executor, one = AerExecutor(), job()
    assert "Strategy index-blocks" in executor.explain(one)
    np.testing.assert_allclose(executor.run(one).values, closed_form(one), rtol=0, atol=1e-15)
    runs = 2 if blocks == "in place" else 4
    assert executor.usage == Cost(settings=2, runs=runs)


def test_every_angle_reaches_aer_as_a_matrix(blocks, monkeypatch):
    seen = []
    if blocks == "in place":
        multiplex = BufferedState.multiplex

        def spy(state, controls, target, matrices):
            seen.append(matrices.copy())
            multiplex(state, controls, target, matrices)

        monkeypatch.setattr(BufferedState, "multiplex", spy)
    else:
        submit = index_blocks.multiplexer_circuit

        def spy_circuit(angles):
            circuit = submit(angles)
            seen.append(circuit.data[-1].operation.params)
            return circuit

        monkeypatch.setattr(index_blocks, "multiplexer_circuit", spy_circuit)
    one = job(settings=1)
    AerExecutor().run(one)
    assert [len(matrices) for matrices in seen] == [64, 64]
    cosines = np.concatenate(seen)[:, 0, 0]
    np.testing.assert_allclose(cosines, np.cos(one.shared[0] / 2), rtol=0, atol=1e-15)


def test_small_memory_makes_small_blocks(blocks):
    one = job(settings=1)
    memory = 8 * index_blocks.BYTES_PER_SELECTED_GATE << 4
    executor = AerExecutor(max_memory=memory)
    assert "in 8 blocks of 16 indices" in executor.explain(one)
    np.testing.assert_allclose(executor.run(one).values, closed_form(one), rtol=0, atol=1e-15)


def test_shots_are_those_of_one_circuit(blocks, monkeypatch):
    drawn = AerExecutor(shots=1000, seed=3).run(job())
    monkeypatch.undo()
    whole = AerExecutor(shots=1000, seed=3)
    assert "Strategy one-by-one" in whole.explain(job())
    np.testing.assert_allclose(drawn.values, whole.run(job()).values, rtol=0, atol=1 / 1000)
    assert drawn.cost.shots == 2000
    assert drawn.variances.shape == drawn.values.shape


def test_single_precision_runs_as_circuits(blocks):
    executor, one = AerExecutor(precision="single"), job(settings=1)
    assert "as a circuit of its own" in executor.explain(one)
    np.testing.assert_allclose(executor.run(one).values, closed_form(one), rtol=0, atol=1e-8)


@pytest.mark.parametrize(
    "readout",
    [
        Probabilities((0, INDEX_QUBITS)),
        Probabilities((0, INDEX_QUBITS), given=((1, 0),)),
        Expectations((SparsePauliOp("Z" + "I" * (INDEX_QUBITS - 1) + "X"),)),
    ],
    ids=["probabilities", "conditional", "expectation"],
)
def test_other_readouts_take_the_whole_circuit(blocks, readout):
    one = job(readout, settings=1)
    assert "Strategy one-by-one" in AerExecutor().explain(one)
    gates = Job(MemoryProgram(INDEX_QUBITS, "gates"), readout, one.rows, one.shared)
    expected = AerExecutor().run(gates).values
    np.testing.assert_allclose(AerExecutor().run(one).values, expected, rtol=0, atol=1e-12)
    small = AerExecutor(max_memory=2 * one.program.working_memory())
    small.check(one.program, Probabilities())
    with pytest.raises(ResourceError, match="max_memory"):
        small.check(one.program, readout)


def test_strategy_in_place_takes_small_circuits(aer_calls):
    executor, one = AerExecutor(strategy="in-place"), job()
    assert "1 blocks of 128 indices" in executor.explain(one)
    np.testing.assert_allclose(executor.run(one).values, closed_form(one), rtol=0, atol=1e-15)
    assert aer_calls == [1, 1]
