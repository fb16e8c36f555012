"""Checks before training: network, device and shapes; no circuit runs, no weight changes."""

from __future__ import annotations

from contextlib import suppress

import torch
from jaxtyping import Shaped
from torch import Tensor, nn
from torch.optim import LBFGS, Optimizer

from hybridopt import _validation
from hybridopt._modules import check_has_values, check_module, run_on_meta
from hybridopt.bridges.api import without_quantum_networks
from hybridopt.errors import ArgumentError, DataError, DeviceError, HybridOptError, TrainingError
from hybridopt.optim import Newton
from hybridopt.training.objective import OF_LABELS, OF_VALUES, Loss, as_scalar, is_among

SHAPE_ERRORS = (RuntimeError, ValueError, TypeError, IndexError, AssertionError)


def check_network(network: object) -> None:
    """Refuse what is no module, has nothing to train, or weights without finite values."""
    network = check_module(network)
    parameters = dict(network.named_parameters())
    if not any(parameter.requires_grad for parameter in parameters.values()):
        what = "has frozen parameters only" if parameters else "has no parameters"
        raise ArgumentError(
            f"The network {type(network).__name__} {what}, so there is nothing to train."
        )
    check_has_values(network, ArgumentError)
    for name, parameter in parameters.items():
        if not bool(parameter.isfinite().all()):
            raise ArgumentError(
                f"Parameter `{name}` of the network is NaN or infinite before training. "
                "Initialise it again."
            )
    if not any(parameter.is_floating_point() for parameter in parameters.values()):
        raise ArgumentError(
            "The network has no real floating-point parameter, only integer or complex ones."
        )


def check_gradients(optimizer: Optimizer | None = None) -> None:
    """Refuse to train where torch takes no gradients; Newton and L-BFGS ask for theirs."""
    asks = isinstance(optimizer, Newton | LBFGS)
    if torch.is_inference_mode_enabled() or not (asks or torch.is_grad_enabled()):
        raise TrainingError(
            "Training needs gradients, but torch takes none here. Train outside of "
            "`torch.no_grad()` and `torch.inference_mode()`, and after "
            "`torch.set_grad_enabled(False)` call `torch.set_grad_enabled(True)`."
        )


def checked_device(device: object) -> torch.device | None:
    """The device, None where none was named; `DeviceError` if torch does not find it here."""
    if device is None:
        return None
    text = str(device).lower().replace("gpu", "cuda")
    kind = _validation.choice("device", text.partition(":")[0], ("cpu", "cuda", "mps"))
    with suppress(RuntimeError):  # an index that is no number
        if (torch.backends.mps if kind == "mps" else getattr(torch, kind)).is_available():
            return torch.device(text)
    raise DeviceError(
        f'device="{device}", but torch finds no such device here. Write "cpu", "cuda" or "cuda:0", '
        "or install a torch build for it."
    )


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
    """Return the outputs on the meta device, or those of a classical copy without a meta form."""
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
    if weight.dtype != outputs.dtype or weight.shape != (classes,):
        # on the meta device, torch accepts another dtype
        raise DataError(
            f"The loss holds {weight.numel()} class weights, `weight` of {weight.dtype}, but the "
            f"network has {classes} outputs of {outputs.dtype}. Give it one weight per class, "
            f"and convert it: loss.to({outputs.dtype})."
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
    trial.requires_grad_(trial.is_floating_point())
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
