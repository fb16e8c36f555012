"""What a network is trained and tested on: samples in two parts, and what they mean."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Float64, Shaped
from torch import Tensor

from hybridopt import _validation
from hybridopt.errors import ArgumentError, DataError

Task = Literal["classification", "regression"]


@dataclass(frozen=True, eq=False)
class Samples:
    """Raw samples as a source gives them, before the split and before standardising."""

    x: Float64[np.ndarray, "samples features"]  # in the units of the source
    y: Shaped[np.ndarray, " samples"]  # class labels 0, 1, ... or one real target
    feature_names: tuple[str, ...]
    class_names: tuple[str, ...] | None = None  # None for regression


@dataclass(frozen=True, eq=False)
class Scaling:
    r"""An affine map for each column: :math:`z = (v - \mathrm{mean}) / \mathrm{scale}`.

    ``mean`` and ``scale`` are in the units of the source; ``scale`` is never zero.
    """

    mean: Float64[Tensor, " columns"]
    scale: Float64[Tensor, " columns"]

    @classmethod
    def from_rows(
        cls, rows: Float64[np.ndarray, "samples columns"], *, shared: bool = False
    ) -> Scaling:
        r"""The scaling that gives ``rows`` mean 0 and standard deviation 1.

        The deviation is that of the rows themselves,
        :math:`\sqrt{\tfrac1n \sum_i (v_i - \mathrm{mean})^2}`, as in scikit-learn's
        StandardScaler. Constant columns are divided by 1 and so become 0.
        """
        measured = rows.reshape(-1, 1) if shared else rows
        constant = measured.max(axis=0) == measured.min(axis=0)
        mean = np.where(constant, measured[0], measured.mean(axis=0))
        scale = np.where(constant, 1.0, measured.std(axis=0))
        return cls(*(torch.tensor(np.broadcast_to(v, rows.shape[1]).copy()) for v in (mean, scale)))

    def standardize(
        self, values: Float[Tensor, "*rows columns"]
    ) -> Float64[Tensor, "*rows columns"]:
        """Return values of mean 0 and deviation 1, in float64, from the units of the source."""
        return (values.double() - self.mean) / self.scale

    def restore(self, values: Float[Tensor, "*rows columns"]) -> Float64[Tensor, "*rows columns"]:
        """Undo `standardize`, for instance to read a prediction in the units of the source."""
        return values.double() * self.scale + self.mean


@dataclass(frozen=True, eq=False, repr=False)
class Part:
    """Samples for one purpose, training or testing: row i of ``x`` belongs to row i of ``y``.

    Attributes:
        x: Inputs, shape ``(samples, ...)``: real features, or int64 tokens for an Embedding.
        y: Class labels, int64 of shape ``(samples,)``, or real targets of shape
            ``(samples, targets)``, never ``(samples,)``: against outputs of shape
            ``(samples, 1)`` that would broadcast to ``(samples, samples)`` in silence.

    Raises:
        ArgumentTypeError: If ``x`` or ``y`` is no tensor.
        DataError: If they have no rows to pair, or not equally many.
    """

    x: Tensor
    y: Tensor

    def __post_init__(self) -> None:
        for name, value in (("x", self.x), ("y", self.y)):
            _validation.instance(name, value, Tensor, "a tensor (see `as_dataset((x, y))`)")
            if value.ndim == 0:
                raise DataError(f"Argument `{name}` of a Part must have one row for each sample.")
        check_equal_length(len(self.x), len(self.y))

    def __len__(self) -> int:
        return len(self.x)

    def __repr__(self) -> str:
        return f"Part(x={_signature(self.x)}, y={_signature(self.y)})"


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Samples to train on, samples to test with, and how to read them.

    Attributes:
        name: For tables and titles.
        task: ``"classification"`` or ``"regression"``.
        train: What the network sees.
        test: What it is judged by; None if everything is trained on.
        num_classes: Labels lie in ``0 ... num_classes - 1``; None for regression.
        feature_names: One name for each feature, where they are known.
        class_names: One name for each class, where they are known.
        x_scaling: How the features were standardised; None if they were not.
        y_scaling: How regression targets were standardised; None if they were not.

    Raises:
        ArgumentError: If task and ``num_classes`` contradict each other.
        DataError: If the parts have no or different features, or targets that do not fit
            the task. Values are not read; `as_dataset` does that.

    Example:
        >>> import torch
        >>> from hybridopt import Dataset
        >>> from hybridopt.data import Part
        >>> x, y = torch.rand(6, 3), torch.tensor([0, 1, 0, 1, 1, 0])
        >>> Dataset("mine", "classification", Part(x, y), num_classes=2)
        Dataset('mine', classification, 3 features, 2 classes, 6 training and 0 test samples)
    """

    name: str
    task: Task
    train: Part
    test: Part | None = None
    num_classes: int | None = None
    feature_names: tuple[str, ...] | None = None
    class_names: tuple[str, ...] | None = None
    x_scaling: Scaling | None = None
    y_scaling: Scaling | None = None

    def __post_init__(self) -> None:
        _validation.choice("task", self.task, ("classification", "regression"))
        if self.task == "classification":
            _validation.integer("num_classes", self.num_classes, minimum=1)
        elif self.num_classes is not None:
            raise ArgumentError(
                f"Argument `num_classes` must be None for regression, but is {self.num_classes}."
            )
        for label, part in self.parts():
            _check_targets(f"{label}.y", part.y, self.task)
            _check_same_shape("x", self.train.x, part.x)
            _check_same_shape("y", self.train.y, part.y)

    def parts(self) -> tuple[tuple[str, Part], ...]:
        """The parts that are there, each with its name."""
        train = (("train", self.train),)
        return train if self.test is None else (*train, ("test", self.test))

    @property
    def num_features(self) -> int:
        """Numbers in one sample: columns for a table, pixels for an image."""
        return math.prod(self.train.x.shape[1:])

    @property
    def num_outputs(self) -> int:
        """How many outputs a network needs: one for each class, or for each target column."""
        return self.num_classes or math.prod(self.train.y.shape[1:])

    def __repr__(self) -> str:
        one, many = ("target", "targets") if self.num_classes is None else ("class", "classes")
        outputs = f"{self.num_outputs} {one if self.num_outputs == 1 else many}"
        features = f"{self.num_features} feature{'s' * (self.num_features != 1)}"
        samples = f"{len(self.train)} training and {len(self.test or ())} test samples"
        return f"Dataset({self.name!r}, {self.task}, {features}, {outputs}, {samples})"


