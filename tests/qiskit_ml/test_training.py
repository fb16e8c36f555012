"""Training programs of qiskit-machine-learning have the same results with our plug-ins."""

from __future__ import annotations

import copy
from functools import partial

import dill
import numpy as np
import pytest
import torch
from qiskit.circuit.library import real_amplitudes, zz_feature_map
from qiskit_machine_learning.algorithms import VQC
from qiskit_machine_learning.connectors import TorchConnector
from qiskit_machine_learning.neural_networks import EstimatorQNN, SamplerQNN
from qiskit_machine_learning.optimizers import SLSQP
from torch import nn

from hybridopt import from_qnn
from hybridopt.qiskit_ml import AerEstimator, AerEstimatorGradient, AerSampler, AerSamplerGradient
from tests.qiskit_ml.networks import OBSERVABLES, feature_map_and_ansatz, parity, trained

PLUG_INS = {
    EstimatorQNN: (("estimator", AerEstimator), ("gradient", AerEstimatorGradient)),
    SamplerQNN: (("sampler", partial(AerSampler, exact=True)), ("gradient", AerSamplerGradient)),
}


def network(kind, *, ours: bool, **keywords):
    plugged = {name: make() for name, make in PLUG_INS[kind]} if ours else {}
    return feature_map_and_ansatz().network(kind, **keywords, **plugged)


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
@pytest.mark.parametrize(
    ("kind", "keywords"),
    [
        (EstimatorQNN, {"observables": OBSERVABLES[:2]}),
        (SamplerQNN, {"interpret": parity, "output_shape": 2}),
    ],
)
def test_torch_programs_have_the_same_losses(kind, keywords):
    """The linear layer before the network needs gradients with respect to inputs."""
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(3, 2, generator=generator), torch.rand(3, 2, generator=generator)
    _, _, w = trained()

    def program(body: nn.Module) -> list[float]:
        torch.manual_seed(1)
        return losses(nn.Sequential(nn.Linear(2, 3), body), x, y)

    connected = [
        TorchConnector(network(kind, ours=ours, input_gradients=True, **keywords), w)
        for ours in (False, True)
    ]
    before, plugged = map(program, connected)
    layer = from_qnn(network(kind, ours=False, **keywords), initial=torch.from_numpy(w).float())
    np.testing.assert_allclose(plugged, before, rtol=0, atol=1e-6)
    np.testing.assert_allclose(program(layer), before, rtol=0, atol=1e-6)
    assert before[-1] < before[0]


def fit(model, x, y):
    model.fit(x, y)
    return model.fit_result.x, model.fit_result.fun


@pytest.mark.slow
def test_vqc_has_the_same_weights():
    feature_map, ansatz = zz_feature_map(3), real_amplitudes(3, reps=1)
    _, x, w = trained()
    y = np.eye(2)[(x[:, 0] > 0).astype(int)]

    options = {"optimizer": SLSQP(maxiter=2), "initial_point": w}

    def vqc(**keywords):
        return VQC(feature_map=feature_map, ansatz=ansatz, **options, **keywords)

    theirs, before = fit(vqc(), x, y)
    for plug_ins in ({}, {"gradient": AerSamplerGradient()}):
        model = vqc(sampler=AerSampler(exact=True))
        for name, plug_in in plug_ins.items():
            setattr(model.neural_network, name, plug_in)
        ours, after = fit(model, x, y)
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
        assert after == pytest.approx(before, abs=1e-6)
    layer = from_qnn(model.neural_network, initial=ours)
    values = layer(torch.from_numpy(x)).detach().numpy()
    assert (values.argmax(1) == model.predict(x).argmax(1)).all()


def test_networks_are_copied_and_pickled_with_their_plug_ins():
    _, x, w = trained()
    for kind in PLUG_INS:
        qnn = network(kind, ours=True)
        values, slopes = qnn.forward(x, w), qnn.backward(x, w)[1]
        for twin in (copy.deepcopy(qnn), dill.loads(dill.dumps(qnn))):
            np.testing.assert_allclose(twin.forward(x, w), values, atol=1e-12)
            np.testing.assert_allclose(twin.backward(x, w)[1], slopes, atol=1e-12)
