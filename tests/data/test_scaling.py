from __future__ import annotations

import numpy as np
import torch
from sklearn.preprocessing import StandardScaler

from hybridopt.data.scaling import Scaling

ROWS = np.random.default_rng(3).normal([1.0, -20.0, 300.0], [0.5, 4.0, 90.0], (40, 3))


def test_matches_scikit_learn():
    actual = Scaling.of(ROWS).standardize(torch.tensor(ROWS))
    expected = StandardScaler().fit_transform(ROWS)
    torch.testing.assert_close(actual, torch.tensor(expected), rtol=0, atol=1e-12)


def test_restore_undoes_standardize():
    scaling = Scaling.of(ROWS)
    others = torch.tensor(ROWS[:7] * 3 - 1)
    torch.testing.assert_close(scaling.restore(scaling.standardize(others)), others)


def test_constant_columns_become_zero_and_come_back():
    rows = ROWS.copy()
    rows[:, 1] = 0.1  # its mean over 40 rows is not 0.1 in floating point
    scaling = Scaling.of(rows)
    assert scaling.scale[1] == 1
    assert not scaling.standardize(torch.tensor(rows))[:, 1].any()
    torch.testing.assert_close(
        scaling.standardize(torch.tensor([[0.0, 2.1, 0.0]]))[0, 1], torch.tensor(2.0).double()
    )


def test_shared_scaling_has_one_mean_and_one_scale():
    scaling = Scaling.of(ROWS, shared=True)
    torch.testing.assert_close(scaling.mean, torch.full((3,), ROWS.mean()).double())
    torch.testing.assert_close(scaling.scale, torch.full((3,), ROWS.std()).double())