def check_equal_length(num_x: int, num_y: int, *, prefix: str = "") -> None:
    """Refuse inputs and targets that cannot be paired."""
    if num_x != num_y:
        raise DataError(
            f"Arguments `{prefix}x` and `{prefix}y` must be of equal length, "
            f"but have {num_x} and {num_y} rows. Pass one target for each sample."
        )


def _check_targets(name: str, y: Tensor, task: Task) -> None:
    if task == "classification":
        fits, wanted = y.dtype == torch.int64 and y.ndim == 1, "int64 labels of shape (samples,)"
    else:
        fits, wanted = y.is_floating_point() and y.ndim > 1, "real of shape (samples, targets)"
    if not fits:
        raise DataError(
            f"Argument `{name}` must be {wanted} for {task}, but is {_signature(y)}. Use "
            "`as_dataset((x, y))` to convert it."
        )


def _check_same_shape(name: str, train: Tensor, test: Tensor) -> None:
    if train.shape[1:] != test.shape[1:] or train.dtype != test.dtype:
        raise DataError(
            f"Arguments `train.{name}` and `test.{name}` must have the same shape (but for the "
            f"number of rows) and dtype, but are {_signature(train)} and {_signature(test)}."
        )


def _signature(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')}{tuple(tensor.shape)}"
