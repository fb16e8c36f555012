"""Checks of network, device and shapes before training, without circuits."""

from __future__ import annotations

import re
from contextlib import suppress

import torch
from torch import Tensor, nn
from torch.optim import LBFGS, Optimizer

from hybridopt import _validation
from hybridopt._inputs import Inputs, call, is_real, num_samples, shown
from hybridopt._modules import check_has_values, check_module, run_on_meta
from hybridopt.bridges.api import without_quantum_networks
from hybridopt.bridges.input_validation import silence_circuits
from hybridopt.data.dataset import Batch
from hybridopt.errors import ArgumentError, DataError, DeviceError, HybridOptError, TrainingError
from hybridopt.optim import Newton
from hybridopt.training.loop import executors_of
from hybridopt.training.objective import OF_LABELS, OF_VALUES, Loss, is_among
from hybridopt.training.weighted_loss import BatchLoss

OF_AER = {"CPU": "CPU", "GPU": "GPU", "gpu": "GPU"}  # words for devices that torch has not
SHAPE_ERRORS = (RuntimeError, ValueError, TypeError, IndexError, AssertionError)


def check_network(network: object) -> None:
    """Raise an error unless the network is a module with trainable, finite parameters."""
    network = check_module(network)
    parameters = dict(network.named_parameters())
    if not any(parameter.requires_grad for parameter in parameters.values()):
        shown = "frozen parameters only" if parameters else "no parameters"
        raise ArgumentError(
            f"`network` must have trainable parameters (got {type(network).__name__} with {shown})."
        )
    check_has_values(network, ArgumentError)
    for name, parameter in parameters.items():
        if not bool(parameter.isfinite().all()):
            raise ArgumentError(
                f"`{name}` of the network must be finite (got NaN or inf). Initialise it again."
            )
    if not any(parameter.is_floating_point() for parameter in parameters.values()):
        raise ArgumentError(
            "`network` must have a real floating-point parameter (got integer or complex ones)."
        )


def check_gradients(optimizer: Optimizer | None = None) -> None:
    """Raise an error if torch computes no gradients; Newton and L-BFGS enable them."""
    enables = isinstance(optimizer, Newton | LBFGS)
    if torch.is_inference_mode_enabled() or not (enables or torch.is_grad_enabled()):
        raise TrainingError(
            "Gradients must be enabled for training. Train outside of `torch.no_grad()` and "
            "`torch.inference_mode()`, and after `torch.set_grad_enabled(False)` call "
            "`torch.set_grad_enabled(True)`."
        )


def checked_device(device: object, network: nn.Module) -> torch.device | None:
    """Return the device if it is available to torch; None for None.

    Words of Aer are rejected for a network with circuits on another device.
    """
    if device is None:
        return None
    circuits = {str(getattr(one, "device", type(one).__name__)) for one in executors_of(network)}
    where = ", ".join(sorted(circuits))
    if str(device) in OF_AER and circuits - {OF_AER[str(device)]}:
        raise ArgumentError(
            f'`device` of `fit` must be a device of torch, as "cuda" or "cpu" (got "{device}"). '
            f"It moves torch modules; circuits run on the device of their executor ({where}). For "
            f'these, create the executor with `AerExecutor(device="{OF_AER[str(device)]}")`.'
        )
    text = re.sub(r"^gpu\b", "cuda", str(device).lower())
    kind = _validation.choice("device", text.partition(":")[0], ("cpu", "cuda", "mps"))
    with suppress(RuntimeError):  # the index is not a number
        if (torch.backends.mps if kind == "mps" else getattr(torch, kind)).is_available():
            return torch.device(text)
    raise DeviceError(
        f'`device` must be available to torch (got "{device}"). Use "cpu", "cuda" or "cuda:0", or '
        "install a torch build for it."
        + (f" The circuits run on the device of their executor ({where})." if where else "")
    )


def check_fit(
    network: nn.Module,
    batch: tuple[Inputs, Tensor] | Batch,
    loss: Loss,
    largest_label: int | None = None,
) -> None:
    """Raise an error if data, network and loss do not fit; the random state may change."""
    x, y, sample_weight = Batch(*batch)
    outputs = trial_outputs(network, x)
    if not isinstance(outputs, Tensor):
        raise DataError(
            f"`network` must return one tensor (got {type(outputs).__name__} from "
            f"{type(network).__name__}). Wrap it in a module that returns one tensor."
        )
    classes = outputs.shape[min(1, outputs.ndim - 1)]
    if is_among(loss, OF_LABELS) and isinstance(weight := getattr(loss, "weight", None), Tensor):
        _check_class_weights(outputs, weight, classes)
    if is_among(loss, OF_LABELS) or classes > 1:
        _check_labels(outputs, y, largest_label)
    if is_among(loss, OF_VALUES):
        _check_targets(outputs, y)
    _check_loss(outputs, y, sample_weight, loss)


