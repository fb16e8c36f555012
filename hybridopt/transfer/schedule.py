"""Thawing on the way: first the head alone, then more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from hybridopt import checks
from hybridopt.errors import ArgumentError, ArgumentTypeError, TrainingError
from hybridopt.nn.standing_still import mark_of
from hybridopt.training import Callback
from hybridopt.transfer.freezing import check_names, thaw

if TYPE_CHECKING:
    from hybridopt.training import EpochRecord, History


class Thaw(Callback):
    """Thaws what `transfer` or `freeze` froze, after so many epochs of `fit`.

    A head that is drawn at random would at first send large gradients into the body; so it is
    trained alone until it is worth listening to. Give the body a learning rate of its own by
    `parameter_groups`; with an optimizer by name it gets that of the head.

    Args:
        after: Epochs until everything is thawed; or a schedule: epochs to the names of layers,
            parts or parameters, None for all that is still frozen.

    Raises:
        ArgumentError: If a number of epochs is below 1, or the schedule is empty.

    References:
        Howard and Ruder, arXiv:1801.06146 (gradual unfreezing).

    Example:
        >>> import torch, hybridopt as ho
        >>> from torch import nn
        >>> source = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2))
        >>> target = ho.transfer(source, num_outputs=3)
        >>> optimizer = torch.optim.Adam(ho.parameter_groups(target, lr=0.01, body_lr=0.001))
        >>> history = ho.fit(
        ...     target,
        ...     ho.load_dataset("iris"),
        ...     optimizer=optimizer,
        ...     epochs=4,
        ...     callbacks=[ho.Thaw(2)],
        ... )
        >>> torch.equal(target[0].weight, source[0].weight)
        False
    """

    def __init__(self, after: int | Mapping[int, Sequence[str] | None]) -> None:
        if isinstance(after, Mapping):
            if not after:
                raise ArgumentError("Argument `after` of Thaw is an empty schedule.")
            self.schedule = {
                checks.integer("after", epoch, minimum=1): _names(names)
                for epoch, names in after.items()
            }
        else:
            self.schedule = {checks.integer("after", after, minimum=1): None}
        self._waiting: list[tuple[nn.Parameter, Tensor]] = []

    def on_fit_begin(self, network: nn.Module, history: History) -> None:
        """A resumed run takes up what was thawed before."""
        self._waiting = []
        for epoch in sorted(self.schedule):
            if epoch <= len(history):
                thaw(network, self.schedule[epoch])

    def parameters_to_come(self, network: nn.Module) -> list[nn.Parameter]:
        """What it is going to thaw, for the optimizer to hold.

        Raises:
            UnknownNameError: If the schedule names what is not there.
        """
        chosen: list[nn.Parameter] = []
        for names in self.schedule.values():
            places = [network] if names is None else [_place(network, name) for name in names]
            for place in places:
                chosen += [place] if isinstance(place, nn.Parameter) else place.parameters()
        marked = {
            id(module.get_parameter(name))
            for module in network.modules()
            for name in mark_of(module).parameters
        }
        return [parameter for parameter in chosen if id(parameter) in marked]

    def on_epoch_end(self, record: EpochRecord, network: nn.Module) -> object:
        """Thaw what is due."""
        if record.epoch in self.schedule:
            for name in thaw(network, self.schedule[record.epoch]):
                parameter = network.get_parameter(name)
                self._waiting.append((parameter, parameter.detach().clone()))
        return None

    def on_step_end(self, loss: float, network: nn.Module) -> object:
        """The first step after a thaw tells whether the optimizer holds what was thawed.

        Raises:
            TrainingError: If it does not: nothing would come of the thaw.
        """
        if self._waiting:
            waiting, self._waiting = self._waiting, []
            moved = [not torch.equal(parameter.detach(), before) for parameter, before in waiting]
            pulled = [p.grad is not None and bool(p.grad.any()) for p, _ in waiting]
            if any(pulled) and not any(moved):
                raise TrainingError(
                    "What was thawed does not move: the optimizer was made without it. Make it "
                    "from `hybridopt.parameter_groups(network, lr=...)`, or pass it by name."
                )
        return None


def _names(names: object) -> list[str] | None:
    if names is None:
        return None
    if isinstance(names, str):
        raise ArgumentTypeError(
            f"A schedule of Thaw must hold lists of names, but holds {names!r}. Write [{names!r}]."
        )
    return check_names(names)


def _place(network: nn.Module, name: str) -> nn.Module | nn.Parameter:
    modules = dict(network.named_modules(remove_duplicate=False))
    parameters = dict(network.named_parameters(remove_duplicate=False))
    checks.choice("layer or parameter", name, [*modules, *parameters])
    return modules[name] if name in modules else parameters[name]
