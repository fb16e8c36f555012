"""Datasets and parts: counts, text, refusals; scaling against scikit-learn."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from sklearn.preprocessing import StandardScaler

from hybridopt.data import Dataset, Part
from hybridopt.data.dataset import Scaling
from hybridopt.errors import ArgumentError, ArgumentTypeError, DataError, UnknownNameError


def images() -> Part:
    return Part(torch.zeros(5, 1, 4, 3), torch.tensor([0, 1, 2, 1, 0]))


def table(features: int = 3, targets: int = 2) -> Part:
    return Part(torch.zeros(4, features), torch.zeros(4, targets))


def test_counts_and_repr():
    dataset = Dataset("pictures", "classification", images(), num_classes=3)
    assert (dataset.num_features, dataset.num_outputs, len(dataset.train)) == (12, 3, 5)
    assert dataset.parts() == (("train", dataset.train),)
    assert repr(dataset) == (
        "Dataset('pictures', classification, 12 features, 3 classes, 5 training and 0 test samples)"
    )
    dataset = Dataset("table", "regression", table(), table())
    assert (dataset.num_features, dataset.num_outputs) == (3, 2)
    assert [name for name, _ in dataset.parts()] == ["train", "test"]
    assert repr(Dataset("line", "regression", table(targets=1))) == (
        "Dataset('line', regression, 3 features, 1 target, 4 training and 0 test samples)"
    )
    assert repr(images()) == "Part(x=float32(5, 1, 4, 3), y=int64(5,))"


def test_part_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        images().x = torch.zeros(1)


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("x", "y", "error", "message"),
    [
        (torch.zeros(5, 2), torch.zeros(4, 1), DataError, r"`x` and `y` .*5.*4"),
        ([1.0], torch.zeros(1, 1), ArgumentTypeError, "`x`"),
        (torch.zeros(1, 1), torch.tensor(1.0), DataError, "`y`"),
    ],
)
def test_unusable_part_is_refused(x, y, error, message):
    with pytest.raises(error, match=message):
        Part(x, y)


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("regresion", table()), UnknownNameError, "'regresion'.*'regression'"),
        (("regression", table(), None, 2), ArgumentError, "`num_classes`.*2"),
        (("classification", images()), ArgumentTypeError, "`num_classes`"),
        (("classification", table(targets=1), None, 2), DataError, r"`train.y` .*\(4, 1\)"),
        (("regression", Part(torch.zeros(4, 3), torch.zeros(4))), DataError, r"`train.y` .*\(4,\)"),
        (("regression", images()), DataError, "`train.y` .*int64"),
        (("regression", table(), table(2)), DataError, r"`train.x` .*\(4, 3\).*\(4, 2\)"),
        (("regression", table(), table(targets=1)), DataError, "`train.y` .*`test.y`"),
    ],
)
def test_unusable_dataset_is_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        Dataset("table", *arguments)


ROWS = np.random.default_rng(3).normal([1.0, -20.0, 300.0], [0.5, 4.0, 90.0], (40, 3))


def test_scaling_matches_scikit_learn_and_can_be_undone():
    scaling = Scaling.from_rows(ROWS)
    expected = torch.tensor(StandardScaler().fit_transform(ROWS))
    torch.testing.assert_close(
        scaling.standardize(torch.tensor(ROWS)), expected, rtol=0, atol=1e-12
    )
    others = torch.tensor(ROWS[:7] * 3 - 1)
    torch.testing.assert_close(scaling.restore(scaling.standardize(others)), others)


def test_constant_column_is_divided_by_one():
    rows = ROWS.copy()
    rows[:, 1] = 0.1  # its mean over 40 rows is not 0.1 in floating point
    scaling = Scaling.from_rows(rows)
    assert scaling.scale[1] == 1
    assert not scaling.standardize(torch.tensor(rows))[:, 1].any()
    other = scaling.standardize(torch.tensor([[0.0, 2.1, 0.0]]))
    torch.testing.assert_close(other[0, 1], torch.tensor(2.0).double())


def test_shared_scaling_has_one_mean_and_one_scale():
    scaling = Scaling.from_rows(ROWS, shared=True)
    torch.testing.assert_close(scaling.mean, torch.full((3,), ROWS.mean()).double())
    torch.testing.assert_close(scaling.scale, torch.full((3,), ROWS.std()).double())


@pytest.mark.wrong_types
def test_a_pair_is_no_part():
    pair = torch.rand(3, 2), torch.tensor([0, 1, 0])
    with pytest.raises(ArgumentTypeError, match=r"`train` must be a Part .*as_dataset"):
        Dataset("mine", "classification", pair, num_classes=2)
