"""Checks of what `fit` is given besides data."""

from __future__ import annotations

from contextlib import suppress

import torch
from torch.optim import LBFGS, Optimizer

from hybridopt import _validation
from hybridopt._modules import check_has_values, check_module
from hybridopt.errors import ArgumentError, DeviceError, TrainingError
from hybridopt.optim import Newton


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
