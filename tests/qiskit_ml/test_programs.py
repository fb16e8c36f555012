from __future__ import annotations

import gc
import tracemalloc

import numpy as np
import pytest
from qiskit.circuit.library import real_amplitudes

from hybridopt.qiskit_ml import AerEstimator, AerEstimatorGradient
from hybridopt.qiskit_ml.programs import CIRCUITS_KEPT, Prepared, PreparedCircuits
from tests.qiskit_ml.networks import OBSERVABLES, feature_map_and_ansatz, uploaded_twice


def test_columns_that_differ_are_rows_from_then_on():
    example = uploaded_twice()
    prepared = Prepared(example.circuit, whole=True)
    values = np.random.default_rng(0).normal(size=(5, 7))
    alone = prepared.lowered(values[:1])
    assert (alone.varying, alone.program.num_row_angles) == ([], 0)
    values[:, 2:] = values[0, 2:]
    first = prepared.lowered(values)
    assert first.varying == [0, 1]
    assert prepared.lowered(values[:1]) is first
    assert prepared.lowered(values[:1], [4]).varying == [0, 1, 4]
    values[3, 5] += 1
    assert prepared.lowered(values).varying == [0, 1, 5]


def test_only_the_last_circuits_are_kept():
    circuits = PreparedCircuits()
    ansatz = [real_amplitudes(3, reps=1) for _ in range(CIRCUITS_KEPT + 3)]
    first = circuits.of(ansatz[0], whole=True)
    assert circuits.of(ansatz[0], whole=True) is first
    assert circuits.of(ansatz[0], whole=False) is not first
    for other in ansatz[1:]:
        circuits.of(other, whole=True)
    assert len(circuits._kept) == CIRCUITS_KEPT
    assert circuits.of(ansatz[0], whole=True) is not first


@pytest.mark.slow
def test_training_does_not_grow():
    """What a step keeps would show as bytes a step."""
    example = feature_map_and_ansatz()
    gradient, estimator = AerEstimatorGradient(), AerEstimator()
    generator = np.random.default_rng(0)

    def train(steps: int) -> None:
        for _ in range(steps):
            values = generator.normal(size=(2, 9))
            values[:, 3:] = values[0, 3:]
            circuits, observables = [example.circuit] * 2, [OBSERVABLES[0]] * 2
            gradient.run(circuits, observables, values).result()
            estimator.run([(example.circuit, OBSERVABLES[0], values)]).result()

    tracemalloc.start()
    train(50)  # until what is kept is kept
    gc.collect()
    before = tracemalloc.get_traced_memory()[0]
    train(100)
    gc.collect()
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 100 * 600  # the tables of a step alone are 1 kB, a lowered circuit 100 kB
