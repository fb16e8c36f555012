"""Gradual unfreezing during training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import nn

from hybridopt import _validation
from hybridopt.errors import ArgumentError
from hybridopt.nn.frozen_state import mark_of
from hybridopt.training import Callback, EpochRecord, History
from hybridopt.transfer.freezing import check_names, selected, unfreeze


class Unfreeze(Callback):
    """Callback that unfreezes parameters frozen by `transfer` or `freeze` after some epochs.

    A random head has large gradients at first, which would damage a pretrained body. Therefore
    the head is trained alone first. Use `parameter_groups` for a separate learning rate of the
    body; an optimizer by name has one rate.

    Args:
        after: Number of epochs until everything is unfrozen, or a schedule. A schedule maps
            numbers of epochs to names as in `unfreeze`; None for everything.

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
        ...     target, ho.load_dataset("iris"), optimizer=optimizer, epochs=4,
        ...     callbacks=[ho.Unfreeze(2)],
        ... )
        >>> torch.equal(target[0].weight, source[0].weight)
        False
    """

    def __init__(self, after: int | Mapping[int, str | Sequence[str] | None]) -> None:
        after = after if isinstance(after, Mapping) else {after: None}
        if not after:
            raise ArgumentError("`after` must have at least one epoch (got {}).")
        self.schedule = {
            _validation.integer("after", epoch, minimum=1): names
            if names is None or isinstance(names, str)
            else check_names(names, "after")
            for epoch, names in after.items()
        }

    def on_fit_begin(self, network: nn.Module, history: History) -> None:
        """Unfreeze the parameters of earlier epochs in a resumed run."""
        for epoch in sorted(self.schedule):
            if epoch <= len(history):
                unfreeze(network, self.schedule[epoch])

    def parameters_to_come(self, network: nn.Module) -> list[nn.Parameter]:
        """Return the parameters that will be unfrozen."""
        return [
            module.get_parameter(name)
            for names in self.schedule.values()
            for module, parameters, _ in selected(network, [""] if names is None else names)
            for name in mark_of(module).parameters
            if name in parameters
        ]

    def on_epoch_end(self, record: EpochRecord, network: nn.Module) -> None:
        """Unfreeze the parameters of this epoch."""
        if record.epoch in self.schedule:
            unfreeze(network, self.schedule[record.epoch])
