"""A forward pass on torch's meta device: shapes alone, no circuit runs and no weight is touched."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def on_meta(network: nn.Module, x: Tensor) -> object:
    """What the network returns for inputs of the shape and dtype of x, on the meta device.

    The caller decides by `torch.set_grad_enabled` whether it is that of a training step.

    Raises:
        RuntimeError: Torch's, if shapes do not fit or an operation has no meta form.
    """
    tensors = {}
    for prefix, module in network.named_modules():  # each once, though it may stand at two places
        for name, tensor in (
            *module.named_parameters(recurse=False, remove_duplicate=False),
            *module.named_buffers(recurse=False, remove_duplicate=False),
        ):
            tensors[f"{prefix}.{name}" if prefix else name] = _like(tensor)
    # tied, torch (2.13) would put the tensors of a module at two places back but once
    return torch.func.functional_call(network, tensors, (_like(x),), tie_weights=False)


def _like(tensor: Tensor) -> Tensor:
    return torch.empty_like(tensor, device="meta").requires_grad_(tensor.requires_grad)
