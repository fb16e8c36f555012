"""What happened in a training run, epoch by epoch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from matplotlib.figure import Figure

from hybridopt.execution import Cost

Status = Literal["running", "converged", "patience", "callback", "epochs", "interrupted"]

REASONS: dict[str, str] = {
    "running": "training goes on",
    "converged": "the training loss changed by no more than `tol`",
    "patience": "the loss did not improve for `patience` epochs",
    "callback": "a callback asked to stop",
    "epochs": "all epochs are done",
    "interrupted": "it was interrupted from the keyboard",
}


@dataclass(frozen=True)
class EpochRecord:
    """One epoch.

    Attributes:
        epoch: Its number, from 1.
        train_loss: Mean loss over the samples, each at the weights of its step.
        test_loss: Loss on the test part after the epoch; None without a test part.
        metric: Accuracy (classification) or R^2 (regression) on the test part, or on the
            training part where there is no other; None if outputs and targets have neither.
        seconds: Wall time of the training steps; evaluation is not counted.
        settings: Settings that were run, those of the evaluation included.
        shots: Shots, likewise.
        runs: Circuits that the simulator executed, likewise.
    """

    epoch: int
    train_loss: float
    test_loss: float | None
    metric: float | None
    seconds: float
    settings: int
    shots: int
    runs: int


@dataclass
class History:
    """The epochs of a training run, and why it ended.

    Attributes:
        metric_name: ``"accuracy"`` or ``"r2"``.
        records: One `EpochRecord` an epoch.
        status: ``"converged"``, ``"patience"``, ``"callback"``, ``"epochs"`` or ``"interrupted"``.
    """

    metric_name: str
    records: list[EpochRecord] = field(default_factory=list)
    status: Status = "running"

    def __len__(self) -> int:
        return len(self.records)

    def __iter__(self) -> Iterator[EpochRecord]:
        return iter(self.records)

    @property
    def train_loss(self) -> list[float]:
        """Training loss of each epoch."""
        return [record.train_loss for record in self.records]

    @property
    def test_loss(self) -> list[float | None]:
        """Test loss after each epoch."""
        return [record.test_loss for record in self.records]

    @property
    def metric(self) -> list[float | None]:
        """Accuracy or R^2 after each epoch."""
        return [record.metric for record in self.records]

    @property
    def seconds(self) -> list[float]:
        """Wall time of each epoch's training steps."""
        return [record.seconds for record in self.records]

    @property
    def settings(self) -> list[int]:
        """Settings of each epoch."""
        return [record.settings for record in self.records]

    @property
    def shots(self) -> list[int]:
        """Shots of each epoch."""
        return [record.shots for record in self.records]

    @property
    def runs(self) -> list[int]:
        """Simulator runs of each epoch."""
        return [record.runs for record in self.records]

    @property
    def cost(self) -> Cost:
        """Settings, shots and runs of all epochs."""
        return Cost(sum(self.settings), sum(self.shots), sum(self.runs))

    @property
    def reason(self) -> str:
        """Why training ended, in words."""
        return REASONS[self.status]

    def to_dict(self) -> dict[str, Any]:
        """Plain types only, for JSON and checkpoints."""
        return {
            "metric_name": self.metric_name,
            "status": self.status,
            "records": [asdict(record) for record in self.records],
        }

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> History:
        """Undo `to_dict`."""
        records = [EpochRecord(**record) for record in state["records"]]
        return cls(state["metric_name"], records, state["status"])

    def plot(self) -> Figure:
        """Loss and metric against epochs.

        Returns:
            A matplotlib figure that belongs to no window; save it with ``figure.savefig(path)``.
        """
        figure = Figure(figsize=(9, 3.4), layout="constrained")
        loss, metric = figure.subplots(1, 2)
        epochs = [record.epoch for record in self.records]
        loss.plot(epochs, self.train_loss, marker="o", markersize=3, label="training")
        if any(value is not None for value in self.test_loss):
            loss.plot(epochs, self.test_loss, marker="o", markersize=3, label="test")
        loss.set(xlabel="epoch", ylabel="loss")
        loss.legend(frameon=False)
        if any(value is not None for value in self.metric):
            metric.plot(epochs, self.metric, marker="o", markersize=3, color="C2")
        metric.set(xlabel="epoch", ylabel="accuracy" if self.metric_name == "accuracy" else "$R^2$")
        for axes in (loss, metric):
            axes.spines[["top", "right"]].set_visible(False)
            axes.xaxis.get_major_locator().set_params(integer=True)
        return figure
