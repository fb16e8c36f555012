"""Generated data: each function has one formula, its noise and its source.

All functions draw ``num_samples`` (at least 2) rows ``x`` from ``rng``. Labels are 0 and 1, except
in `linear_regression`. `load_dataset` checks the options.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Int64

from hybridopt import _validation
from hybridopt.data.dataset import Samples

CHECKS: Mapping[str, Callable[[str, object], Any]] = {
    "num_samples": partial(_validation.optional_integer, minimum=2),
    "num_features": partial(_validation.integer, minimum=1),
    "manifold_dimension": partial(_validation.integer, minimum=1),
    "num_bits": partial(_validation.integer, minimum=2, maximum=20),  # 20 bits: one million rows
    "size": partial(_validation.integer, minimum=2, maximum=62),
    "noise": partial(_validation.real, minimum=0),
    "turns": partial(_validation.real, minimum=0, strict=True),
    "factor": partial(_validation.real, minimum=0, below=1),
}


def linear_regression(
    rng: np.random.Generator, *, num_samples: int = 100, num_features: int = 1, noise: float = 0.1
) -> Samples:
    r"""Return points near a straight line or a plane.

    .. math::
        y_i = 1 + \sum_{j=1}^{d} \frac{2}{j} x_{ij} + \mathrm{noise} \cdot \varepsilon_i,
        \qquad x_{ij}, \varepsilon_i \sim \mathcal N(0, 1)

    For one feature, the weight is 2 and the bias 1; ``num_features`` is :math:`d`.
    """
    x = rng.standard_normal((num_samples, num_features))
    weights = 2 / np.arange(1, num_features + 1)
    y = x @ weights + 1 + noise * rng.standard_normal(num_samples)
    return Samples(x, y, _numbered("x", num_features))


def spirals(
    rng: np.random.Generator, *, num_samples: int = 500, turns: float = 1.52, noise: float = 0.7
) -> Samples:
    r"""Return two interleaved spirals, rotated by half a revolution against each other.

    With :math:`s = +1` for class 0 and :math:`-1` for class 1,

    .. math::
        x = s \, (-r \cos r + \mathrm{noise} \cdot u_1, \; r \sin r + \mathrm{noise} \cdot u_2),
        \qquad r = 2 \pi \, \mathrm{turns} \sqrt{u_0},

    with :math:`u_0, u_1, u_2` uniform on [0, 1) for each sample; classes 0 and 1 alternate. (The
    source draws them once for both classes, so every point has a mirror image, and a test set is
    not independent of the training set.)

    References:
        Mari et al., Quantum 4, 340 (2020), arXiv:1912.08278; formula and defaults from the
        notebook ``dressed_circuit`` in github.com/XanaduAI/quantum-transfer-learning.
    """
    y = np.arange(num_samples, dtype=np.int64) % 2
    radius = 2 * math.pi * turns * np.sqrt(rng.random(num_samples))
    curve = np.stack([-radius * np.cos(radius), radius * np.sin(radius)], axis=1)
    x = (1 - 2 * y)[:, None] * (curve + noise * rng.random((num_samples, 2)))
    return Samples(x, y, _numbered("x", 2), ("first spiral", "second spiral"))


def moons(rng: np.random.Generator, *, num_samples: int = 300, noise: float = 0.1) -> Samples:
    """Return two interleaved half circles of radius 1 (``sklearn.datasets.make_moons``).

    Class 0 is on ``(cos t, sin t)``, class 1 on ``(1 - cos t, 1/2 - sin t)``, with ``t`` in
    [0, pi]. Normal noise in both directions has the standard deviation ``noise``.
    """
    from sklearn.datasets import make_moons

    x, y = make_moons(num_samples, noise=noise, random_state=_legacy_seed(rng))
    return Samples(x, y.astype(np.int64), _numbered("x", 2), ("upper moon", "lower moon"))


def circles(
    rng: np.random.Generator, *, num_samples: int = 300, noise: float = 0.05, factor: float = 0.5
) -> Samples:
    """Return a circle of radius 1 (class 0) around one of radius ``factor`` (class 1).

    Normal noise in both directions has the standard deviation ``noise``, as in
    ``sklearn.datasets.make_circles``.
    """
    from sklearn.datasets import make_circles

    x, y = make_circles(num_samples, noise=noise, factor=factor, random_state=_legacy_seed(rng))
    return Samples(x, y.astype(np.int64), _numbered("x", 2), ("outer circle", "inner circle"))


def bars_and_stripes(
    rng: np.random.Generator, *, num_samples: int = 300, size: int = 4, noise: float = 0.5
) -> Samples:
    r"""Return square images, alternately of bars (columns, 0) and of stripes (rows, 1).

    All pixels of a column or row are +1 or all are -1. All patterns are equally likely, except the
    two of one color, which are bars and stripes. Then :math:`\mathrm{noise} \cdot
    \mathcal N(0, 1)` is added to each pixel.

    Images have ``size`` pixels per side, from 2 to 62. Without noise there are only
    ``2 * (2**size - 2)`` images, and test samples repeat training samples.

    References:
        The classification task of Bowles, Ahmed and Schuld, arXiv:2403.07059; images of one
        color are left out here.
    """
    y = np.arange(num_samples, dtype=np.int64) % 2
    pattern = rng.integers(1, 2**size - 1, size=num_samples)
    lines = 2.0 * _bits(pattern, size) - 1
    bars = np.broadcast_to(lines[:, None, :], (num_samples, size, size))
    stripes = np.broadcast_to(lines[:, :, None], (num_samples, size, size))
    images = np.where((y == 0)[:, None, None], bars, stripes)
    x = images.reshape(num_samples, -1) + noise * rng.standard_normal((num_samples, size * size))
    names = tuple(f"pixel_{row}_{column}" for row in range(size) for column in range(size))
    return Samples(x, y, names, ("bars", "stripes"))


def hidden_manifold(
    rng: np.random.Generator,
    *,
    num_samples: int = 300,
    num_features: int = 10,
    manifold_dimension: int = 6,
) -> Samples:
    r"""Return points on a manifold, labelled by a network of the manifold coordinates.

    With coordinates :math:`c_i \in \mathbb R^m` on the manifold,

    .. math::
        x_i = \tanh\left(F^T c_i / \sqrt m - b\right), \qquad
        y_i = \left[\, v \cdot \tanh(W c_i) > \text{median} \,\right]

    where :math:`c, F, W, v \sim \mathcal N(0, 1)` and :math:`b \sim \mathcal U(-1, 1)`. The
    median makes the classes equally large; ``manifold_dimension`` is :math:`m`.

    References:
        Goldt et al., Phys. Rev. X 10, 041044 (2020), arXiv:1909.11500; these distributions:
        Bowles, Ahmed and Schuld, arXiv:2403.07059.
    """
    dimension = manifold_dimension
    coordinates = rng.standard_normal((num_samples, dimension))
    embedding = rng.standard_normal((dimension, num_features))
    biases = rng.uniform(-1, 1, num_features)
    hidden = rng.standard_normal((dimension, dimension))
    readout = rng.standard_normal(dimension)
    x = np.tanh(coordinates @ embedding / math.sqrt(dimension) - biases)
    score = np.tanh(coordinates @ hidden.T) @ readout
    y = (score > np.median(score)).astype(np.int64)
    return Samples(x, y, _numbered("x", num_features), ("below the median", "above the median"))


def parity(
    rng: np.random.Generator, *, num_bits: int = 8, num_samples: int | None = None
) -> Samples:
    r"""Return bit strings with label 0 for an even number of ones, otherwise 1.

    :math:`y = x_1 \oplus x_2 \oplus \dots \oplus x_n`. Strings occur at most once, so test and
    training samples are different. ``num_bits`` is 2 to 20; the default of ``num_samples`` is all
    ``2**num_bits`` strings.

    References:
        Minsky and Papert, Perceptrons, MIT Press (1969).
    """
    total = 2**num_bits
    count = _validation.optional_integer("num_samples", num_samples, minimum=2, maximum=total)
    bits = _bits(rng.choice(total, size=count or total, replace=False), num_bits)
    y = bits.sum(axis=1) % 2
    return Samples(bits.astype(np.float64), y, _numbered("bit", num_bits), ("even", "odd"))


def _bits(
    numbers: Int64[np.ndarray, " samples"], num_bits: int
) -> Int64[np.ndarray, "samples num_bits"]:
    return (numbers[:, None] >> np.arange(num_bits, dtype=np.int64)) & 1


def _numbered(stem: str, count: int) -> tuple[str, ...]:
    return tuple(f"{stem}{index}" for index in range(1, count + 1))


def _legacy_seed(rng: np.random.Generator) -> int:
    return int(rng.integers(2**32))  # scikit-learn takes the seed of a RandomState, 32 bits
