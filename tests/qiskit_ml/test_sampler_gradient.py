from __future__ import annotations

import numpy as np
import pytest
from qiskit import QuantumCircuit, transpile
from qiskit.circuit import Parameter
from qiskit.circuit.library import real_amplitudes
from qiskit_machine_learning.neural_networks import SamplerQNN

from hybridopt import AerExecutor
from hybridopt.errors import ArgumentError, ArgumentTypeError, CircuitError, UnsupportedError
from hybridopt.qiskit_ml import AerSamplerGradient
from tests.qiskit_ml.networks import (
    TRAINED,
    central_difference,
    feature_map_and_ansatz,
    measured,
    parity,
    uploaded_twice,
    without_inputs,
)

RULES = ("parameter-shift", "adjoint")
QML = 1e-9  # rounding of QMLSampler, 1e-12 a probability, through chain rules


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("input_gradients", [False, True])
@pytest.mark.parametrize("name", TRAINED)
def test_same_derivatives_as_the_gradient_of_the_library(name, input_gradients, rule):
    example = TRAINED[name]()
    x, w = example.values()
    keywords = {"interpret": lambda k: (k % 2, k // 4), "output_shape": (2, 2)}
    qnn = SamplerQNN(**example.keywords, **keywords, input_gradients=input_gradients)
    given = x if example.inputs else None
    theirs = qnn.backward(given, w)
    qnn.gradient = AerSamplerGradient(gradient=rule)
    for actual, expected in zip(qnn.backward(given, w), theirs, strict=True):
        assert (actual is None) == (expected is None)
        if actual is not None:
            np.testing.assert_allclose(actual, expected, atol=QML)


@pytest.mark.parametrize("rule", RULES)
def test_same_derivatives_as_differences_of_matrix_products(rule):
    example = uploaded_twice()
    x, w = example.values()
    qnn = SamplerQNN(
        **example.keywords, input_gradients=True, gradient=AerSamplerGradient(gradient=rule)
    )
    by_inputs, by_weights = qnn.backward(x, w)
    expected = central_difference(lambda v: example.probabilities(x, v), w)
    np.testing.assert_allclose(by_weights, expected, atol=1e-8)
    for place, sample in enumerate(x):
        expected = central_difference(lambda v: example.probabilities(v[None], w)[0], sample)
        np.testing.assert_allclose(by_inputs[place], expected, atol=1e-8)


@pytest.mark.parametrize(
    ("registers", "qubits"),
    [
        ({"meas": [2, 0]}, [2, 0]),
        ({"b": [2], "a": [1, 0]}, [2, 1, 0]),
        ({"c": [0], "meas": [2, 1]}, [2, 1]),
    ],
    ids=str,
)
def test_measured_qubits_are_read_in_the_order_of_their_bits(registers, qubits):
    example = feature_map_and_ansatz()
    x, w = example.values()
    qnn = SamplerQNN(
        circuit=measured(example.circuit, registers),
        input_params=example.inputs,
        weight_params=example.weights,
        interpret=lambda outcome: outcome,
        output_shape=1 << len(qubits),
        gradient=AerSamplerGradient(),
    )
    expected = central_difference(lambda v: example.probabilities(x, v, qubits), w)
    np.testing.assert_allclose(qnn.backward(x, w)[1], expected, atol=1e-8)


def test_a_bit_measured_twice_and_bits_beyond_the_qubits():
    example = without_inputs()
    _, w = example.values()
    circuit = measured(example.circuit, {"meas": [1, 1, 0, 2]})
    (gradient,) = AerSamplerGradient().run([circuit], [w]).result().gradients
    assert set(gradient[0]) == {0b000, 0b011, 0b100, 0b111}  # bit 3 is beyond three qubits
    probabilities = central_difference(lambda v: example.probabilities(np.zeros((1, 0)), v)[0], w)
    for place, by_key in enumerate(gradient):
        assert by_key[0b100] == pytest.approx(probabilities[0b001, place], abs=1e-8)
        assert by_key[0b011] == pytest.approx(probabilities[0b010, place], abs=1e-8)


def test_measured_qubits_of_a_device_that_no_gate_acts_on_read_zero():
    circuit = QuantumCircuit(3, 1)
    angle = Parameter("t")
    circuit.ry(angle, 2)
    circuit.measure(0, 0)
    placed = transpile(circuit, coupling_map=[[0, 1], [1, 2], [2, 3]], optimization_level=0)
    (gradient,) = AerSamplerGradient().run([placed], [[0.7]]).result().gradients
    assert gradient == [pytest.approx({0: 0, 1: 0}, abs=1e-12)]


def test_a_batch_is_one_job(aer_calls):
    example = feature_map_and_ansatz()
    x, w = example.values(batch=5)
    executor = AerExecutor()
    qnn = SamplerQNN(**example.keywords, gradient=AerSamplerGradient(executor))
    qnn.backward(x, w)
    assert len(aer_calls) == 1
    assert executor.usage.settings == 2 * 6 * 5


def test_with_shots_the_gradient_is_sampled_around_the_exact_one():
    example = feature_map_and_ansatz()
    x, w = example.values(batch=2)
    shots = 4000
    keywords = {**example.keywords, "interpret": parity, "output_shape": 2}
    exact = SamplerQNN(**keywords, gradient=AerSamplerGradient()).backward(x, w)[1]
    gradient = AerSamplerGradient(AerExecutor(shots=shots, seed=5))
    sampled = SamplerQNN(**keywords, gradient=gradient).backward(x, w)[1]
    # two settings, halved: variance at most 2 (1/2)^2 (1/4) / shots
    assert 0 < abs(sampled - exact).max() < 5 * np.sqrt(1 / (8 * shots))
    job = gradient.run([example.circuit.measure_all(inplace=False)], [np.ones(9)])
    assert job.result().metadata[0]["shots"] == shots


def test_circuits_it_cannot_use_are_named_before_anything_runs(aer_calls):
    ansatz = real_amplitudes(3, reps=1)
    gradient, values = AerSamplerGradient(), [[0.1] * 6]
    with pytest.raises(CircuitError, match="measures into no classical register"):
        gradient.run([ansatz], values)
    with pytest.raises(CircuitError, match="Classical bit 1 is not measured but a bit above it is"):
        gradient.run([measured(ansatz, {"c": [0, None, 2]})], values)
    middle = measured(ansatz, {"c": [0, 1]})
    middle.h(1)
    with pytest.raises(CircuitError, match="mid-circuit measurement: `h` follows it"):
        gradient.run([middle], values)
    assert aer_calls == []


def test_bad_arguments_are_refused():
    with pytest.raises(ArgumentError, match="AerSamplerGradient takes no options for a run"):
        AerSamplerGradient().run([measured(real_amplitudes(3), {"c": [0]})], [[0] * 12], shots=3)
    with pytest.raises(ArgumentTypeError, match="must be an executor"):
        AerSamplerGradient(3)
    with pytest.raises(UnsupportedError, match="adjoint"):
        AerSamplerGradient(AerExecutor(shots=100), "adjoint")
