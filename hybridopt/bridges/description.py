"""What a network is made of, as texts that tell one from another."""

from __future__ import annotations

import torch
from torch import nn

from hybridopt.bridges.quantum_network import QuantumNetwork


def describe(network: nn.Module, *, dtypes: bool = True) -> dict[str, str]:
    """Classes of all modules, and name, shape and dtype of all tensors: tells networks apart.

    Args:
        network: Any module.
        dtypes: Whether networks that differ in precision alone are told apart.
    """
    described = {
        name: f"{str(tensor.dtype).removeprefix('torch.') if dtypes else ''}{tuple(tensor.shape)}"
        for name, tensor in network.state_dict().items()
        if isinstance(tensor, torch.Tensor)
    }
    for name, module in network.named_modules():
        text = type(module).__qualname__
        if isinstance(module, QuantumNetwork):
            text += f" (form={getattr(module, 'form', None)}, fold={module.fold_every_epoch})"
        described[f"module {name}".rstrip()] = text
    return described


def difference(saved: dict[str, str], wanted: dict[str, str]) -> str:
    """The first thing in which two descriptions differ, in words."""
    for name in sorted({*saved, *wanted}):
        if saved.get(name) != wanted.get(name):
            return (
                f"`{name}` is {saved.get(name, 'missing')} there and "
                f"{wanted.get(name, 'missing')} here"
            )
    return "its entries have another order"
