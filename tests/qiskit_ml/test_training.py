"""Programs written for qiskit-machine-learning train the same with our plug-ins, only faster."""

from __future__ import annotations

import copy

import dill
import numpy as np
import pytest
import torch
from qiskit.circuit.library import real_amplitudes, zz_feature_map
from qiskit_machine_learning.algorithms import (
    VQC,
    NeuralNetworkClassifier,
    NeuralNetworkRegressor,
)
from qiskit_machine_learning.connectors import TorchConnector
from qiskit_machine_learning.neural_networks import EstimatorQNN, SamplerQNN
from qiskit_machine_learning.optimizers import SLSQP
from torch import nn

from hybridopt import from_qnn
from hybridopt.qiskit_ml import (
    AerEstimator,
    AerEstimatorGradient,
    AerSampler,
    AerSamplerGradient,
)
from tests.qiskit_ml.networks import OBSERVABLES, feature_map_and_ansatz, parity

ESTIMATOR = (EstimatorQNN, {"observables": OBSERVABLES[:2]})
SAMPLER = (SamplerQNN, {"interpret": parity, "output_shape": 2})
PLUG_INS = {
    EstimatorQNN: (("estimator", AerEstimator), ("gradient", AerEstimatorGradient)),
    SamplerQNN: (("sampler", AerSampler), ("gradient", AerSamplerGradient)),
}


def network(kind, keywords, *, ours: bool, **more):
    plugged = {name: make() for name, make in PLUG_INS[kind]} if ours else {}
    return kind(**feature_map_and_ansatz().keywords, **keywords, **plugged, **more)


def losses(module: nn.Module, x: torch.Tensor, y: torch.Tensor, steps: int = 2) -> list[float]:
    optimizer = torch.optim.Adam(module.parameters(), lr=0.1)
    history = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(module(x), y)
        loss.backward()
        optimizer.step()
        history.append(loss.item())
    return history


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "keywords"), [ESTIMATOR, SAMPLER], ids=["estimator", "sampler"])
def test_torch_programs_follow_the_same_losses(kind, keywords):
    """A layer in front learns too: gradients by inputs count."""
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(3, 2, generator=generator), torch.rand(3, 2, generator=generator)
    _, w = feature_map_and_ansatz().values()

    def program(body: nn.Module) -> list[float]:
        torch.manual_seed(1)
        return losses(nn.Sequential(nn.Linear(2, 3), body), x, y)

    connected = [
        TorchConnector(network(kind, keywords, ours=ours, input_gradients=True), w)
        for ours in (False, True)
    ]
    before, plugged = map(program, connected)
    layer = from_qnn(network(kind, keywords, ours=False), initial=torch.from_numpy(w).float())
    np.testing.assert_allclose(plugged, before, rtol=0, atol=1e-6)
    np.testing.assert_allclose(program(layer), before, rtol=0, atol=1e-6)
    assert before[-1] < before[0]


def fit(model, x, y):
    model.fit(x, y)
    return model.fit_result.x, model.fit_result.fun


@pytest.mark.slow
def test_classifiers_and_regressors_end_at_the_same_weights():
    example = feature_map_and_ansatz()
    x, w = example.values(batch=4)
    y = np.sign(x[:, 0] * x[:, 1])
    for model in (NeuralNetworkClassifier, NeuralNetworkRegressor):
        options = {"optimizer": SLSQP(maxiter=2), "initial_point": w}
        (theirs, before), (ours, after) = (
            fit(model(network(EstimatorQNN, {}, ours=plugged), **options), x, y)
            for plugged in (False, True)
        )
        np.testing.assert_allclose(ours, theirs, atol=1e-6)
        assert after == pytest.approx(before, abs=1e-6)


@pytest.mark.slow
def test_a_vqc_ends_at_the_same_weights():
    feature_map, ansatz = zz_feature_map(3), real_amplitudes(3, reps=1)
    x, w = feature_map_and_ansatz().values(batch=4)
    y = np.eye(2)[(x[:, 0] > 0).astype(int)]

    def vqc(**keywords):
        return VQC(
            feature_map=feature_map,
            ansatz=ansatz,
            optimizer=SLSQP(maxiter=2),
            initial_point=w,
            **keywords,
        )

    theirs, before = fit(vqc(), x, y)
    with_sampler, after = fit(vqc(sampler=AerSampler()), x, y)
    np.testing.assert_allclose(with_sampler, theirs, atol=1e-5)
    assert after == pytest.approx(before, abs=1e-6)
    model = vqc(sampler=AerSampler())
    model.neural_network.gradient = AerSamplerGradient()
    with_both, after = fit(model, x, y)
    np.testing.assert_allclose(with_both, theirs, atol=1e-5)
    assert after == pytest.approx(before, abs=1e-6)
    layer = from_qnn(model.neural_network, initial=with_both)
    values = layer(torch.from_numpy(x)).detach().numpy()
    assert (values.argmax(1) == model.predict(x).argmax(1)).all()


def test_networks_travel_with_their_plug_ins():
    example = feature_map_and_ansatz()
    x, w = example.values()
    for kind, keywords in ((EstimatorQNN, {}), (SamplerQNN, {})):
        qnn = network(kind, keywords, ours=True)
        values, slopes = qnn.forward(x, w), qnn.backward(x, w)[1]
        for twin in (copy.deepcopy(qnn), dill.loads(dill.dumps(qnn))):
            np.testing.assert_allclose(twin.forward(x, w), values, atol=1e-12)
            np.testing.assert_allclose(twin.backward(x, w)[1], slopes, atol=1e-12)
