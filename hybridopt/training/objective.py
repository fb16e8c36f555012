"""Trained loss and reported metric."""

from __future__ import annotations

from collections.abc import Callable

from jaxtyping import Shaped
from torch import Tensor, nn
from torch.nn import functional

from hybridopt.errors import ArgumentTypeError

Loss = Callable[[Tensor, Tensor], Tensor]

BINARY = (nn.BCEWithLogitsLoss, functional.binary_cross_entropy_with_logits)
OF_LABELS = (
    *(nn.CrossEntropyLoss, nn.NLLLoss, nn.MultiMarginLoss),
    *(functional.cross_entropy, functional.nll_loss, functional.multi_margin_loss),
)
OF_VALUES = (
    *(nn.MSELoss, nn.L1Loss, nn.SmoothL1Loss, nn.HuberLoss, nn.BCEWithLogitsLoss, nn.BCELoss),
    *(functional.mse_loss, functional.l1_loss, functional.smooth_l1_loss),
)


def choose_loss(loss: object, task: str) -> Loss:
    """Return the given loss; by default cross entropy for labels, else mean squared error."""
    if loss is None:
        return functional.cross_entropy if task == "classification" else functional.mse_loss
    if isinstance(loss, type) or not callable(loss):
        expected = "a torch loss module or a function of (outputs, targets)"
        raise ArgumentTypeError(
            f"`loss` must be {expected} (got {loss!r}). Pass for example `torch.nn.MSELoss()`."
        )
    return loss


def metric_name(task: str, loss: object) -> str:
    """Return the name of the metric for a task."""
    return "accuracy" if task == "classification" or is_among(loss, BINARY) else "r2"


def metric(
    outputs: Shaped[Tensor, "samples ..."],
    targets: Shaped[Tensor, "samples ..."],
    loss: object,
    sample_weight: Shaped[Tensor, " samples"] | None = None,
) -> float | None:
    """Return the accuracy of scores or binary logits, or the coefficient of determination.

    The accuracy is in [0, 1]. R^2 <= 1 is averaged over target columns, as in scikit-learn. The
    result is None if the shapes fit neither, or if a column of targets is constant.
    """

    def mean(values: Tensor) -> Tensor:  # over samples
        if sample_weight is None:
            return values.double().mean(0)
        weight = sample_weight.double().reshape(-1, *[1] * (values.ndim - 1))
        return (weight * values.double()).sum(0) / weight.sum()

    if not targets.is_floating_point():
        if outputs.ndim != 2 or targets.ndim != 1:
            return None
        return float(mean(outputs.argmax(1) == targets))
    if outputs.shape != targets.shape:
        return None
    if is_among(loss, BINARY):
        return float(mean((outputs > 0) == (targets > 0.5)).mean())
    truth = targets.double().flatten(1)
    spread = mean((truth - mean(truth)).square())
    if not bool((spread > 0).all()):
        return None
    errors = mean((outputs.double().flatten(1) - truth).square())
    return float((1 - errors / spread).mean())


def as_scalar(value: object) -> Tensor:
    """Return the loss if it is a tensor with one element."""
    if not isinstance(value, Tensor) or value.numel() != 1:
        got = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
        raise ArgumentTypeError(
            f"`loss` must return a tensor with one element (got {got}). Average over the samples "
            '(`reduction="mean"`).'
        )
    return value


def is_among(loss: object, known: tuple[object, ...]) -> bool:
    """Return whether a loss is one of the functions or an instance of one of the classes."""
    return loss in known or isinstance(loss, tuple(k for k in known if isinstance(k, type)))
