"""Raw feature vectors in QNNs: our primitives and gradients against state vectors of Qiskit."""

import numpy as np
import pytest
import torch
from qiskit.circuit.library import real_amplitudes
from qiskit.quantum_info import SparsePauliOp, Statevector
from qiskit_machine_learning.circuit.library import raw_feature_vector
from qiskit_machine_learning.neural_networks import EstimatorQNN, SamplerQNN

from hybridopt import from_qnn
from hybridopt.errors import ArgumentError
from hybridopt.qiskit_ml import AerEstimator, AerEstimatorGradient, AerSampler, AerSamplerGradient

FEATURES, ANSATZ = raw_feature_vector(8), real_amplitudes(3, reps=1)
OBSERVABLE = SparsePauliOp("ZIX")
WEIGHTS = np.linspace(-1.3, 2.2, 6)
PARAMETERS = {"input_params": FEATURES.parameters, "weight_params": ANSATZ.parameters}


@pytest.fixture(scope="module")
def samples():
    x = np.random.default_rng(1).normal(size=(4, 8))
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def state_of(sample):
    return Statevector(sample).evolve(ANSATZ.assign_parameters(WEIGHTS))


def estimator_qnn(normalize=False, gradient="parameter-shift"):
    return EstimatorQNN(
        circuit=FEATURES.compose(ANSATZ),
        observables=OBSERVABLE,
        estimator=AerEstimator(normalize=normalize),
        gradient=AerEstimatorGradient(gradient=gradient, normalize=normalize),
        input_gradients=True,
        **PARAMETERS,
    )


@pytest.mark.parametrize("gradient", ["parameter-shift", "adjoint"])
def test_estimator_qnn(gradient, samples):
    qnn = estimator_qnn(gradient=gradient)
    expected = [state_of(sample).expectation_value(OBSERVABLE).real for sample in samples]
    np.testing.assert_allclose(qnn.forward(samples, WEIGHTS)[:, 0], expected, atol=1e-12)
    by_inputs, by_weights = qnn.backward(samples, WEIGHTS)
    layer = from_qnn(qnn, gradient="adjoint", initial=WEIGHTS)
    x = torch.tensor(samples, requires_grad=True)
    for number, output in enumerate(layer(x)[:, 0]):
        of_x, of_weights = torch.autograd.grad(output, (x, layer.weight), retain_graph=True)
        np.testing.assert_allclose(by_inputs[number, 0], of_x[number], atol=1e-12)
        np.testing.assert_allclose(by_weights[number, 0], of_weights, atol=1e-12)


def test_sampler_qnn(samples):
    qnn = SamplerQNN(
        circuit=FEATURES.compose(ANSATZ),
        sampler=AerSampler(),
        gradient=AerSamplerGradient(),
        input_gradients=True,
        **PARAMETERS,
    )
    expected = [state_of(sample).probabilities() for sample in samples]
    np.testing.assert_allclose(qnn.forward(samples, WEIGHTS), expected, atol=1e-12)
    by_inputs, by_weights = qnn.backward(samples, WEIGHTS)
    assert by_inputs.shape == (4, 8, 8)
    layer = from_qnn(qnn, initial=WEIGHTS)
    by_weight = torch.autograd.functional.jacobian(
        lambda weight: torch.func.functional_call(
            layer, {"weight": weight}, (torch.tensor(samples),)
        ),
        layer.weight.detach(),
    )
    np.testing.assert_allclose(by_weights, by_weight, atol=1e-12)


def test_other_norms_need_normalize(samples):
    with pytest.raises(ArgumentError, match="`normalize=True`"):
        estimator_qnn().forward(3 * samples, WEIGHTS)
    expected = estimator_qnn().forward(samples, WEIGHTS)
    found = estimator_qnn(normalize=True).forward(3 * samples, WEIGHTS)
    np.testing.assert_allclose(found, expected, atol=1e-12)
