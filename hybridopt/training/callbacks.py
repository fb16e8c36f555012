"""What a user hangs into a training run: objects with a method for each moment, or functions."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from contextlib import suppress

from torch import nn

from hybridopt.errors import ArgumentTypeError
from hybridopt.training.history import EpochRecord, History

EpochFunction = Callable[[EpochRecord, nn.Module], object]
MOMENTS = {
    "parameters_to_come": ("network",),
    "on_fit_begin": ("network", "history"),
    "on_step_end": ("loss", "network"),
    "on_epoch_end": ("record", "network"),
    "on_fit_end": ("network", "history"),
}


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
        """Frozen parameters that it will unfreeze: an optimizer by name is made with them, too."""
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
        """When training has ended, whatever ended it: an error and Ctrl-C call it, too.

        Only where `on_fit_begin` has come to its end. Where several fail, the first error counts.
        """


class Callbacks:
    """All callbacks of one run: `Callback` objects, and functions called after each epoch."""

    def __init__(self, callbacks: Sequence[Callback | EpochFunction] = ()) -> None:
        self._objects = [entry for entry in callbacks if isinstance(entry, Callback)]
        self._after_step = [entry.on_step_end for entry in self._objects]
        self._after_epoch = [
            entry.on_epoch_end if isinstance(entry, Callback) else entry for entry in callbacks
        ]
        self._begun: list[Callback] = []

    def parameters_to_come(self, network: nn.Module) -> list[nn.Parameter]:
        """What any of them will unfreeze."""
        return [p for entry in self._objects for p in entry.parameters_to_come(network)]

    def fit_begin(self, network: nn.Module, history: History) -> None:
        """Tell all of them."""
        for entry in self._objects:
            entry.on_fit_begin(network, history)
            self._begun.append(entry)

    def step_end(self, loss: float, network: nn.Module) -> bool:
        """Tell all of them; return whether one wants to end training."""
        return _one_stops(self._after_step, loss, network)

    def epoch_end(self, record: EpochRecord, network: nn.Module) -> bool:
        """Tell all of them; whether one wants to end training."""
        return _one_stops(self._after_epoch, record, network)

    def fit_end(self, network: nn.Module, history: History) -> None:
        """Tell all whose `on_fit_begin` has come to its end, then raise the first error."""
        errors = []
        for entry in self._begun:
            try:
                entry.on_fit_end(network, history)
            except BaseException as error:  # noqa: BLE001  the first is raised when all were told
                errors.append(error)
        if errors:
            raise errors[0]


def check_callbacks(callbacks: object) -> Callbacks:
    """Refuse what is no sequence of callbacks and functions that take the right arguments."""
    must = "Argument `callbacks` must be a list of functions of (record, network) or Callback "
    if not isinstance(callbacks, Sequence) or isinstance(callbacks, str):
        raise ArgumentTypeError(f"{must}objects, but is {callbacks!r}.")
    for entry in callbacks:
        if isinstance(entry, Callback):
            for name, arguments in MOMENTS.items():
                what = f"method {type(entry).__name__}.{name}"
                _check_signature(getattr(entry, name), what, arguments)
        elif callable(entry) and not isinstance(entry, type):
            _check_signature(entry, f"function {_name(entry)!r}", MOMENTS["on_epoch_end"])
        else:
            shown = f"the class {entry.__name__}" if isinstance(entry, type) else repr(entry)
            raise ArgumentTypeError(f"{must}objects, but holds {shown}.")
    return Callbacks(callbacks)


def _check_signature(heard: object, what: str, arguments: Sequence[str]) -> None:
    listed = ", ".join(arguments)
    if not callable(heard):
        raise ArgumentTypeError(
            f"The {what} in `callbacks` must be callable with ({listed}), but is {heard!r}."
        )
    with suppress(ValueError):  # builtins may not tell
        signature = inspect.signature(heard)
        try:
            signature.bind(*arguments)
        except TypeError as error:
            raise ArgumentTypeError(
                f"The {what} in `callbacks` is called with ({listed}), but takes {signature}: "
                f"{error}."
            ) from error


def _one_stops(listeners: Sequence[Callable[..., object]], *news: object) -> bool:
    """Tell all of them; whether one returned a true value."""
    stops = False
    for tell in listeners:
        answer = tell(*news)
        try:
            stops = bool(answer) or stops
        except Exception as error:
            raise ArgumentTypeError(
                f"The callback {_name(tell)!r} must return a true value to end training, or a "
                f"false one or None, but returned {type(answer).__name__}: {error}"
            ) from error
    return stops


def _name(heard: object) -> str:
    return str(getattr(heard, "__qualname__", None) or type(heard).__name__)
