"""Raw feature vectors in QNNs: our primitives and gradients against state vectors of Qiskit."""

import numpy as np
import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit.library import real_amplitudes
from qiskit.quantum_info import SparsePauliOp, Statevector
from qiskit_machine_learning.circuit.library import raw_feature_vector
from qiskit_machine_learning.neural_networks import EstimatorQNN, SamplerQNN

from hybridopt import from_qnn
from hybridopt.errors import ArgumentError, UnsupportedError
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
        sampler=AerSampler(exact=True),
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


def autoencoder(num_latent, num_trash):
    """Return the circuit of qiskit-machine-learning's autoencoder tutorial and its weights."""
    width, ancilla = num_latent + num_trash, num_latent + 2 * num_trash
    circuit = QuantumCircuit(ancilla + 1, 1)
    ansatz = real_amplitudes(width, reps=2)
    circuit.compose(ansatz, range(width), inplace=True)
    circuit.barrier()
    circuit.h(ancilla)
    for place in range(num_trash):
        circuit.cswap(ancilla, num_latent + place, width + place)
    circuit.h(ancilla)
    circuit.measure(ancilla, 0)
    return circuit, ansatz.parameters


def test_autoencoder_trains_on_our_primitives(samples):
    circuit, parameters = autoencoder(2, 1)
    features = raw_feature_vector(8)
    qnn = SamplerQNN(
        circuit=QuantumCircuit(5, 1).compose(features, range(3)).compose(circuit),
        input_params=features.parameters,
        weight_params=parameters,
        interpret=int,
        output_shape=2,
        sampler=AerSampler(exact=True),
        gradient=AerSamplerGradient(gradient="adjoint"),
    )
    weights = np.linspace(0.2, 1.1, len(parameters))
    bare = circuit.remove_final_measurements(inplace=False).assign_parameters(weights)
    states = [Statevector(np.kron(np.eye(4)[0], sample)).evolve(bare) for sample in samples]
    expected = [state.probabilities([4]) for state in states]
    np.testing.assert_allclose(qnn.forward(samples, weights), expected, atol=1e-12)
    losses = []
    for _ in range(25):
        losses.append(qnn.forward(samples, weights)[:, 1].mean())
        weights = weights - 1.0 * qnn.backward(samples, weights)[1][:, 1].mean(0)
    assert losses[-1] < 0.8 * losses[0]  # deterministic: .74


def test_other_norms_need_normalize(samples):
    with pytest.raises(ArgumentError, match="`normalize=True`"):
        estimator_qnn().forward(3 * samples, WEIGHTS)
    expected = estimator_qnn().forward(samples, WEIGHTS)
    found = estimator_qnn(normalize=True).forward(3 * samples, WEIGHTS)
    np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("primitive", [AerEstimator, AerSampler])
def test_pubs_leave_no_amplitude_out(primitive):
    with pytest.raises(UnsupportedError, match="`pad_with`"):
        primitive(pad_with=0.0)
