"""Steps of optimizers with one gradient: accumulation over batches, and clipping."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import nn
from torch.optim import LBFGS, Optimizer

from hybridopt import _validation
from hybridopt._inputs import call
from hybridopt.data.dataset import Batch
from hybridopt.errors import ArgumentError, TrainingError
from hybridopt.optim import Newton
from hybridopt.training.callbacks import Callback
from hybridopt.training.weighted_loss import BatchLoss, samples_in


@dataclass(frozen=True)
class StepOptions:
    """Options of the gradient of a step.

    Attributes:
        clip_grad_norm: Largest 2-norm of the gradient of all trained parameters; None for no limit.
        accumulate: Number of batches per step. The last step of an epoch may have fewer.
    """

    clip_grad_norm: float | None = None
    accumulate: int = 1

    @classmethod
    def checked(
        cls, clip_grad_norm: object, accumulate: object, optimizer: Optimizer,
        callbacks: Iterable[Callback],
    ) -> StepOptions:  # fmt: skip
        """Check the options; refuse them for optimizers that compute several gradients per step."""
        clip = _validation.optional_real("clip_grad_norm", clip_grad_norm, minimum=0, strict=True)
        count = _validation.integer("accumulate", accumulate, minimum=1)
        if isinstance(optimizer, Newton | LBFGS):
            hooks = [type(one).__name__ for one in callbacks if _has_before_step(one)]
            used = {
                "clip_grad_norm": clip is not None,
                "accumulate": count > 1,
                f"{''.join(hooks[:1])}.on_before_step": bool(hooks),
            }
            for name in (name for name, is_used in used.items() if is_used):
                raise ArgumentError(
                    f"`{name}` must be left out with {type(optimizer).__name__}, which evaluates "
                    'loss and gradient several times per step. Use an optimizer such as "adam".'
                )
        return cls(clip, count)

    def clip(self, optimizer: Optimizer) -> bool:
        """Scale the gradients down to the largest norm; return whether they exceeded it."""
        if self.clip_grad_norm is None:
            return False
        trained = [p for group in optimizer.param_groups for p in group["params"]]
        if any(p.grad is not None and p.grad.layout != torch.strided for p in trained):
            raise TrainingError(
                "`clip_grad_norm` must be left out for layers with sparse gradients. Make them "
                "with sparse=False."
            )
        norm = nn.utils.clip_grad_norm_(trained, self.clip_grad_norm)
        return float(norm) > self.clip_grad_norm


def _has_before_step(callback: Callback) -> bool:
    return type(callback).on_before_step is not Callback.on_before_step


def accumulated_gradient(
    network: nn.Module,
    loss: BatchLoss,
    batches: Iterable[Batch],
    optimizer: Optimizer,
    check: Callable[[torch.Tensor, int], float],
) -> tuple[float, float, int]:
    """Compute the gradient of the mean loss over all samples of some batches.

    ``check`` gets the loss of each batch and its number in the step, and returns its value.

    Returns:
        Loss, number of samples (or the sum of their weights), and number of batches.
    """
    optimizer.zero_grad()
    total = mass = first = samples = 0.0
    count = 0
    for batch in batches:
        value = loss(call(network, batch.x), batch.y, batch.sample_weight)
        number = check(value, count)
        own = 1.0 if loss.is_sum else loss.mass(batch)
        first = first or own
        (value if own == first else value * (own / first)).backward()  # type: ignore[no-untyped-call]
        total, mass, count = total + own * number, mass + own, count + 1
        samples += samples_in(batch)
    if count == 1:
        return number, samples, count
    if loss.is_sum:
        return total, samples, count
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            if parameter.grad is not None:
                parameter.grad.mul_(first / mass)
    return total / mass, samples, count
