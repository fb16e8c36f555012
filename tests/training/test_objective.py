from __future__ import annotations

import pytest
import torch
from sklearn.metrics import accuracy_score, r2_score
from torch import nn
from torch.nn import functional

from hybridopt.errors import ArgumentTypeError
from hybridopt.training.objective import as_scalar, choose_loss, metric, metric_name

GENERATOR = torch.Generator().manual_seed(4)
SCORES = torch.randn(30, 4, generator=GENERATOR)
LABELS = torch.randint(0, 4, (30,), generator=GENERATOR)
VALUES = torch.randn(30, 3, generator=GENERATOR)


def test_default_losses_and_metric_names():
    assert choose_loss(None, "classification") is functional.cross_entropy
    assert choose_loss(None, "regression") is functional.mse_loss
    assert metric_name("classification", None) == "accuracy"
    assert metric_name("regression", nn.MSELoss()) == "r2"


@pytest.mark.parametrize("loss", ["mse", nn.MSELoss, 3, torch.ones(2)])
def test_loss_must_be_callable(loss):
    with pytest.raises(ArgumentTypeError, match="`loss`"):
        choose_loss(loss, "regression")


def test_accuracy_matches_scikit_learn():
    expected = accuracy_score(LABELS, SCORES.argmax(1))
    assert metric(SCORES, LABELS, None) == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize("columns", [1, 3])
def test_r2_matches_scikit_learn(columns):
    targets, outputs = VALUES[:, :columns], VALUES[:, :columns] * 0.7 + 0.1
    expected = r2_score(targets.double().numpy(), outputs.double().numpy())
    assert metric(outputs, targets, None) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    "loss", [nn.BCEWithLogitsLoss(), functional.binary_cross_entropy_with_logits]
)
def test_accuracy_of_binary_logits(loss):
    targets = (VALUES > 0).float()
    assert metric_name("regression", loss) == "accuracy"
    assert metric(VALUES, targets, loss) == 1.0
    assert metric(-VALUES, targets, loss) == 0.0


@pytest.mark.parametrize(
    ("outputs", "targets"),
    [
        (SCORES[:, None, :].expand(30, 2, 4), LABELS),
        (SCORES, torch.zeros(30, 2, dtype=torch.int64)),
        (VALUES, VALUES[:, :2]),
        (VALUES, torch.ones(30, 3)),
    ],
    ids=["outputs", "labels", "columns", "constant"],
)
def test_metric_is_none_for_other_shapes(outputs, targets):
    assert metric(outputs, targets, None) is None


@pytest.mark.parametrize("value", [torch.ones(3), 0.5, None, (torch.ones(()), VALUES)])
def test_loss_is_one_number(value):
    with pytest.raises(ArgumentTypeError, match="`loss`"):
        as_scalar(value)
    assert as_scalar(torch.ones(1)) == 1
