from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch
from qiskit_machine_learning.neural_networks import SamplerQNN

from hybridopt import from_qnn
from tests.qiskit_ml.networks import (
    central_difference,
    feature_map_and_ansatz,
    parity,
    without_inputs,
)

QML = 1e-11  # QMLSampler rounds probabilities to 1e-12 each


@pytest.mark.parametrize(
    ("interpret", "shape"),
    [
        (parity, 2),
        (lambda outcome: outcome % 3, 3),
        (lambda outcome: (outcome % 2, outcome // 4), (2, 3)),  # one column stays empty
        (lambda outcome: np.int64(outcome // 2), (4,)),
        (lambda outcome: -1, 5),
    ],
    ids=["parity", "classes", "tuple", "numpy", "negative"],
)
def test_interpreted_outputs_and_their_gradients(interpret, shape):
    example = feature_map_and_ansatz()
    x, w = example.values(batch=2)
    qnn = SamplerQNN(**example.keywords, interpret=interpret, output_shape=shape)
    layer = from_qnn(qnn, gradient="adjoint", initial=w)

    def interpreted(weights):
        result = np.zeros((len(x), *np.atleast_1d(shape)))
        for sample, row in zip(result, example.probabilities(x, weights), strict=True):
            for outcome, probability in enumerate(row):
                sample[interpret(outcome)] += probability
        return result

    values = layer(torch.from_numpy(x))
    assert values.shape == (2, *layer.output_shape)
    assert layer.out_features == np.prod(shape)
    np.testing.assert_allclose(values.detach().numpy(), interpreted(w), atol=1e-12)
    np.testing.assert_allclose(values.detach().numpy(), qnn.forward(x, w), atol=QML)

    factors = np.random.default_rng(1).normal(size=values.shape)
    (values * torch.from_numpy(factors)).sum().backward()
    expected = central_difference(lambda v: (factors * interpreted(v)).sum(), w)
    np.testing.assert_allclose(layer.weight.grad.numpy(), expected, atol=1e-8)


def test_layers_of_samplers_train_copy_and_travel():
    example = without_inputs()
    qnn = SamplerQNN(**example.keywords, interpret=lambda k: (k % 2, k // 4), output_shape=(2, 2))
    layer = from_qnn(qnn, initial=example.values()[1]).double()
    x = torch.zeros(5, 3, 0, dtype=torch.float64)
    assert layer(x).shape == (5, 3, 2, 2)
    assert list(layer.state_dict()) == ["weight"]
    for twin in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        torch.testing.assert_close(twin(x), layer(x), rtol=0, atol=0)
    assert layer.to("meta")(x.to("meta")).shape == (5, 3, 2, 2)
    assert "output_shape=(2, 2)" in repr(layer)


def test_inputs_of_one_sample_single_precision_and_no_samples():
    example = feature_map_and_ansatz()
    x, w = example.values()
    layer = from_qnn(SamplerQNN(**example.keywords, interpret=parity, output_shape=2), initial=w)
    single = layer(torch.from_numpy(x[0]).float())
    assert (single.shape, single.dtype) == ((2,), torch.float32)
    np.testing.assert_allclose(
        single.detach().numpy(), layer(torch.from_numpy(x)).detach().numpy()[0], atol=1e-6
    )
    inputs = torch.rand(50, 3)  # summed up in double precision, and rounded once
    assert torch.equal(layer(inputs), layer(inputs.double()).float())
    assert layer(torch.zeros(0, 3)).shape == (0, 2)
    assert from_qnn(SamplerQNN(**example.keywords)).weight.abs().max() <= np.pi
