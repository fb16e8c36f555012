"""Callbacks of `fit`: objects with one method per event, or functions."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from torch import nn

from hybridopt import _validation
from hybridopt.errors import ArgumentTypeError
from hybridopt.training.history import EpochRecord, History

EpochFunction = Callable[[EpochRecord, nn.Module], object]


class Callback:
    """Base class for code that `fit` calls during training; override the methods you need.

    Example:
        >>> import torch, hybridopt as ho
        >>> class StopAtAccuracy(ho.training.Callback):
        ...     def __init__(self, target):
        ...         self.target = target
        ...     def on_epoch_end(self, record, network):
        ...         return record.metric >= self.target
        >>> history = ho.fit(
        ...     torch.nn.Linear(4, 3), ho.load_dataset("iris"), epochs=50, lr=0.05,
        ...     callbacks=[StopAtAccuracy(0.8)],
        ... )
        >>> history.status
        'callback'
    """

    def parameters_to_come(self, network: nn.Module) -> Sequence[nn.Parameter]:
        """Return parameters that will be unfrozen; an optimizer by name contains them, too."""
        return ()

    def on_fit_begin(self, network: nn.Module, history: History) -> None:
        """Run before the first step; in a resumed run, ``history`` has the earlier epochs."""

    def on_before_step(self, loss: float, network: nn.Module) -> None:
        """Run before each step, when the gradients of its loss are in the parameters.

        It may change the gradients; ``clip_grad_norm`` of `fit` applies to the result. It is
        refused for Newton and L-BFGS, which evaluate the loss several times per step.
        """

    def on_step_end(self, loss: float, network: nn.Module) -> object:
        """Run after each step, with the loss of its batch at the weights before the step.

        A true value ends training after this step. The record of the epoch covers its steps so far.
        """

    def on_epoch_end(self, record: EpochRecord, network: nn.Module) -> object:
        """Run after each epoch; a true value ends training."""

    def on_fit_end(self, network: nn.Module, history: History) -> None:
        """Run when training has ended, also after an error or Ctrl-C.

        It is called only if `on_fit_begin` has returned; callbacks end in reverse order.
        """


EVENTS = {  # argument names of each method
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
    """Return callbacks and functions as `Callback` objects, after a check of their signatures."""
    checked: list[Callback] = []
    for entry in _validation.items("callbacks", callbacks):
        if isinstance(entry, Callback):
            for name, arguments in EVENTS.items():
                _check_signature(getattr(entry, name), f"{type(entry).__name__}.{name}", arguments)
            checked.append(entry)
        elif callable(entry) and not isinstance(entry, type):
            name = getattr(entry, "__qualname__", type(entry).__name__)
            _check_signature(entry, name, EVENTS["on_epoch_end"])
            checked.append(_EpochCallback(entry))
        else:
            shown = f"the class {entry.__name__}" if isinstance(entry, type) else repr(entry)
            raise ArgumentTypeError(
                "`callbacks` must contain Callback objects or functions of (record, network) "
                f"(got {shown})."
            )
    return checked


def _check_signature(function: Any, name: str, arguments: Sequence[str]) -> None:
    with suppress(ValueError):  # some builtins have no signature
        try:
            inspect.signature(function).bind(*arguments)
        except TypeError as error:
            shown = str(inspect.signature(function)) if callable(function) else repr(function)
            raise ArgumentTypeError(
                f"`{name}` in `callbacks` must be callable with ({', '.join(arguments)}) "
                f"(got {shown}: {error})."
            ) from error
