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


def table(targets: int = 2) -> Part:
    return Part(torch.zeros(4, 3), torch.zeros(4, targets))


def test_counts_of_a_classification():
    dataset = Dataset("pictures", "classification", images(), num_classes=3)
    assert (dataset.num_features, dataset.num_outputs, len(dataset.train)) == (12, 3, 5)
    assert dataset.parts() == (("train", dataset.train),)


def test_counts_of_a_regression():
    dataset = Dataset("table", "regression", table(), table())
    assert (dataset.num_features, dataset.num_outputs) == (3, 2)
    assert [name for name, _ in dataset.parts()] == ["train", "test"]


def test_repr_is_one_line():
    dataset = Dataset("pictures", "classification", images(), images(), num_classes=3)
    assert repr(dataset) == (
        "Dataset('pictures', classification, 12 features, 3 classes, 5 training and 5 test samples)"
    )
    assert repr(Dataset("line", "regression", table(1))) == (
        "Dataset('line', regression, 3 features, 1 target, 4 training and 0 test samples)"
    )
    assert repr(images()) == "Part(x=float32(5, 1, 4, 3), y=int64(5,))"


def test_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        images().x = torch.zeros(1)


def test_part_of_unequal_lengths():
    with pytest.raises(DataError, match=r"`x` and `y` must be of equal length, but have 5 and 4"):
        Part(torch.zeros(5, 2), torch.zeros(4, 1))


@pytest.mark.wrong_types
def test_part_of_arrays():
    with pytest.raises(ArgumentTypeError, match=r"`x` must be a tensor .*`as_data.* of type list"):
        Part([1.0], torch.zeros(1, 1))


def test_part_of_a_number():
    with pytest.raises(DataError, match=r"`y` of a Part must have one row for each sample"):
        Part(torch.zeros(1, 1), torch.tensor(1.0))


@pytest.mark.wrong_types
def test_unknown_task():
    with pytest.raises(UnknownNameError, match=r"Unknown task 'regresion'. Did you mean 'regress"):
        Dataset("table", "regresion", table())


def test_classes_of_a_regression():
    with pytest.raises(ArgumentError, match=r"`num_classes` must be None for regression, but is 2"):
        Dataset("table", "regression", table(), num_classes=2)


def test_classification_without_classes():
    with pytest.raises(ArgumentTypeError, match="`num_classes` must be an int, but is None"):
        Dataset("pictures", "classification", images())


@pytest.mark.parametrize(
    ("task", "num_classes", "y", "message"),
    [
        ("classification", 2, torch.zeros(4, 1), r"`train.y` must be int64 .* is float32\(4, 1\)"),
        ("regression", None, torch.zeros(4), r"`train.y` must be real .* but is float32\(4,\)"),
        ("regression", None, torch.zeros(4, dtype=torch.int64), r"but is int64\(4,\)"),
    ],
)
def test_targets_that_do_not_fit_the_task(task, num_classes, y, message):
    with pytest.raises(DataError, match=message):
        Dataset("table", task, Part(torch.zeros(4, 3), y), num_classes=num_classes)


def test_parts_of_different_features():
    other = Part(torch.zeros(4, 2), torch.zeros(4, 2))
    with pytest.raises(
        DataError, match=r"`train.x` and `test.x` .* float32\(4, 3\) and float32\(4"
    ):
        Dataset("table", "regression", table(), other)


def test_parts_of_different_targets():
    with pytest.raises(DataError, match=r"`train.y` and `test.y` must have the same shape"):
        Dataset("table", "regression", table(), table(1))


ROWS = np.random.default_rng(3).normal([1.0, -20.0, 300.0], [0.5, 4.0, 90.0], (40, 3))


def test_matches_scikit_learn():
    actual = Scaling.from_rows(ROWS).standardize(torch.tensor(ROWS))
    expected = StandardScaler().fit_transform(ROWS)
    torch.testing.assert_close(actual, torch.tensor(expected), rtol=0, atol=1e-12)


def test_restore_undoes_standardize():
    scaling = Scaling.from_rows(ROWS)
    others = torch.tensor(ROWS[:7] * 3 - 1)
    torch.testing.assert_close(scaling.restore(scaling.standardize(others)), others)


def test_constant_columns_become_zero_and_come_back():
    rows = ROWS.copy()
    rows[:, 1] = 0.1  # its mean over 40 rows is not 0.1 in floating point
    scaling = Scaling.from_rows(rows)
    assert scaling.scale[1] == 1
    assert not scaling.standardize(torch.tensor(rows))[:, 1].any()
    torch.testing.assert_close(
        scaling.standardize(torch.tensor([[0.0, 2.1, 0.0]]))[0, 1], torch.tensor(2.0).double()
    )


def test_shared_scaling_has_one_mean_and_one_scale():
    scaling = Scaling.from_rows(ROWS, shared=True)
    torch.testing.assert_close(scaling.mean, torch.full((3,), ROWS.mean()).double())
    torch.testing.assert_close(scaling.scale, torch.full((3,), ROWS.std()).double())
