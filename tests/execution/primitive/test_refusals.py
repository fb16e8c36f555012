"""Requests that an executor on a primitive refuses by name, before anything is sent."""

from __future__ import annotations

import pytest
from qiskit import QuantumCircuit
from qiskit.primitives import BackendSamplerV2, StatevectorEstimator, StatevectorSampler
from qiskit.transpiler import generate_preset_pass_manager
from qiskit_aer import AerSimulator

import hybridopt as ho
from hybridopt.circuits import lower
from hybridopt.errors import ArgumentError, ArgumentTypeError, CircuitError, UnsupportedError
from hybridopt.execution import Probabilities
from tests.execution.primitive.configurations import manila
from tests.execution.primitive.test_executor import OBSERVABLES, W, X, circuit, layer_on, small_job


class WrongPrimitive:
    token = "planted"

    def __repr__(self) -> str:
        return self.token


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (None, "NoneType"),
        (StatevectorSampler, "the class StatevectorSampler"),
        (AerSimulator(), "Wrap a backend"),
        (WrongPrimitive(), "WrongPrimitive"),
    ],
)
@pytest.mark.wrong_types
def test_other_objects_are_refused(given, words):
    with pytest.raises(ArgumentTypeError, match=f"`primitive` must be.*{words}") as caught:
        ho.PrimitiveExecutor(given)
    assert "planted" not in str(caught.value)


@pytest.mark.parametrize(
    ("primitive", "options", "name"),
    [
        (StatevectorSampler, {"precision": 0.1}, "precision"),
        (StatevectorEstimator, {"shots": 10}, "shots"),
        (StatevectorEstimator, {}, "precision"),  # exact values
        (StatevectorSampler, {"shots": 0}, "shots"),
        (StatevectorSampler, {"seed": -1}, "seed"),
        (StatevectorSampler, {"pass_manager": 3}, "pass_manager"),
        (StatevectorSampler, {"readout_mitigation": "trex"}, "readout_mitigation"),
    ],
)
def test_wrong_arguments_are_refused(primitive, options, name):
    with pytest.raises(ArgumentError, match=name):
        ho.PrimitiveExecutor(primitive(), **options)


def test_what_a_primitive_cannot_run_is_refused_before_anything_is_sent():
    sampler = ho.PrimitiveExecutor(BackendSamplerV2(backend=manila()), shots=5)
    estimator = ho.PrimitiveExecutor(StatevectorEstimator(), precision=0.1)
    with pytest.raises(UnsupportedError, match="at most 5 qubits on fake_manila"):
        ho.CircuitLayer(QuantumCircuit(6), executor=sampler)
    with pytest.raises(UnsupportedError, match="at most 5 qubits on fake_manila"):
        sampler.check(lower(QuantumCircuit(6)), Probabilities())
    with pytest.raises(UnsupportedError, match="not probabilities"):
        layer_on(estimator, observables=None)
    with pytest.raises(UnsupportedError, match='Use `gradient="parameter-shift"`'):
        ho.CircuitLayer(circuit(), X, W, OBSERVABLES, sampler, gradient="adjoint")
    with pytest.raises(UnsupportedError, match="which fake_manila cannot run"):
        layer_on(sampler, _for_another_device())
    with pytest.raises(UnsupportedError, match="whole observables"):
        estimator.check(small_job().program, small_job().readout.between(0, 1))
    manager = generate_preset_pass_manager(0, coupling_map=[[0, 1]], basis_gates=["rz", "cx"])
    narrow = ho.PrimitiveExecutor(StatevectorSampler(), pass_manager=manager)
    with pytest.raises(CircuitError, match="`pass_manager`"):
        layer_on(narrow)
    assert sampler.usage == estimator.usage == ho.Cost()


def _for_another_device() -> QuantumCircuit:
    return generate_preset_pass_manager(
        0, basis_gates=["u", "cz"], coupling_map=[[0, 2], [2, 1], [2, 0], [1, 2]]
    ).run(circuit())