def trial_outputs(network: nn.Module, x: Inputs) -> object:
    """Return the outputs on the meta device, or those of a classical copy without a meta form."""
    if is_real(x):  # meta tensors have no values of tokens
        try:
            with torch.no_grad():
                return run_on_meta(network, x)
        except HybridOptError:
            raise
        except SHAPE_ERRORS:
            pass
    trial = without_quantum_networks(network)
    silence_circuits(trial)
    try:
        with torch.no_grad():
            return call(trial, x)
    except SHAPE_ERRORS as error:
        advice = (
            "Integers are tokens for an Embedding; pass features as floats, images as `x / 255`."
        )
        if is_real(x):
            advice = _advice_on_shape(trial)
        normalization = _normalization(trial) if num_samples(x) == 1 else ""
        if normalization:
            advice = (
                f"{normalization} needs more than one sample. Change the batch size so that the "
                "last batch has several, or pass `drop_last=True` to the DataLoader."
            )
        elif isinstance(x, tuple | dict) or "argument" in str(error):
            advice = "Several inputs are a tuple ((a, b), y), or a dict of arguments ({'a': a}, y)."
        raise DataError(
            f"`x` must fit the network {type(network).__name__} (got {shown(x)}). "
            f"{_validation.first_line(error)} {advice}"
        ) from error


def _advice_on_shape(network: nn.Module) -> str:
    """Return what to do about inputs that do not fit the first layer with weights."""
    layers = (one for one in network.modules() if any(True for _ in one.parameters(recurse=False)))
    first = next(layers, None)
    if isinstance(first, nn.Conv2d):
        return (
            f"Images must have the shape (samples, {first.in_channels}, height, width): "
            "`x[:, None]` adds one channel, `x.transpose(0, 3, 1, 2)` moves the last axis."
        )
    return "Check the first layer, and the batch size if it has a normalisation."


def _normalization(network: nn.Module) -> str:
    """Return the first normalisation over the samples, for a message; "" without one."""
    for name, layer in network.named_modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm) and layer.training:
            return f"Layer `{name}` ({type(layer).__name__})" if name else type(layer).__name__
    return ""


def _check_labels(outputs: Tensor, y: Tensor, largest: int | None) -> None:
    if y.is_floating_point() or not y.ndim == outputs.ndim - 1 > 0:
        return
    classes = outputs.shape[1]
    largest = int(y.max()) if largest is None else largest
    if largest >= classes:
        raise DataError(
            f"Labels in `y` must be at most {classes - 1} for {classes} outputs (got {largest}). "
            "Give the last layer one output per class; pass regression targets as floats."
        )


def _check_class_weights(outputs: Tensor, weight: Tensor, classes: int) -> None:
    if weight.dtype != outputs.dtype or weight.shape != (classes,):
        # torch accepts another dtype on the meta device
        raise DataError(
            f"`weight` of `loss` must have {classes} values of {outputs.dtype}, one per output "
            f"(got {weight.numel()} of {weight.dtype}). Convert it: loss.to({outputs.dtype})."
        )


def _check_targets(outputs: Tensor, y: Tensor) -> None:
    # torch would broadcast (samples, 1) and (samples, targets) without an error
    if not y.is_floating_point():
        raise DataError(
            f"`y` must have real numbers for this `loss` (got {y.dtype}). Integers are class "
            "labels; pass regression targets as floats."
        )
    if y.shape != outputs.shape:
        raise DataError(
            f"`y` must have the shape of the outputs, {tuple(outputs.shape)} (got "
            f"{tuple(y.shape)}). Give the last layer one output per target column. If these are "
            "class labels, pass integers: `y.astype(int)`."
        )


def _check_loss(outputs: Tensor, y: Tensor, sample_weight: Tensor | None, loss: Loss) -> None:
    trial = outputs.detach().to("meta")
    trial.requires_grad_(trial.is_floating_point())
    weight = None if sample_weight is None else sample_weight.to("meta")
    try:
        with torch.enable_grad():
            scalar = BatchLoss(loss)(trial, y.to("meta"), weight)
    except HybridOptError:
        raise
    except SHAPE_ERRORS as error:
        no_meta = isinstance(error, NotImplementedError) or "different devices" in str(error)
        if no_meta or "meta" in str(error):
            return  # an error of the loss appears in the first step
        raise DataError(
            f"`loss` must accept outputs of shape {tuple(outputs.shape)} and `y` of shape "
            f"{tuple(y.shape)} and {y.dtype}. {_validation.first_line(error)} Pass another loss."
        ) from error
    if trial.requires_grad and not scalar.requires_grad:
        raise DataError(
            "`loss` must be differentiable with respect to the outputs. Remove `detach()`, "
            "`item()` and `argmax` from it."
        )
