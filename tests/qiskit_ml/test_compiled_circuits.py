"""Cache of compiled circuits."""

from __future__ import annotations

import gc
from collections import Counter

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit.library import real_amplitudes
from qiskit.quantum_info import SparsePauliOp
from torch import Tensor

from hybridopt.circuits import CircuitProgram
from hybridopt.execution import AerExecutor, Expectations, Job
from hybridopt.qiskit_ml import AerEstimator, AerEstimatorGradient, compiled_circuits
from hybridopt.qiskit_ml.compiled_circuits import CIRCUITS_KEPT, CompiledCircuit, CompiledCircuits
from tests.qiskit_ml.networks import OBSERVABLES, feature_map_and_ansatz, trained, uploaded_twice


def test_columns_that_differed_stay_row_angles():
    example = uploaded_twice()
    compiled = CompiledCircuit(example.circuit, AerExecutor(), measured=False)
    held = (0, 1, 2)
    values = np.random.default_rng(0).normal(size=(5, 7))
    alone = compiled.lowered(values[:1], held)
    assert (alone.varying.tolist(), alone.program.num_row_angles) == ([], 0)
    values[:, 2:] = values[0, 2:]
    first = compiled.lowered(values, held)
    assert first.varying.tolist() == [0, 1]
    assert compiled.lowered(values[:1], held) is first
    assert compiled.lowered(values[:1], held, [4]).varying.tolist() == [0, 1, 4]
    values[3, 5] += 1
    assert compiled.lowered(values, held).varying.tolist() == [0, 1, 5]
    assert len(compiled._lowered) == 1  # the others are no longer needed


def test_cache_holds_the_last_circuits():
    circuits = CompiledCircuits()
    executor = AerExecutor()
    ansatz = [real_amplitudes(3, reps=1) for _ in range(CIRCUITS_KEPT + 3)]
    first = circuits.of(ansatz[0], executor)
    assert circuits.of(ansatz[0], executor) is first
    assert circuits.of(ansatz[0], AerExecutor()) is not first
    first = circuits.of(ansatz[0], executor)
    for other in ansatz[1:]:
        circuits.of(other, executor)
    assert len(circuits._kept) == CIRCUITS_KEPT
    assert circuits.of(ansatz[0], executor) is not first


def test_cache_of_readouts_is_limited(monkeypatch):
    example, x, w = trained(batch=2)
    gradient, estimator = AerEstimatorGradient(gradient="adjoint"), AerEstimator()
    values = [[*sample, *w] for sample in x]
    generator = np.random.default_rng(0)
    monkeypatch.setattr(compiled_circuits, "READOUTS_KEPT", 6)
    for _ in range(6 + 2):
        observable = SparsePauliOp(["ZZI", "IXY"], generator.normal(size=2))
        result = gradient.run([example.circuit] * 2, [observable] * 2, values).result()
        data = estimator.run([(example.circuit, observable, values)]).result()[0].data
        expected = example.expectations(x, w, [observable])[:, 0]
        np.testing.assert_allclose(data.evs, expected, atol=1e-12)
    (compiled,) = gradient._circuits._kept.values()
    assert len(compiled._readouts) == 2
    expected = AerEstimatorGradient().run([example.circuit] * 2, [observable] * 2, values)
    np.testing.assert_allclose(result.gradients, expected.result().gradients, atol=1e-12)


@pytest.mark.parametrize("rule", ["parameter-shift", "adjoint"])
def test_training_steps_leave_no_objects(rule):
    gc.freeze()  # a collection then looks at new objects only
    example = feature_map_and_ansatz()
    gradient, estimator = AerEstimatorGradient(gradient=rule), AerEstimator()
    generator = np.random.default_rng(0)

    def train(steps: int) -> None:
        for _ in range(steps):
            values = generator.normal(size=(2, 9))
            values[:, 3:] = values[0, 3:]
            circuits, observables = [example.circuit] * 2, [OBSERVABLES[0]] * 2
            gradient.run(circuits, observables, values).result()
            estimator.run([(example.circuit, OBSERVABLES[0], values)]).result()

    def alive() -> Counter[type]:
        gc.collect()
        kinds = {QuantumCircuit, CircuitProgram, Expectations, Job, Tensor, SparsePauliOp}
        return Counter(type(thing) for thing in gc.get_objects() if type(thing) in kinds)

    train(3)
    before = alive()
    train(8)
    grown = alive() - before  # objects of other tests may be freed meanwhile
    assert all(number < 8 for number in grown.values()), grown
