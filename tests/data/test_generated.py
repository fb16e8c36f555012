"""Generated samples obey their formulas, their noise and their class sizes."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hybridopt.data import generated, load_dataset
from hybridopt.errors import ArgumentError, ArgumentTypeError

CLASSIFIERS = [
    generated.spirals,
    generated.moons,
    generated.circles,
    generated.bars_and_stripes,
    generated.hidden_manifold,
    generated.parity,
]


def rng(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("make", [generated.linear_regression, *CLASSIFIERS])
def test_shapes_names_and_seeds(make):
    first, again, other = make(rng(), num_samples=37), make(rng(), num_samples=37), make(rng(2))
    assert first.x.shape == (37, len(first.feature_names))
    assert first.y.shape == (37,)
    assert len(set(first.feature_names)) == len(first.feature_names)
    np.testing.assert_array_equal(first.x, again.x)
    np.testing.assert_array_equal(first.y, again.y)
    assert not np.array_equal(first.x, other.x[:37])


@pytest.mark.parametrize("make", CLASSIFIERS)
def test_classes_are_equally_large(make):
    samples = make(rng(), num_samples=64, **({"num_bits": 6} if make is generated.parity else {}))
    assert samples.y.dtype == np.int64
    assert np.bincount(samples.y).tolist() == [32, 32]
    assert len(samples.class_names) == 2


def test_linear_regression_without_noise_is_the_plane():
    samples = generated.linear_regression(rng(), num_features=3, noise=0.0)
    design = np.column_stack([np.ones(100), samples.x])
    fitted = np.linalg.lstsq(design, samples.y)[0]
    np.testing.assert_allclose(fitted, [1, 2, 1, 2 / 3], rtol=0, atol=1e-12)


def test_linear_regression_noise_has_the_stated_deviation():
    samples = generated.linear_regression(rng(), num_samples=20_000, noise=0.3)
    residual = samples.y - 2 * samples.x[:, 0] - 1
    assert abs(residual.std() - 0.3) < 5 * 0.3 / math.sqrt(2 * 20_000)  # 5 standard errors


def test_spirals_have_radius_equal_to_angle():
    samples = generated.spirals(rng(), num_samples=400, turns=2.0, noise=0.0)
    points = samples.x * np.where(samples.y == 0, 1, -1)[:, None]
    radius = np.hypot(*points.T)
    angle = np.arctan2(points[:, 1], -points[:, 0])
    np.testing.assert_allclose(np.exp(1j * angle), np.exp(1j * radius), rtol=0, atol=1e-12)
    assert 4 * math.pi * 0.99 < radius.max() < 4 * math.pi


def test_spirals_fill_the_disk_evenly():
    samples = generated.spirals(rng(), num_samples=20_000, noise=0.0)
    share = np.sum(samples.x**2, axis=1) / (2 * math.pi * 1.52) ** 2  # uniform on [0, 1)
    assert abs(share.mean() - 0.5) < 5 * math.sqrt(1 / 12 / 20_000)


def test_spirals_have_no_mirror_images():
    samples = generated.spirals(rng(), num_samples=200)
    distance = np.linalg.norm(samples.x[:, None] + samples.x[None], axis=2)
    assert distance.min() > 1e-6


def test_moons_without_noise_lie_on_their_circles():
    samples = generated.moons(rng(), noise=0.0)
    centre = np.where(samples.y[:, None] == 0, [0.0, 0.0], [1.0, 0.5])
    np.testing.assert_allclose(np.linalg.norm(samples.x - centre, axis=1), 1, atol=1e-12)
    side = (samples.x - centre)[:, 1] * np.where(samples.y == 0, 1, -1)
    assert side.min() > -1e-12


def test_circles_without_noise_have_their_radii():
    samples = generated.circles(rng(), noise=0.0, factor=0.3)
    radius = np.linalg.norm(samples.x, axis=1)
    np.testing.assert_allclose(radius, np.where(samples.y == 0, 1, 0.3), atol=1e-12)


def test_bars_and_stripes_without_noise_have_equal_columns_or_rows():
    samples = generated.bars_and_stripes(rng(), size=3, noise=0.0)
    assert set(np.unique(samples.x)) == {-1.0, 1.0}
    for image, label in zip(samples.x.reshape(-1, 3, 3), samples.y, strict=True):
        assert (image == image[:1]).all() == (label == 0)  # equal rows: bars
        assert (image == image[:, :1]).all() == (label == 1)
    assert len(np.unique(samples.x, axis=0)) == 2 * (2**3 - 2)


def test_bars_and_stripes_noise_has_the_stated_deviation():
    samples = generated.bars_and_stripes(rng(), num_samples=1000, size=5, noise=0.2)
    noise = samples.x - np.sign(samples.x)  # 0.2 is five deviations from changing a sign
    assert abs(noise.std() - 0.2) < 5 * 0.2 / math.sqrt(2 * noise.size)


def test_hidden_manifold_has_the_stated_dimension():
    samples = generated.hidden_manifold(rng(), num_features=9, manifold_dimension=4)
    assert np.abs(samples.x).max() < 1
    flat = np.arctanh(samples.x)  # affine function of 4 coordinates
    values = np.linalg.svd(flat - flat.mean(axis=0), compute_uv=False)
    assert values[3] > 1e-3 * values[0]
    assert values[4] < 1e-9 * values[0]


def test_parity_labels_count_ones():
    samples = generated.parity(rng(), num_bits=5)
    assert len(np.unique(samples.x, axis=0)) == 2**5
    for bits, label in zip(samples.x, samples.y, strict=True):
        assert label == "".join(str(int(bit)) for bit in bits).count("1") % 2
    samples = generated.parity(rng(), num_bits=6, num_samples=50)
    assert len(np.unique(samples.x, axis=0)) == 50  # no repetition


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("linear-regression", {"num_samples": 1}, "`num_samples`.* 1"),
        ("linear-regression", {"num_features": 0}, "`num_features`.* 0"),
        ("linear-regression", {"noise": -0.1}, r"`noise`.* -0\.1"),
        ("spirals", {"turns": 0}, "`turns`.* 0"),
        ("moons", {"noise": math.nan}, "`noise`.* nan"),
        ("moons", {"num_samples": 2.5}, r"`num_samples`.* 2\.5"),
        ("circles", {"factor": 1.0}, "`factor`.* 1"),
        ("bars-and-stripes", {"size": 1}, "`size`.* 1"),
        ("bars-and-stripes", {"size": 63}, "`size`.* 63"),
        ("hidden-manifold", {"manifold_dimension": 0}, "`manifold_dimension`.* 0"),
        ("parity", {"num_bits": 21}, "`num_bits`.* 21"),
        ("parity", {"num_bits": 3, "num_samples": 9}, "`num_samples`.* 9"),
    ],
)
def test_option_out_of_range_is_refused(name, options, message):
    with pytest.raises((ArgumentError, ArgumentTypeError), match=message):
        load_dataset(name, **options)
