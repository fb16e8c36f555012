r"""Loss of a batch with sample weights, and the mass of a batch in a mean over batches.

The loss with sample weights :math:`w_i` is the weighted mean

.. math::
    L = \frac{\sum_i w_i \, l_i}{\sum_i w_i \, c_i},

with the loss :math:`l_i` of one sample (a mean over its outputs). :math:`c_i = 1`, except for cross
entropy and NLL with class weights, where :math:`l_i` contains the weight :math:`c_i` of the class;
:math:`c_i = 0` for ``ignore_index``. With weights 1, this is torch's ``reduction="mean"``. An
integer weight acts as that number of equal samples. ``reduction="sum"`` gives the numerator.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.loss import _Loss

from hybridopt.data.dataset import Batch
from hybridopt.errors import ArgumentTypeError
from hybridopt.training.objective import Loss, as_scalar

NORMALIZED = (nn.CrossEntropyLoss, nn.NLLLoss, functional.cross_entropy, functional.nll_loss)
REDUCTIONS = ("mean", "sum", "batchmean")
IGNORED = -100  # torch's default of `ignore_index`


class BatchLoss:
    """Loss of a batch, with or without sample weights.

    Args:
        loss: Function of (outputs, targets). Torch's losses are evaluated per sample for weights.
            Other losses must return one value per sample for weights.
    """

    def __init__(self, loss: Loss) -> None:
        self.loss = loss
        kind, options = _settings(loss)
        self._reduction: str | None = None  # None for losses that are not those of torch
        self._each: Loss = loss
        if options.get("reduction") in REDUCTIONS:
            self._reduction = options["reduction"]
            self._each = _per_sample(loss)
        self._class_weight: Tensor | None = options.get("weight")
        self._ignored: int = options.get("ignore_index", IGNORED)
        varies = self._class_weight is not None or self._ignored >= 0
        self._normalized = kind in NORMALIZED and self._reduction == "mean" and varies

    @property
    def is_sum(self) -> bool:
        """Whether the loss of several batches is the sum of their losses."""
        return self._reduction == "sum"

    def __call__(
        self, outputs: Tensor, targets: Tensor, sample_weight: Tensor | None = None
    ) -> Tensor:
        """Return the loss, a tensor with one element.

        Raises:
            ArgumentTypeError: If the loss has another shape, or cannot take sample weights.
        """
        equal = self._reduction is not None and (
            sample_weight is not None
            and not sample_weight.is_meta
            and bool((sample_weight == 1).all())
        )
        if sample_weight is None or equal:
            return as_scalar(self.loss(outputs, targets))
        each = self._checked(self._each(outputs, targets), len(targets)).flatten(1)
        each = each.mean(1) if self._reduction in {"mean", None} else each.sum(1)
        weight = sample_weight.to(each.dtype)
        total = (weight * each).sum()
        return total if self.is_sum else total / (weight * self._norms(targets, each)).sum()

    def mass(self, batch: Batch) -> float:
        """Return the denominator of the mean over a batch."""
        weight = batch.sample_weight
        if self._normalized and not batch.y.is_floating_point():
            norms = self._norms(batch.y, torch.zeros(len(batch.y), dtype=torch.float64))
            return float((norms if weight is None else weight.to(norms) * norms).sum())
        return samples_in(batch)

    def _norms(self, targets: Tensor, each: Tensor) -> Tensor:
        norms = torch.ones(len(targets), dtype=each.dtype, device=targets.device)
        if not self._normalized or targets.is_floating_point():
            return norms
        kept = targets != self._ignored
        if self._class_weight is not None:
            norms = self._class_weight.to(norms)[torch.where(kept, targets, 0)]
        return norms * kept

    def _checked(self, each: object, count: int) -> Tensor:
        if isinstance(each, Tensor) and each.ndim and len(each) == count:
            return each[:, None]
        got = f"shape {tuple(each.shape)}" if isinstance(each, Tensor) else type(each).__name__
        raise ArgumentTypeError(
            f"`loss` must return one value per sample with sample weights (got {got} for {count} "
            'samples). Leave out its mean (`reduction="none"`); the weighted mean is added.'
        )


def samples_in(batch: Batch) -> float:
    """Return the number of samples, or the sum of their weights."""
    return len(batch.y) if batch.sample_weight is None else float(batch.sample_weight.sum())


def _settings(loss: Any) -> tuple[object, dict[str, Any]]:
    """Return the class or function of a torch loss, and its options; no options for others."""
    kind, given = type(loss), dict[str, Any]()
    if isinstance(loss, _Loss):
        is_torch = kind.__module__ == _Loss.__module__
        names = ("reduction", "weight", "ignore_index")
        return kind, {k: getattr(loss, k) for k in names if hasattr(loss, k)} if is_torch else {}
    while isinstance(loss, partial) and not loss.args:
        given = {**loss.keywords, **given}
        loss = loss.func
    if getattr(loss, "__module__", "") != functional.__name__ or not inspect.isfunction(loss):
        return loss, {}
    defaults = inspect.signature(loss).parameters
    if "reduction" not in defaults:
        return loss, {}
    return loss, {"reduction": defaults["reduction"].default, **given}


def _per_sample(loss: Loss) -> Loss:
    if isinstance(loss, nn.Module):
        each = copy.copy(loss)
        each.reduction = "none"  # type: ignore[assignment]
        return each
    function: Callable[..., Tensor] = loss
    return partial(function, reduction="none")
