"""Records of a training run, one per epoch."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from hybridopt import _validation
from hybridopt._pages import html_table
from hybridopt._plots import TEAL, label_ends, subplots
from hybridopt._suggestions import missing_attribute
from hybridopt.errors import ArgumentError, ArgumentTypeError, MissingExtraError
from hybridopt.execution import Cost

Status = Literal[
    "running", "converged", "patience", "callback", "epochs", "interrupted", "limit", "failed"
]

MOST_AXES = 2  # of a plot: loss and metric

REASONS: dict[str, str] = {
    "running": "training has not ended",
    "converged": "the training loss changed by no more than `tol`",
    "patience": "the loss did not improve for `patience` epochs",
    "callback": "a callback returned a true value",
    "epochs": "all epochs are done",
    "interrupted": "training was interrupted from the keyboard",
    "limit": "a limit of an executor was reached",
    "failed": "an error ended training",
}


@dataclass(frozen=True)
class EpochRecord:
    """Record of one epoch.

    Attributes:
        epoch: Number of the epoch, from 1.
        train_loss: Mean loss over the samples, each at the weights of its step.
        test_loss: Loss on the test part after the epoch; None without a test part.
        metric: Accuracy or R^2 on the test part (training part without one); None if undefined
            for the shapes of outputs and targets.
        seconds: Wall time of the training steps, without evaluation.
        settings: Number of settings of training and evaluation.
        shots: Number of shots of training and evaluation.
        runs: Number of runs of training and evaluation.
        lr: Learning rate of the first step and the first parameter group; None if unknown.
        steps: Number of steps of the optimizer; None if unknown.
        clipped: Number of steps in which ``clip_grad_norm`` scaled the gradient; None if unknown.
        standard_error: Root mean square of the standard errors of circuit outputs (expectation
            values, or probabilities in bridges), in the forward passes; None without shots.
        jobs: Number of jobs sent to a service, for training and evaluation.
        service_seconds: Time that the service reported for these jobs [s].

    Example:
        >>> import torch, hybridopt as ho
        >>> history = ho.fit(torch.nn.Linear(4, 3), ho.load_dataset("iris"), epochs=2)
        >>> record = history.records[-1]
        >>> record.epoch, record.settings, record.lr
        (2, 0, 0.01)
    """

    epoch: int
    train_loss: float
    test_loss: float | None
    metric: float | None
    seconds: float
    settings: int
    shots: int
    runs: int
    lr: float | None = None
    steps: int | None = None
    clipped: int | None = None
    standard_error: float | None = None
    jobs: int = 0
    service_seconds: float = 0.0

    @property
    def cost(self) -> Cost:
        """Cost of training and evaluation."""
        return Cost(self.settings, self.shots, self.runs, self.jobs, self.service_seconds)


@dataclass(frozen=True)
class RangeTest:
    """Result of the learning-rate range test of ``lr="auto"``.

    Attributes:
        lr: Chosen learning rate.
        rates: Learning rates of the steps.
        losses: Losses of the batches, each before the step with the rate at the same index.
        seconds: Wall time.
        settings: Number of settings.
        shots: Number of shots.
        runs: Number of runs.
        reason: Reason for the default rate of the optimizer; empty if the test chose the rate.
        jobs: Number of jobs sent to a service.
        service_seconds: Time that the service reported for these jobs [s].

    Example:
        >>> import torch, hybridopt as ho
        >>> data = ho.load_dataset("iris")
        >>> history = ho.fit(torch.nn.Linear(4, 3), data, epochs=1, lr="auto")
        >>> len(history.range_test.rates) == len(history.range_test.losses)
        True
        >>> history.range_test.lr == history.lr[0]
        True
    """

    lr: float
    rates: list[float]
    losses: list[float]
    seconds: float
    settings: int
    shots: int
    runs: int
    reason: str = ""
    jobs: int = 0
    service_seconds: float = 0.0

    @property
    def cost(self) -> Cost:
        """Cost of the test."""
        return Cost(self.settings, self.shots, self.runs, self.jobs, self.service_seconds)


def _column(name: str, doc: str) -> Any:
    """Return a property of a `History` with the values of one field of its records."""
    return property(lambda history: [getattr(one, name) for one in history.records], doc=doc)


@dataclass
class History:
    """Records of all epochs and the reason for the end of training.

    Attributes:
        metric_name: ``"accuracy"`` or ``"r2"``.
        records: One `EpochRecord` per epoch.
        status: ``"converged"``, ``"patience"``, ``"callback"``, ``"epochs"``, ``"interrupted"`` or
            ``"limit"``; in callbacks also ``"running"`` and ``"failed"``.
        range_test: Range test of ``lr="auto"``; None otherwise.
        detail: Message of the executor that reached a limit, with its cost; otherwise empty.
        mitigation: Error mitigation of the executors, in words; empty without any. Mitigated values
            are not exact.

    Example:
        >>> import torch, hybridopt as ho
        >>> history = ho.fit(torch.nn.Linear(4, 3), ho.load_dataset("iris"), epochs=3)
        >>> len(history), len(history.train_loss), history.status
        (3, 3, 'epochs')
    """

    metric_name: str
    records: list[EpochRecord] = field(default_factory=list)
    status: Status = "running"
    range_test: RangeTest | None = None
    detail: str = ""
    mitigation: str = ""

    if not TYPE_CHECKING:  # type checkers know the attributes

        def __getattr__(self, name: str) -> Any:
            raise missing_attribute(self, name)

    def __len__(self) -> int:
        return len(self.records)

    def __iter__(self) -> Iterator[EpochRecord]:
        return iter(self.records)

    train_loss: ClassVar[list[float]] = _column("train_loss", "Training loss of each epoch.")
    test_loss: ClassVar[list[float | None]] = _column("test_loss", "Test loss after each epoch.")
    metric: ClassVar[list[float | None]] = _column("metric", "Accuracy or R^2 after each epoch.")
    seconds: ClassVar[list[float]] = _column("seconds", "Training time of each epoch, in seconds.")
    settings: ClassVar[list[int]] = _column("settings", "Settings of each epoch.")
    shots: ClassVar[list[int]] = _column("shots", "Shots of each epoch.")
    runs: ClassVar[list[int]] = _column("runs", "Runs of each epoch.")
    lr: ClassVar[list[float | None]] = _column("lr", "First learning rate of each epoch.")
    steps: ClassVar[list[int | None]] = _column("steps", "Optimizer steps of each epoch.")
    clipped: ClassVar[list[int | None]] = _column("clipped", "Clipped steps of each epoch.")
    standard_error: ClassVar[list[float | None]] = _column(
        "standard_error", "Root mean square standard error of circuit outputs, per epoch."
    )
    jobs: ClassVar[list[int]] = _column("jobs", "Jobs sent to a service, per epoch.")
    service_seconds: ClassVar[list[float]] = _column(
        "service_seconds", "Time reported by the service, per epoch, in seconds."
    )

    @property
    def cost(self) -> Cost:
        """Cost of all epochs and of the range test."""
        epochs = sum((record.cost for record in self.records), Cost())
        return epochs if self.range_test is None else epochs + self.range_test.cost

    @property
    def reason(self) -> str:
        """Reason for the end of training."""
        return f"{REASONS[self.status]}: {self.detail}" if self.detail else REASONS[self.status]

    def to_dict(self) -> dict[str, Any]:
        """Return plain types for JSON and checkpoints."""
        return {
            "metric_name": self.metric_name,
            "status": self.status,
            "records": [asdict(record) for record in self.records],
            "range_test": self.range_test and asdict(self.range_test),
            "detail": self.detail,
            "mitigation": self.mitigation,
        }

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> History:
        """Undo `to_dict`."""
        records = [EpochRecord(**record) for record in state["records"]]
        found = state["range_test"]
        texts = (state.get(name, "") for name in ("detail", "mitigation"))  # not in older files
        found = found and RangeTest(**found)
        return cls(state["metric_name"], records, state["status"], found, *texts)

    def to_frame(self) -> Any:
        """Return a pandas ``DataFrame`` with one row per epoch and one column per quantity.

        Raises:
            MissingExtraError: If pandas is not installed.

        Example:
            >>> import torch, hybridopt as ho
            >>> history = ho.fit(torch.nn.Linear(4, 3), ho.load_dataset("iris"), epochs=2)
            >>> list(history.to_frame().columns)[:3]
            ['train_loss', 'test_loss', 'metric']
        """
        try:
            pandas = import_module("pandas")
        except ImportError as error:
            raise MissingExtraError(
                "pandas must be installed for History.to_frame(). Run: pip install pandas"
            ) from error
        names = list(EpochRecord.__dataclass_fields__)
        frame = pandas.DataFrame(list(map(asdict, self.records)), columns=names).set_index("epoch")
        optional = ("test_loss", "metric", "lr", "steps", "clipped", "standard_error")
        return frame.astype(dict.fromkeys(optional, float))  # NaN in place of None

    def _repr_html_(self) -> str:
        header = ["epoch", "training loss", "test loss", self.metric_name, "seconds", "settings"]
        rows = [
            [
                str(one.epoch),
                *map(_text, (one.train_loss, one.test_loss, one.metric, one.seconds)),
                f"{one.settings:,}",
            ]
            for one in self.records
        ]
        return html_table(header, rows, [f"{self.status}: {self.reason}"])

    def plot(self, ax: Any = None) -> Any:
        """Plot loss and metric against epochs.

        Args:
            ax: Matplotlib axes for the loss, or two axes for loss and metric. None for a new
                figure of pyplot, so that ``plt.show()`` and ``plt.savefig(path)`` work.

        Returns:
            ``ax``, or an array of the two new axes.

        Raises:
            ArgumentTypeError: If ``ax`` is not matplotlib axes.
            ArgumentError: If ``ax`` contains more than two axes.
        """
        if ax is None:
            ax = subplots(9, 3.4, columns=2, window=True)[1]
        loss, *others = _axes(ax)
        epochs, dots = [record.epoch for record in self.records], {"marker": "o", "markersize": 3}
        loss.plot(epochs, self.train_loss, **dots, label="training")
        if any(value is not None for value in self.test_loss):
            loss.plot(epochs, _drawn(self.test_loss), **dots, label="test")
        loss.set(xlabel="epoch", ylabel="loss")
        for metric in others:
            if any(value is not None for value in self.metric):
                metric.plot(epochs, _drawn(self.metric), **dots, color=TEAL)
            accuracy = self.metric_name == "accuracy"
            metric.set(xlabel="epoch", ylabel="accuracy" if accuracy else "$R^2$")
        for axes in (loss, *others):
            axes.xaxis.get_major_locator().set_params(integer=True)
        label_ends(loss)
        return ax


def _text(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def _drawn(values: list[float | None]) -> list[float]:
    return [math.nan if value is None else value for value in values]


def _axes(ax: Any) -> list[Any]:
    """Return one axes, or a pair of them, as a list."""
    if isinstance(ax, str | os.PathLike):
        raise _no_axes(ax)
    given = [ax] if hasattr(ax, "plot") else list(_validation.items("ax", ax))
    if not all(hasattr(one, "transAxes") for one in given):
        raise _no_axes(ax)
    if not 1 <= len(given) <= MOST_AXES:
        raise ArgumentError(
            f"`ax` must be one axes, or two for loss and metric (got {len(given)}). Index "
            "the array of `plt.subplots()`."
        )
    return given


def _no_axes(ax: object) -> ArgumentTypeError:
    return ArgumentTypeError(
        f"`ax` must be matplotlib axes (got {ax!r}). Use `plt.subplots()`; "
        "`plt.savefig(path)` writes the picture."
    )
