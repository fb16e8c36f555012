"""Curves of a training run for TensorBoard."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

from torch import nn

from hybridopt import _validation
from hybridopt._files import output_folder
from hybridopt.errors import MissingExtraError
from hybridopt.training.callbacks import Callback
from hybridopt.training.history import EpochRecord, History


class TensorBoard(Callback):
    """Writer of losses, metric, learning rate, seconds, settings and shots of each epoch.

    Show them with ``tensorboard --logdir FOLDER``. A resumed run continues the curves after the
    epoch of its checkpoint.

    Args:
        folder: Folder of one run; created if it is missing.

    Raises:
        ArgumentTypeError: If ``folder`` is not a path.
        MissingExtraError: If the package tensorboard is not installed.
        OutputError: If the folder cannot be written.

    Example:
        >>> import hybridopt as ho
        >>> def train(network, data):  # needs the package tensorboard
        ...     return ho.fit(network, data, callbacks=[ho.training.TensorBoard("results/run-1")])
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        folder = _validation.path("folder", folder)
        try:
            self._make_writer = import_module("torch.utils.tensorboard").SummaryWriter
        except ImportError as error:
            raise MissingExtraError(
                "tensorboard must be installed for TensorBoard(...). Run: pip install tensorboard"
            ) from error
        self.folder = output_folder(folder)
        self._metric_name = ""
        self._writer: Any = None

    def on_fit_begin(self, network: nn.Module, history: History) -> None:
        """Open the file; epochs after the checkpoint of a resumed run are hidden."""
        self._metric_name = history.metric_name
        self._writer = self._make_writer(str(self.folder), purge_step=len(history) + 1)

    def on_epoch_end(self, record: EpochRecord, network: nn.Module) -> None:
        """Write one point per curve with a value."""
        curves = {
            "loss/train": record.train_loss,
            "loss/test": record.test_loss,
            f"metric/{self._metric_name}": record.metric,
            "lr": record.lr,
            **{f"cost/{x}": getattr(record, x) for x in ("seconds", "settings", "shots", "runs")},
        }
        for name, value in curves.items():
            if value is not None:
                self._writer.add_scalar(name, value, global_step=record.epoch)
        self._writer.flush()

    def on_fit_end(self, network: nn.Module, history: History) -> None:
        """Close the file."""
        self._writer.close()
