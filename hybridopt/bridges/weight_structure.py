"""Structure of weights that a bridge keeps or refuses: fixed entries, hooks, computed weights."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import ParametrizationList

from hybridopt._copies import accumulation_hooks, gradient_hooks, is_computed, pruning_of
from hybridopt.errors import ConversionError

PROBES = (0.0, 0.1, 1.0)  # standard deviations of the noise on parametrized weights
Owners = list[tuple[str, nn.Module, str]]  # names, modules and attributes of one parameter


def fixed_entries(network: nn.Module) -> dict[nn.Parameter, Tensor]:
    """Return a mask of the entries that torch never trains, for parameters that have some.

    These are the padding rows of embeddings, the pruned entries of `torch.nn.utils.prune`, and
    entries without influence on a parametrized weight, such as the signs in an orthogonal one. An
    entry of a tied parameter is fixed if it is fixed in every layer.
    """
    found = {}
    for parameter, owners in _owners(network).items():
        masks = [_fixed_in(module, attribute) for _, module, attribute in owners]
        fixed = torch.stack(masks).all(dim=0)
        if bool(fixed.any()):
            found[parameter] = fixed
    return found


def check_carried(network: nn.Module, *, direct: bool) -> None:
    """Raise an error for weights with a structure that their new form cannot keep.

    Args:
        network: Network whose trainable weights are computed from angles.
        direct: True if each weight has an angle of its own.

    Raises:
        ConversionError: With the name of the weight or of the layer.
    """
    for parameter, owners in _owners(network).items():
        name = ".".join(filter(None, owners[0][::2]))
        check_no_accumulation_hook(name, parameter)
        if not direct:
            check_no_gradient_hook(name, parameter, "all weights are computed from the same angles")
    for name, module in network.named_modules():
        trains = any(p.requires_grad for p in module.parameters())
        if not direct and padding_row(module) is not None and trains and _is_made(module):
            raise ConversionError(
                f"Layer `{name}` must not have both `padding_idx` and a computed weight, because "
                "all weights are computed from the same angles, which would move the padding row. "
                'Use bridge="memory" without `num_angles`.'
            )


def check_no_gradient_hook(name: str, parameter: Tensor, reason: str) -> None:
    """Raise an error if a parameter has a hook of `register_hook`."""
    if gradient_hooks(parameter):
        raise ConversionError(
            f"Parameter `{name}` must not have a gradient hook, because {reason}. Remove the "
            'hook, prune with `torch.nn.utils.prune`, or use bridge="memory" without `num_angles`.'
        )


def check_no_accumulation_hook(name: str, parameter: Tensor) -> None:
    """Raise an error if a parameter has a hook that reads its ``grad``, which weights lose."""
    if accumulation_hooks(parameter):
        raise ConversionError(
            f"Parameter `{name}` must not have a post-accumulate-gradient hook, because a weight "
            "that is computed from angles has no `grad`. Remove the hook, or freeze the parameter."
        )


def padding_row(module: nn.Module) -> int | None:
    """Return the row of an embedding that is not trained."""
    if isinstance(module, nn.Embedding | nn.EmbeddingBag):
        return module.padding_idx
    return None


def _is_made(embedding: nn.Module) -> bool:
    """Return whether the weight is computed otherwise than by a mask."""
    return is_computed(embedding, "weight") and pruning_of(embedding, "weight_orig") is None


def _owners(network: nn.Module) -> dict[nn.Parameter, Owners]:
    """Return the places of all trainable parameters, in the order of `named_parameters`."""
    found: dict[nn.Parameter, Owners] = {}
    for name, module in network.named_modules():
        for attribute, parameter in module._parameters.items():
            if parameter is not None and parameter.requires_grad:
                found.setdefault(parameter, []).append((name, module, attribute))
    return found


def _fixed_in(module: nn.Module, attribute: str) -> Tensor:
    """Return the mask of fixed entries of one parameter of a module."""
    if isinstance(module, ParametrizationList):
        return _without_influence(module, attribute)
    mask, row = pruning_of(module, attribute), padding_row(module)
    parameter = module._parameters[attribute]
    assert parameter is not None
    fixed = torch.zeros_like(parameter, dtype=torch.bool) if mask is None else mask == 0
    if row is not None and (attribute == "weight" or mask is not None):
        fixed[row] = True
    return fixed


@torch.enable_grad()
def _without_influence(parametrization: ParametrizationList, attribute: str) -> Tensor:
    """Return a mask of zeros of the derivative, at the present numbers and at random ones."""
    trial = copy.deepcopy(parametrization).eval()  # a copy, because a forward pass may change it
    original = trial.get_parameter(attribute).requires_grad_()
    fixed = torch.ones_like(original, dtype=torch.bool)
    generator = torch.Generator(device=original.device).manual_seed(0)
    start = original.detach().clone()
    kind: dict[str, Any] = {"generator": generator, "device": start.device}
    for spread in PROBES:
        noise = torch.randn(start.shape, dtype=start.dtype, **kind)
        original.data = start + spread * noise
        try:
            made = trial()
        except (RuntimeError, ValueError, ArithmeticError):  # no weight exists for these numbers
            fixed &= spread > 0
            continue
        made = torch.view_as_real(made) if made.is_complex() else made
        factors = torch.randn(made.shape, dtype=made.dtype, **kind)
        if made.requires_grad:
            (slopes,) = torch.autograd.grad((factors * made).sum(), [original], allow_unused=True)
            fixed &= (torch.zeros_like(original) if slopes is None else slopes) == 0
    return fixed
