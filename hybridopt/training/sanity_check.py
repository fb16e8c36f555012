"""A trial of shapes before training: no circuit runs and no weight is touched."""

from __future__ import annotations

import torch
from jaxtyping import Shaped
from torch import Tensor, nn

from hybridopt import _validation
from hybridopt._modules import run_on_meta
from hybridopt.bridges.api import without_quantum_networks
from hybridopt.errors import DataError, HybridOptError
from hybridopt.training.objective import OF_LABELS, OF_VALUES, Loss, as_scalar, is_among

SHAPE_ERRORS = (RuntimeError, ValueError, TypeError, IndexError, AssertionError)


def check_fit(
    network: nn.Module,
    batch: tuple[Shaped[Tensor, "samples ..."], Shaped[Tensor, "samples ..."]],
    loss: Loss,
    largest_label: int | None = None,
) -> None:
    """Refuse data that the network or the loss cannot take; the caller keeps the random state."""
    x, y = batch
    outputs = trial_outputs(network, x)
    if not isinstance(outputs, Tensor):
        raise DataError(
            f"The network must return one tensor, but {type(network).__name__} returned "
            f"{type(outputs).__name__}. Wrap it in a module that returns the tensor to train."
        )
    classes = outputs.shape[min(1, outputs.ndim - 1)]
    if is_among(loss, OF_LABELS) and isinstance(weight := getattr(loss, "weight", None), Tensor):
        _check_class_weights(outputs, weight, classes)
    if is_among(loss, OF_LABELS) or classes > 1:
        _check_labels(outputs, y, largest_label)
    if is_among(loss, OF_VALUES):
        _check_targets(outputs, y)
    _check_loss(outputs, y, loss)


def trial_outputs(network: nn.Module, x: Tensor) -> object:
    """What the network returns for these samples: on torch's meta device, which computes nothing.

    If an operation has no meta form, a classical copy of the network takes the real samples.
    """
    if x.is_floating_point():  # meta tensors know neither all other dtypes nor ranges of tokens
        try:
            with torch.no_grad():
                return run_on_meta(network, x)
        except HybridOptError:
            raise
        except SHAPE_ERRORS:
            pass
    trial = without_quantum_networks(network)
    try:
        with torch.no_grad():
            return trial(x)
    except SHAPE_ERRORS as error:
        way_out = "Integers are meant as tokens for an Embedding; pass features as floats."
        if x.is_floating_point():
            way_out = "Give x what the first layer takes (and batches fit for its normalisation)."
        raise DataError(
            f"The network {type(network).__name__} cannot take x of shape {tuple(x.shape)} and "
            f"{x.dtype}: {_validation.first_line(error)} {way_out}"
        ) from error


def _check_labels(outputs: Tensor, y: Tensor, largest: int | None) -> None:
    if y.is_floating_point() or not y.ndim == outputs.ndim - 1 > 0:
        return
    classes = outputs.shape[1]
    largest = int(y.max()) if largest is None else largest
    if largest >= classes:
        raise DataError(
            f"Labels must be 0 to {classes - 1}, as the network has {classes} outputs, but "
            f"the data hold {largest}. Give the last layer an output for each class; "
            "pass regression targets as floats."
        )


def _check_class_weights(outputs: Tensor, weight: Tensor, classes: int) -> None:
    if weight.dtype != outputs.dtype:  # on the meta device torch does not mind
        name = str(outputs.dtype).removeprefix("torch.")
        raise DataError(
            f"The loss holds `weight` of {weight.dtype}, but the network computes in "
            f"{outputs.dtype}. Convert it: loss.to(torch.{name})."
        )
    if weight.shape != (classes,):
        raise DataError(
            f"The loss holds `weight` of shape {tuple(weight.shape)}, but the network has "
            f"{classes} outputs. Give it a weight for each class."
        )


def _check_targets(outputs: Tensor, y: Tensor) -> None:
    # broadcasting (samples, 1) against (samples, targets) would train on nonsense in silence
    if not y.is_floating_point():
        raise DataError(
            f"The loss compares outputs with targets, but y holds integers ({y.dtype}), which "
            "are read as class labels. Pass regression targets as floats."
        )
    if y.shape != outputs.shape:
        raise DataError(
            f"The network returns shape {tuple(outputs.shape)}, but the targets have shape "
            f"{tuple(y.shape)}. Give the last layer one output for each target column."
        )


def _check_loss(outputs: Tensor, y: Tensor, loss: Loss) -> None:
    trial = outputs.detach().to("meta")
    if trial.is_floating_point():
        trial.requires_grad_(True)
    try:
        with torch.enable_grad():
            value = loss(trial, y.to("meta"))
    except HybridOptError:
        raise
    except SHAPE_ERRORS as error:
        no_meta = isinstance(error, NotImplementedError) or "different devices" in str(error)
        if no_meta or "meta" in str(error):
            return  # the first step will tell
        raise DataError(
            f"The loss cannot take outputs of shape {tuple(outputs.shape)} and targets of shape "
            f"{tuple(y.shape)} and {y.dtype}: {_validation.first_line(error)}"
        ) from error
    scalar = as_scalar(value)
    if trial.requires_grad and not scalar.requires_grad:
        raise DataError(
            "The loss cannot be differentiated with respect to the outputs. Is there a `detach()`, "
            "`item()` or `argmax` in it?"
        )
