"""What a user hangs into a training run: objects with a method for each moment, or functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import nn

from hybridopt.errors import ArgumentTypeError
from hybridopt.training.history import EpochRecord, History

EpochFunction = Callable[[EpochRecord, nn.Module], object]


class Callback:
    """Looks on while `fit` trains, and may end it; override the moments you want.

    Example:
        >>> import torch, hybridopt as ho
        >>> class StopAtAccuracy(ho.training.Callback):
        ...     def __init__(self, wanted):
        ...         self.wanted = wanted
        ...     def on_epoch_end(self, record, network):
        ...         return record.metric >= self.wanted
        >>> history = ho.fit(
        ...     torch.nn.Linear(4, 3), ho.load_dataset("iris"), epochs=50, lr=0.05,
        ...     callbacks=[StopAtAccuracy(0.8)],
        ... )
        >>> history.status
        'callback'
    """

    def parameters_to_come(self, network: nn.Module) -> Sequence[nn.Parameter]:
        """Frozen parameters that it will thaw: an optimizer by name is made with them, too."""
        return ()

    def on_fit_begin(self, network: nn.Module, history: History) -> None:
        """Before the first step; a resumed run brings the epochs that are done already."""

    def on_step_end(self, loss: float, network: nn.Module) -> object:
        """After each step, with the loss of its batch at the weights before the step.

        A true value ends training with this step. The epoch is recorded as far as it went.
        """

    def on_epoch_end(self, record: EpochRecord, network: nn.Module) -> object:
        """After each epoch; a true value ends training."""

    def on_fit_end(self, network: nn.Module, history: History) -> None:
        """When training has ended, whatever ended it: an error and Ctrl-C call it, too."""


class Callbacks:
    """All callbacks of one run.

    Args:
        callbacks: `Callback` objects, and functions of (record, network) that are called after
            each epoch.
    """

    def __init__(self, callbacks: Sequence[Callback | EpochFunction] = ()) -> None:
        self._objects = [entry for entry in callbacks if isinstance(entry, Callback)]
        self._after_step = [
            entry.on_step_end
            for entry in self._objects
            if type(entry).on_step_end is not Callback.on_step_end  # steps are short
        ]
        self._after_epoch = [
            entry.on_epoch_end if isinstance(entry, Callback) else entry for entry in callbacks
        ]

    @property
    def watch_steps(self) -> bool:
        """Whether any of them wants to hear of single steps."""
        return bool(self._after_step)

    def parameters_to_come(self, network: nn.Module) -> list[nn.Parameter]:
        """What any of them will thaw."""
        return [p for entry in self._objects for p in entry.parameters_to_come(network)]

    def fit_begin(self, network: nn.Module, history: History) -> None:
        """Tell all of them."""
        for entry in self._objects:
            entry.on_fit_begin(network, history)

    def step_end(self, loss: float, network: nn.Module) -> bool:
        """Tell all of them; whether one wants to end training."""
        answers = [hear(loss, network) for hear in self._after_step]  # all hear of it
        return any(map(bool, answers))

    def epoch_end(self, record: EpochRecord, network: nn.Module) -> bool:
        """Tell all of them; whether one wants to end training."""
        answers = [hear(record, network) for hear in self._after_epoch]
        return any(map(bool, answers))

    def fit_end(self, network: nn.Module, history: History) -> None:
        """Tell all of them."""
        for entry in self._objects:
            entry.on_fit_end(network, history)


def check_callbacks(callbacks: object) -> Callbacks:
    """Refuse what cannot be called back.

    Raises:
        ArgumentTypeError: If it is no sequence of callbacks and functions.
    """
    if not isinstance(callbacks, Sequence) or isinstance(callbacks, str):
        raise ArgumentTypeError(
            "Argument `callbacks` must be a list of functions of (record, network) or Callback "
            f"objects, but is {callbacks!r}."
        )
    for entry in callbacks:
        if isinstance(entry, type):
            raise ArgumentTypeError(
                f"Argument `callbacks` holds the class {entry.__name__}. Pass an object of it: "
                f"{entry.__name__}(...)."
            )
        if not isinstance(entry, Callback) and not callable(entry):
            raise ArgumentTypeError(
                "Argument `callbacks` must be a list of functions of (record, network) or "
                f"Callback objects, but holds {entry!r}."
            )
    return Callbacks(callbacks)
