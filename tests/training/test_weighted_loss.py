from __future__ import annotations

from functools import partial
from itertools import pairwise

import pytest
import torch
from sklearn.metrics import accuracy_score, r2_score
from torch import nn
from torch.nn import functional
from torch.nn.functional import cross_entropy

import hybridopt as ho
from hybridopt.data import Dataset, Part
from hybridopt.data.dataset import Batch
from hybridopt.errors import ArgumentTypeError
from hybridopt.training.objective import metric
from hybridopt.training.weighted_loss import BatchLoss

OUTPUTS = torch.randn(6, 3, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
LABELS = torch.tensor([0, 2, 1, 1, 0, 2])
VALUES = OUTPUTS.flip(0).tanh()
BINARY = (VALUES > 0).double()
CLASS = torch.tensor([0.5, 2.0, 1.5], dtype=torch.float64)
COUNTS = torch.tensor([2.0, 1.0, 0.0, 3.0, 1.0, 2.0], dtype=torch.float64)
OF_LABELS = [
    *(cross_entropy, nn.NLLLoss(), nn.MultiMarginLoss(), nn.CrossEntropyLoss(reduction="sum")),
    *(nn.CrossEntropyLoss(weight=CLASS, label_smoothing=0.1), partial(cross_entropy, weight=CLASS)),
    *(nn.CrossEntropyLoss(ignore_index=1), nn.NLLLoss(weight=CLASS, ignore_index=2)),
    partial(functional.nll_loss, reduction="sum"),
]
OF_VALUES = [nn.MSELoss(), nn.HuberLoss(), nn.SmoothL1Loss(reduction="sum"), functional.l1_loss]
OF_BINARY = [nn.BCEWithLogitsLoss(pos_weight=CLASS), functional.binary_cross_entropy_with_logits]
LOSSES = [
    *((loss, LABELS) for loss in OF_LABELS),
    *((loss, VALUES) for loss in OF_VALUES),
    *((loss, BINARY) for loss in OF_BINARY),
    (nn.CrossEntropyLoss(weight=CLASS), VALUES.softmax(1)),
    (nn.KLDivLoss(reduction="batchmean"), VALUES.softmax(1)),
]


@pytest.mark.parametrize(("loss", "y"), LOSSES)
def test_integer_weights_repeat_samples(loss, y):
    rows = torch.arange(6).repeat_interleave(COUNTS.long())
    weighted, leaf = BatchLoss(loss), OUTPUTS.clone().requires_grad_()
    value = weighted(leaf, y, COUNTS)
    expected = loss(leaf[rows], y[rows])
    torch.testing.assert_close(value, expected, rtol=1e-13, atol=0)
    slopes = [torch.autograd.grad(one, leaf)[0] for one in (value, expected)]
    torch.testing.assert_close(*slopes, rtol=1e-12, atol=1e-15)
    assert torch.equal(weighted(leaf, y, torch.ones(6)), loss(leaf, y))


@pytest.mark.parametrize("weight", [None, COUNTS])
@pytest.mark.parametrize(("loss", "y"), LOSSES)
def test_mass_combines_the_means_of_batches(loss, y, weight):
    weighted = BatchLoss(loss)
    cuts = (0, 2, 3, 6) if weight is None else (0, 4, 6)  # a batch of weight 0 has no mean
    parts = [slice(*ends) for ends in pairwise(cuts)]
    cut = [Batch(OUTPUTS[k], y[k], None if weight is None else weight[k]) for k in parts]
    values = torch.stack([weighted(*one) for one in cut])
    if weighted.is_sum:
        total = values.sum()
    else:
        masses = torch.tensor([weighted.mass(one) for one in cut], dtype=torch.float64)
        total = (torch.where(masses > 0, values, 0) * masses).sum() / masses.sum()
    torch.testing.assert_close(total, weighted(OUTPUTS, y, weight), rtol=1e-13, atol=0)


def per_sample(outputs, targets):
    return (outputs - targets).square().mean(1)


def test_own_losses():
    expected = (COUNTS * per_sample(OUTPUTS, VALUES)).sum() / COUNTS.sum()
    torch.testing.assert_close(BatchLoss(per_sample)(OUTPUTS, VALUES, COUNTS), expected)
    torch.testing.assert_close(
        BatchLoss(nn.MSELoss(reduction="none"))(OUTPUTS, VALUES, COUNTS), expected
    )

    class Own(nn.MSELoss):
        def forward(self, outputs, targets):
            return per_sample(outputs, targets).mean()

    for loss in (Own(), lambda o, t: per_sample(o, t).mean(), lambda o, t: per_sample(o, t)[:3]):
        with pytest.raises(ArgumentTypeError, match=r"`loss`.*one value per sample"):
            BatchLoss(loss)(OUTPUTS, VALUES, torch.ones(6))


def test_weighted_metrics_are_those_of_scikit_learn():
    weight = COUNTS + 0.3
    shares = {"sample_weight": weight.numpy()}
    expected = accuracy_score(LABELS.numpy(), OUTPUTS.argmax(1).numpy(), **shares)
    assert metric(OUTPUTS, LABELS, cross_entropy, weight) == pytest.approx(expected, rel=1e-14)
    expected = r2_score(VALUES.numpy(), OUTPUTS.numpy(), **shares)
    assert metric(OUTPUTS, VALUES, None, weight) == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize("bridge", [None, "memory", "mesh"])
def test_full_batch_descent_with_weights(bridge, data, make_network, equal_states):
    x, y = data.train.x, data.train.y
    counts = torch.arange(22) % 4
    rows = torch.arange(22).repeat_interleave(counts)
    sets = [(x, y, counts), (x[rows], y[rows]), (x, y, torch.ones(22)), (x, y)]
    networks = [make_network().double() for _ in sets]
    networks = [n if bridge is None else ho.to_quantum(n, bridge) for n in networks]
    pairs = zip(networks, sets, strict=True)
    losses = [ho.fit(one, d, optimizer="gd", epochs=2).train_loss for one, d in pairs]
    torch.testing.assert_close(losses[0], losses[1], rtol=1e-12, atol=0)
    equal_states(*networks[2:])
    assert losses[2] == losses[3] != losses[0]


@pytest.mark.parametrize("optimizer", ["newton", "lbfgs", "adam"])
def test_weights_of_the_test_part(optimizer, data, make_network):
    weight = torch.linspace(0.1, 2, 8)
    test = Part(data.test.x, data.test.y, weight)
    train = Part(data.train.x, data.train.y, torch.linspace(0, 1, 22))
    network = make_network()
    weighted = Dataset("w", "classification", train, test, num_classes=3)
    history = ho.fit(network, weighted, optimizer=optimizer, epochs=2)
    outputs = network.eval()(test.x)
    each = cross_entropy(outputs, test.y, reduction="none")
    expected = (weight * each).sum() / weight.sum()
    assert history.test_loss[-1] == pytest.approx(expected.item(), rel=1e-6)
    right = (outputs.argmax(1) == test.y).double()
    assert history.metric[-1] == pytest.approx(float((weight * right).sum() / weight.sum()))


def test_train_loss_is_the_weighted_mean(data, make_network):
    x, y, weight = data.train.x, data.train.y, torch.linspace(0.1, 2, 22)
    network = make_network()
    each = cross_entropy(network(x), y, reduction="none")
    history = ho.fit(network, (x, y, weight), optimizer="sgd", lr=1e-12, batch_size=5, epochs=1)
    expected = (weight * each).sum() / weight.sum()
    assert history.train_loss[0] == pytest.approx(expected.item(), rel=1e-6)


def test_own_scalar_loss_is_refused_before_a_circuit_runs(data, make_quantum, aer_calls):
    loss = lambda outputs, targets: (outputs.sum(1) - targets).square().mean()  # noqa: E731
    samples = data.train.x, data.train.y, torch.ones(22)
    with pytest.raises(ArgumentTypeError, match=r"`loss`.*one value per sample"):
        ho.fit(make_quantum(), samples, loss=loss)
    assert aer_calls == []
