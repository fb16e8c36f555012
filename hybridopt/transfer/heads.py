"""New heads, by name."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping
from typing import Any

from torch import nn

from hybridopt import _validation
from hybridopt._random import isolated
from hybridopt.bridges import BRIDGES, QuantumNetwork, to_quantum
from hybridopt.errors import ArgumentError, ArgumentTypeError, ConversionError
from hybridopt.execution import Executor
from hybridopt.gradients import GradientRule
from hybridopt.nn import DressedCircuit
from hybridopt.transfer.last_layer import Convolution, LastLayer

HEADS = ("linear", "dressed", *BRIDGES)
"""``"linear"``, ``"dressed"``, and a linear layer carried over by any bridge."""

ELSEWHERE = ("in_features", "out_features", "executor", "gradient")  # not among `head_options`


def check_head(head: object, options: object) -> None:
    """Refuse what names no head, or options beside a head that is there already."""
    if not isinstance(options, Mapping) or not all(isinstance(name, str) for name in options):
        raise ArgumentTypeError(
            f"Argument `head_options` must be a mapping of options by name, but is {options!r}."
        )
    if not isinstance(head, nn.Module):
        _validation.choice("head", head, HEADS)
    elif options:
        raise ArgumentError(
            f"Options {', '.join(options)} were given beside a head that is there already. Set "
            f"them where you make the {type(head).__name__}."
        )


def check_outputs(head: str | nn.Module, num_outputs: int | None) -> int | None:
    """The outputs of a new head, as far as they are known; a module must have those asked for."""
    own = _outputs_of(head) if isinstance(head, nn.Module) else None
    if own is not None and num_outputs not in (None, own):
        raise ArgumentError(
            f"Argument `num_outputs` is {num_outputs}, but the {type(head).__name__} given as head "
            f"has {own} outputs. Leave it out, or make the head for it."
        )
    return num_outputs if own is None else own


def _outputs_of(module: nn.Module) -> int | None:
    """What a layer, or the last one in a row, says of its outputs."""
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
    """A new head, or a copy of the given one, in dtype and on the device of the layer before."""
    if isinstance(head, nn.Module):
        return copy.deepcopy(head)
    rest = dict(options)
    with isolated(seed):
        if head == "dressed":
            if isinstance(place.pattern, Convolution):
                raise ConversionError(
                    f"The last layer `{place.name}` is a convolution, but a dressed circuit takes "
                    'vectors. Take head="linear", "memory" or "mesh", or end the network in a '
                    "Linear."
                )
            parameters = inspect.signature(DressedCircuit).parameters
            known = [name for name in parameters if name not in ELSEWHERE]
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
    """A Linear, or a convolution like the one that was there with other outputs."""
    pattern = place.pattern
    if not isinstance(pattern, Convolution):
        return nn.Linear(place.width("in"), outputs, bias)
    if outputs % pattern.groups:
        raise ArgumentError(
            f"Argument `num_outputs` must be a multiple of {pattern.groups}, the groups of the "
            f"convolution that is replaced, but is {outputs}."
        )
    kind: Any = next(k for k in (nn.Conv1d, nn.Conv2d, nn.Conv3d) if isinstance(pattern, k))
    same = ("in_channels", "kernel_size", "stride", "padding", "dilation", "groups", "padding_mode")
    options = {name: getattr(pattern, name) for name in same}
    new: nn.Module = kind(out_channels=outputs, bias=bias, **options)
    return new
