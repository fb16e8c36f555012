"""New heads, by name."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from torch import nn

from hybridopt import _validation
from hybridopt._copies import copy_module
from hybridopt._random import isolated
from hybridopt.bridges import BRIDGES, QuantumNetwork, to_quantum
from hybridopt.errors import ArgumentError, ArgumentTypeError, ConversionError
from hybridopt.execution import Executor
from hybridopt.gradients import GradientRule
from hybridopt.nn import DressedCircuit
from hybridopt.transfer.last_layer import Convolution, LastLayer

HEADS = ("linear", "dressed", *BRIDGES)
"""Names of heads: ``"linear"``, ``"dressed"``, and a linear layer on any bridge."""

NOT_OPTIONS = ("in_features", "out_features", "executor", "gradient")  # arguments of `transfer`


def check_head(head: object, options: object) -> None:
    """Raise an error for an unknown head, or for options of a given module."""
    if not isinstance(options, Mapping) or not all(isinstance(name, str) for name in options):
        raise ArgumentTypeError(
            f"`head_options` must be a mapping with names as keys (got {options!r})."
        )
    if not isinstance(head, nn.Module):
        _validation.choice("head", head, HEADS)
    elif options:
        raise ArgumentError(
            f"`head_options` must be empty for a given module (got {', '.join(options)}). Set "
            f"them when you create the {type(head).__name__}."
        )


def check_outputs(head: str | nn.Module, num_outputs: int | None) -> int | None:
    """Return the number of outputs of a given module, otherwise ``num_outputs``."""
    own = _outputs_of(head) if isinstance(head, nn.Module) else None
    if own is not None and num_outputs not in (None, own):
        raise ArgumentError(
            f"`num_outputs` must be {own}, the outputs of the given {type(head).__name__} (got "
            f"{num_outputs}). Leave it out, or change the head."
        )
    return num_outputs if own is None else own


def _outputs_of(module: nn.Module) -> int | None:
    """Return the number of outputs of a layer or of the last layer of a Sequential."""
    if isinstance(module, QuantumNetwork):
        return _outputs_of(module.network)
    if type(module) is nn.Sequential:
        return _outputs_of(module[-1]) if len(module) else None
    channels = isinstance(module, Convolution)
    width = getattr(module, "out_channels" if channels else "out_features", None)
    return width if type(width) is int else None


def make_head(
    head: str | nn.Module,
    place: LastLayer,
    num_outputs: int,
    *,
    executor: Executor | None,
    gradient: str | GradientRule,
    options: Mapping[str, Any],
    seed: int | None,
) -> nn.Module:
    """Return a new head, or a copy of the given one, with dtype and device of the old layer."""
    if isinstance(head, nn.Module):
        return copy_module(head, user="A transfer")
    rest = dict(options)
    with isolated(seed):
        if head == "dressed":
            if isinstance(place.pattern, Convolution):
                raise ConversionError(
                    f'The last layer `{place.name}` must be a Linear for head="dressed" (got a '
                    'convolution). Use head="linear", "memory" or "mesh", or end the network '
                    "with a Linear."
                )
            parameters = inspect.signature(DressedCircuit).parameters
            known = [name for name in parameters if name not in NOT_OPTIONS]
            _validation.keywords('head="dressed"', options, known)
            new: nn.Module = DressedCircuit(
                place.width("in"), num_outputs, executor=executor, gradient=gradient, **rest
            )
        else:
            bias = _validation.boolean("bias", rest.pop("bias", True))
            if head == "linear":
                _validation.keywords('head="linear"', rest, ("bias",))
            new = _linear(place, num_outputs, bias=bias)
    example = next((p for p in place.pattern.parameters() if p.is_floating_point()), None)
    if example is not None:
        new.to(example.device, example.dtype)
    if head in BRIDGES:
        return to_quantum(new, head, executor=executor, gradient=gradient, **rest)
    return new


def _linear(place: LastLayer, outputs: int, *, bias: bool) -> nn.Module:
    """Return a Linear, or a convolution like the old one with other outputs."""
    pattern = place.pattern
    if not isinstance(pattern, Convolution):
        return nn.Linear(place.width("in"), outputs, bias)
    if outputs % pattern.groups:
        raise ArgumentError(
            f"`num_outputs` must be a multiple of {pattern.groups}, the groups of the replaced "
            f"convolution (got {outputs})."
        )
    kind: Any = next(k for k in (nn.Conv1d, nn.Conv2d, nn.Conv3d) if isinstance(pattern, k))
    same = ("in_channels", "kernel_size", "stride", "padding", "dilation", "groups", "padding_mode")
    options = {name: getattr(pattern, name) for name in same}
    new: nn.Module = kind(out_channels=outputs, bias=bias, **options)
    return new
