"""What a user hangs into a training run: objects with a method for each moment, or functions."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

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

        Only where `on_fit_begin` has come to its end, in the reverse order.
        """


EVENTS = {  # names of the arguments of each method
    name: list(inspect.signature(method).parameters)[1:]
    for name, method in vars(Callback).items()
    if not name.startswith("_")
}


class _EpochCallback(Callback):
    """Callback that calls a function after each epoch."""

    def __init__(self, function: EpochFunction) -> None:
        self._function = function

    def on_epoch_end(self, record: EpochRecord, network: nn.Module) -> object:
        return self._function(record, network)


def check_callbacks(callbacks: object) -> list[Callback]:
    """Return callbacks and functions as `Callback` objects; refuse wrong signatures."""
    must = "Argument `callbacks` must be a list of functions of (record, network) or Callback "
    if not isinstance(callbacks, Sequence) or isinstance(callbacks, str):
        raise ArgumentTypeError(f"{must}objects, but is {callbacks!r}.")
    checked = []
    for entry in callbacks:
        if isinstance(entry, Callback):
            for name, arguments in EVENTS.items():
                what = f"method {type(entry).__name__}.{name}"
                _check_signature(getattr(entry, name), what, arguments)
            checked.append(entry)
        elif callable(entry) and not isinstance(entry, type):
            name = getattr(entry, "__qualname__", type(entry).__name__)
            _check_signature(entry, f"function {name!r}", EVENTS["on_epoch_end"])
            checked.append(_EpochCallback(entry))
        else:
            shown = f"the class {entry.__name__}" if isinstance(entry, type) else repr(entry)
            raise ArgumentTypeError(f"{must}objects, but holds {shown}.")
    return checked


def _check_signature(function: Any, what: str, arguments: Sequence[str]) -> None:
    with suppress(ValueError):  # some builtins have no signature
        try:
            inspect.signature(function).bind(*arguments)
        except TypeError as error:
            shown = str(inspect.signature(function)) if callable(function) else repr(function)
            raise ArgumentTypeError(
                f"The {what} in `callbacks` is called with ({', '.join(arguments)}), but is "
                f"{shown}: {error}."
            ) from error
