"""Training and test samples, their task and their scaling."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Float64, Shaped
from torch import Tensor

from hybridopt import _validation
from hybridopt._inputs import Inputs, map_inputs, named_tensors, take_rows, tensors_of
from hybridopt.errors import ArgumentError, DataError

Task = Literal["classification", "regression"]


@dataclass(frozen=True, eq=False)
class Samples:
    """Raw samples of a source, before split and standardization."""

    x: Float64[np.ndarray, "samples features"]  # units of the source
    y: Shaped[np.ndarray, " samples"]  # class labels 0, 1, ... or one real target
    feature_names: tuple[str, ...]
    class_names: tuple[str, ...] | None = None  # None for regression


@dataclass(frozen=True, eq=False)
class Scaling:
    r"""Affine map per column, :math:`z = (v - \mathrm{mean}) / \mathrm{scale}`."""

    mean: Float64[Tensor, " columns"]  # units of the source
    scale: Float64[Tensor, " columns"]  # units of the source, never zero

    @classmethod
    def from_rows(
        cls, rows: Float64[np.ndarray, "samples columns"], *, shared: bool = False
    ) -> Scaling:
        r"""Return the scaling that gives ``rows`` mean 0 and standard deviation 1.

        The deviation is :math:`\sqrt{\tfrac1n \sum_i (v_i - \mathrm{mean})^2}`, as in the
        StandardScaler of scikit-learn. Constant columns are divided by 1 and become 0.
        """
        measured = rows.reshape(-1, 1) if shared else rows
        constant = measured.max(axis=0) == measured.min(axis=0)
        mean = np.where(constant, measured[0], measured.mean(axis=0))
        scale = np.where(constant, 1.0, measured.std(axis=0))
        return cls(*(torch.tensor(np.broadcast_to(v, rows.shape[1]).copy()) for v in (mean, scale)))

    def standardize(
        self, values: Float[Tensor, "*rows columns"]
    ) -> Float64[Tensor, "*rows columns"]:
        """Return standardized values in float64, from values in the units of the source."""
        return (values.double() - self.mean) / self.scale

    def restore(self, values: Float[Tensor, "*rows columns"]) -> Float64[Tensor, "*rows columns"]:
        """Return values in the units of the source, the inverse of `standardize`."""
        return values.double() * self.scale + self.mean


class Batch(NamedTuple):
    """Samples of one step: inputs, targets, and weights if there are any."""

    x: Inputs
    y: Tensor
    sample_weight: Tensor | None = None


@dataclass(frozen=True, eq=False, repr=False)
class Part:
    """Training or test samples: row i of ``x`` belongs to row i of ``y``.

    Attributes:
        x: Inputs, shape ``(samples, ...)``: real features, or int64 tokens of an Embedding. Several
            inputs are a tuple (positional arguments of the network) or a dict (keyword arguments).
        y: Class labels, int64 with shape ``(samples,)``, or real targets with shape
            ``(samples, targets)``. The shape ``(samples,)`` would silently broadcast to
            ``(samples, samples)`` against outputs of shape ``(samples, 1)``.
        sample_weight: Weight of each sample in losses and metrics, real and at least 0, shape
            ``(samples,)``; None for equal weights.

    Raises:
        ArgumentTypeError: If a member is not a tensor.
        DataError: If they have no rows or different numbers of rows.
    """

    x: Any  # Inputs; most users have one tensor and need no check of the type
    y: Tensor
    sample_weight: Tensor | None = None

    def __post_init__(self) -> None:
        several = isinstance(self.x, tuple | dict) and bool(self.x)
        members = named_tensors("x", self.x) if several else {"x": self.x}
        members["y"] = self.y
        if self.sample_weight is not None:
            members["sample_weight"] = self.sample_weight
        for name, value in members.items():
            _validation.instance(name, value, Tensor, "a tensor (see `as_dataset((x, y))`)")
            check_rows(name, value)
        for name, value in members.items():
            check_equal_length(len(value), len(self.y), name=name)

    def __len__(self) -> int:
        return len(self.y)

    def __repr__(self) -> str:
        weights = "" if self.sample_weight is None else ", sample_weight=..."
        return f"Part(x={_form(self.x)}, y={_signature(self.y)}{weights})"

    def rows(self, rows: Any) -> Part:
        """Return samples by a slice or by an array of row numbers."""
        weight = None if self.sample_weight is None else self.sample_weight[rows]
        return Part(take_rows(self.x, rows), self.y[rows], weight)

    def to(self, device: torch.device) -> Part:
        """Return the samples on a device."""
        weight = None if self.sample_weight is None else self.sample_weight.to(device)
        return Part(map_inputs(lambda t: t.to(device), self.x), self.y.to(device), weight)

    def tensors(self) -> dict[str, Tensor]:
        """Return all tensors by name."""
        weight = {} if self.sample_weight is None else {"sample_weight": self.sample_weight}
        return {**named_tensors("x", self.x), "y": self.y, **weight}


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Training samples, test samples and their meaning.

    Attributes:
        name: Name in tables and titles.
        task: ``"classification"`` or ``"regression"``.
        train: Training samples.
        test: Test samples, or None.
        num_classes: Number of classes; labels are ``0 ... num_classes - 1``. None for regression.
        feature_names: One name per feature, if known.
        class_names: One name per class, if known.
        x_scaling: Scaling of the features; None if they are not standardized.
        y_scaling: Scaling of regression targets; None if they are not standardized.

    Raises:
        ArgumentError: If ``num_classes`` does not fit the task.
        DataError: If features of the parts differ, or targets do not fit the task. Values are
            checked by `as_dataset` only.

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
                f"`num_classes` must be None for regression (got {self.num_classes})."
            )
        for label, part in self.parts():
            advice = "a Part (see `hybridopt.data.as_dataset(train, test=test)`)"
            _validation.instance(label, part, Part, advice)
            _check_targets(f"{label}.y", part.y, self.task)
            here, there = named_tensors("x", part.x), named_tensors("x", self.train.x)
            if here.keys() != there.keys():
                raise DataError(
                    f"`train.x` and `test.x` must have the same inputs (got {_form(self.train.x)} "
                    f"and {_form(part.x)})."
                )
            for name, tensor in (*here.items(), ("y", part.y)):
                _check_same_shape(name, there.get(name, self.train.y), tensor)

    def parts(self) -> tuple[tuple[str, Part], ...]:
        """Return the existing parts with their names."""
        train = (("train", self.train),)
        return train if self.test is None else (*train, ("test", self.test))

    @property
    def num_features(self) -> int:
        """Number of features per sample, for instance columns or pixels."""
        return sum(math.prod(tensor.shape[1:]) for tensor in tensors_of(self.train.x))

    @property
    def num_outputs(self) -> int:
        """Number of outputs of a network: one per class, or one per target column."""
        return self.num_classes or math.prod(self.train.y.shape[1:])

    def __repr__(self) -> str:
        one, many = ("target", "targets") if self.num_classes is None else ("class", "classes")
        outputs = f"{self.num_outputs} {one if self.num_outputs == 1 else many}"
        features = f"{self.num_features} feature{'s' * (self.num_features != 1)}"
        samples = f"{len(self.train)} training and {len(self.test or ())} test samples"
        return f"Dataset({self.name!r}, {self.task}, {features}, {outputs}, {samples})"


def check_rows(name: str, values: Tensor) -> None:
    """Check that a tensor has one row per sample."""
    if values.ndim == 0:
        raise DataError(f"`{name}` must have one row per sample (got one number).")


def check_equal_length(num_x: int, num_y: int, *, name: str = "x", prefix: str = "") -> None:
    """Check that inputs (or weights) and targets have equally many rows."""
    if num_x != num_y:
        raise DataError(
            f"`{prefix}{name}` and `{prefix}y` must have equal length (got {num_x} and {num_y} "
            "rows). Pass one target per sample."
        )


def _check_targets(name: str, y: Tensor, task: Task) -> None:
    if task == "classification":
        fits, wanted = y.dtype == torch.int64 and y.ndim == 1, "int64 labels of shape (samples,)"
    else:
        fits, wanted = y.is_floating_point() and y.ndim > 1, "real of shape (samples, targets)"
    if not fits:
        raise DataError(
            f"`{name}` must be {wanted} for {task} (got {_signature(y)}). Convert it with "
            "`as_dataset((x, y))`."
        )


def _check_same_shape(name: str, train: Tensor, test: Tensor) -> None:
    if train.shape[1:] != test.shape[1:] or train.dtype != test.dtype:
        raise DataError(
            f"`train.{name}` and `test.{name}` must have equal columns and dtypes "
            f"(got {_signature(train)} and {_signature(test)})."
        )


def _form(x: Inputs) -> str:
    if isinstance(x, Tensor):
        return _signature(x)
    named = named_tensors("", x).items()
    return f"{type(x).__name__}({', '.join(f'{k[1:-1]}: {_signature(t)}' for k, t in named)})"


def _signature(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')}{tuple(tensor.shape)}"
