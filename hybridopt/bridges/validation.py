"""What no bridge can carry."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.parameter import UninitializedParameter

from hybridopt._modules import check_module
from hybridopt.bridges.quantum_network import QuantumNetwork
from hybridopt.errors import ConversionError

REAL_DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def check_network(network: object) -> None:
    """Refuse what no bridge can carry; nothing is run.

    Raises:
        ArgumentTypeError: If it is no torch module.
        ConversionError: With the name of the parameter that is in the way.
    """
    check_module(network)
    assert isinstance(network, nn.Module)
    if any(isinstance(module, QuantumNetwork) for module in network.modules()):
        raise ConversionError(
            "The network contains a circuit already. Carry it back with `to_classical` first."
        )
    parameters = dict(network.named_parameters())
    if not parameters:
        raise ConversionError(
            f"The network {type(network).__name__} has no parameters, so there is nothing to carry "
            "into a circuit."
        )
    for name, parameter in parameters.items():
        _check_parameter(name, parameter)
    for name, buffer in network.named_buffers():
        if buffer.is_floating_point() and bool(buffer.isnan().any()):  # a mask may hold -inf
            raise ConversionError(f"Buffer `{name}` holds NaN. Initialise the network again.")
    for name, module in network.named_modules():
        if getattr(module, "sparse", False) is True:
            raise ConversionError(
                f"Layer `{name}` asks for sparse gradients, which angles cannot have. Make it with "
                "sparse=False."
            )
    if not any(p.requires_grad and p.numel() for p in parameters.values()):
        raise ConversionError(
            "All parameters of the network are frozen (requires_grad=False), so no angle could be "
            "trained. Unfreeze some with `parameter.requires_grad_(True)`."
        )


def _check_parameter(name: str, parameter: nn.Parameter) -> None:
    if isinstance(parameter, UninitializedParameter):
        raise ConversionError(
            f"Parameter `{name}` has no shape yet. Run the lazy network on one batch first."
        )
    if parameter.dtype not in REAL_DTYPES:
        raise ConversionError(
            f"Parameter `{name}` is {parameter.dtype}, but the weights in a circuit must be real "
            "floating-point numbers of 16 bits or more. Convert it, or keep it as a buffer."
        )
    if parameter.is_meta:
        raise ConversionError(f"Parameter `{name}` is on the meta device and has no values.")
    if not bool(torch.isfinite(parameter.detach()).all()):
        count = int((~torch.isfinite(parameter.detach())).sum())
        raise ConversionError(
            f"Parameter `{name}` has {count} values that are NaN or infinite. Train or initialise "
            "the network again before converting it."
        )
