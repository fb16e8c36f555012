"""The trainable weights of a network as one vector, and a network without them."""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

import torch
from jaxtyping import Float64
from torch import Tensor, nn

from hybridopt import _validation
from hybridopt._modules import copy_module
from hybridopt.errors import ConversionError

FULL_MARGIN = 1.5  # full form: the largest weight starts at sin(delta) = 2/3, away from the turn
LEAST_SCALE = 0.1  # a tensor of zeros (a new bias) shall be able to move, too


@dataclass(frozen=True)
class ParameterSlot:
    """One weight tensor's place in the vector."""

    names: tuple[str, ...]  # tied weights have several
    shape: torch.Size
    dtype: torch.dtype
    start: int  # its first position

    @property
    def name(self) -> str:
        """The first name, as `named_parameters` gives it."""
        return self.names[0]

    @property
    def stop(self) -> int:
        """One past its last position in the vector."""
        return self.start + self.shape.numel()


class ParameterLayout:
    """Places of the trainable weights in `parameters_to_vector` order; tied ones have one."""

    def __init__(self, network: nn.Module) -> None:
        names: dict[nn.Parameter, list[str]] = {}
        for name, parameter in network.named_parameters(remove_duplicate=False):
            if parameter.requires_grad:
                names.setdefault(parameter, []).append(name)
        slots: list[ParameterSlot] = []
        for parameter, all_names in names.items():
            start = slots[-1].stop if slots else 0
            slots.append(ParameterSlot(tuple(all_names), parameter.shape, parameter.dtype, start))
        self.slots = tuple(slots)
        self.num_weights = slots[-1].stop if slots else 0

    @property
    def layers(self) -> frozenset[str]:
        """Names of the layers whose weights are in the vector."""
        return frozenset(name.rpartition(".")[0] for slot in self.slots for name in slot.names)

    def tensors(self, network: nn.Module) -> list[Tensor]:
        """The weight tensors of a network with this layout, detached, one per slot."""
        return [network.get_parameter(slot.name).detach() for slot in self.slots]

    def split(self, flat: Float64[Tensor, " M"]) -> list[Float64[Tensor, ...]]:
        """The pieces of a vector in the shapes of the weight tensors."""
        return [flat[slot.start : slot.stop].view(slot.shape) for slot in self.slots]

    def join(self, tensors: list[Tensor]) -> Float64[Tensor, " M"]:
        """The vector of all weights, in double precision."""
        return torch.cat([tensor.reshape(-1).double() for tensor in tensors])

    def without_parameters(self, network: nn.Module) -> nn.Module:
        """A copy of the network whose trainable weights are empty places."""
        copied = copy_module(network)
        for slot in self.slots:
            _put(_places(copied, slot), None)
        _refresh_recurrent(copied)
        return copied

    def with_parameters(self, empty: nn.Module, tensors: list[Tensor]) -> nn.Module:
        """A copy of a network without parameters that has these weights: a plain network again."""
        network = copy.deepcopy(empty)
        for slot, tensor in zip(self.slots, tensors, strict=True):
            parameter = nn.Parameter(tensor.detach().clone())
            for module, attribute in _places(network, slot):
                setattr(module, attribute, parameter)
        return network

    @contextmanager
    def swapped_parameters(self, empty: nn.Module, tensors: list[Tensor]) -> Iterator[nn.Module]:
        """A network with these tensors in its empty places, for a while; they get gradients."""
        places = [_places(empty, slot) for slot in self.slots]
        for owners, tensor in zip(places, tensors, strict=True):
            _put(owners, tensor)
        _refresh_recurrent(empty)
        try:
            yield empty
        finally:
            for owners in places:
                _put(owners, None)
            _refresh_recurrent(empty)  # its own list of weights would keep the graph alive


Scale = str | float | Mapping[str, float]


def check_scale(scale: Scale) -> None:
    """Refuse a scale that is neither ``"auto"`` nor positive numbers."""
    if isinstance(scale, str):
        _validation.choice("scale", scale, ("auto",))
    elif isinstance(scale, Mapping):
        for name, value in scale.items():
            _validation.real(f"scale[{name!r}]", value, minimum=0, strict=True)
    else:
        _validation.real("scale", scale, minimum=0, strict=True)


def tensor_scales(
    layout: ParameterLayout, tensors: list[Tensor], scale: Scale, *, full: bool = False
) -> list[float]:
    """Return one scale per weight tensor; in full form it bounds the weights, not their moves."""
    known = [name for slot in layout.slots for name in slot.names]
    given = scale if isinstance(scale, Mapping) else {}
    for name in given:
        _validation.choice("weight tensor in `scale`", name, known)
    if not isinstance(scale, str | Mapping):
        given = dict.fromkeys(known, scale)
    scales = []
    for slot, tensor in zip(layout.slots, tensors, strict=True):
        largest, automatic = _largest_and_natural(tensor)
        if full:
            automatic = max(FULL_MARGIN * largest, automatic)
        named = (float(given[name]) for name in slot.names if name in given)
        chosen = next(named, min(automatic, sys.float_info.max))
        if full and chosen < largest:
            raise ConversionError(
                f"`scale` of tensor `{slot.name}` must be at least its largest weight, "
                f'{largest:g}, in full form (got {chosen:g}). Raise it, or use scale="auto".'
            )
        scales.append(chosen)
    return scales


def _largest_and_natural(tensor: Tensor) -> tuple[float, float]:
    """Largest absolute weight, and root mean square but at least `LEAST_SCALE`; never overflows."""
    largest = float(tensor.double().abs().max()) if tensor.numel() else 0.0
    if largest == 0.0:
        return 0.0, LEAST_SCALE
    rms = largest * float((tensor.double() / largest).square().mean().sqrt())
    return largest, max(LEAST_SCALE, rms)


def _places(network: nn.Module, slot: ParameterSlot) -> list[tuple[nn.Module, str]]:
    split = (name.rpartition(".") for name in slot.names)
    return [(network.get_submodule(owner), attribute) for owner, _, attribute in split]


def _put(places: list[tuple[nn.Module, str]], tensor: Tensor | None) -> None:
    for module, attribute in places:
        module._parameters[attribute] = cast(nn.Parameter | None, tensor)


def _refresh_recurrent(network: nn.Module) -> None:
    """Tell recurrent layers, which keep a list of their weights, that these are others now."""
    for module in network.modules():
        if isinstance(module, nn.RNNBase):
            module._init_flat_weights()
