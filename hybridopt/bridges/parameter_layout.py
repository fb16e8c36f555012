"""Layout of the trainable weights of a network as one vector, and networks without them."""

from __future__ import annotations

import pickle
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Float64
from torch import Tensor, nn

from hybridopt import _validation
from hybridopt._copies import (
    Hook,
    copy_module,
    gradient_hooks,
    put_tensor_hooks,
)
from hybridopt.bridges.weight_structure import fixed_entries
from hybridopt.errors import ConversionError
from hybridopt.nn.parameter_map import is_transformed

FULL_MARGIN = 1.5  # full form: sin(delta) starts at 2/3 at most, away from its maximum
Owners = list[list[tuple[nn.Module, str]]]  # per slot: modules, and names of their parameters
LEAST_SCALE = 0.1  # weights of a tensor of zeros (a new bias) must be able to move


@dataclass(frozen=True)
class ParameterSlot:
    """Place of one weight tensor in the vector."""

    names: tuple[str, ...]  # several for tied weights
    shape: torch.Size
    start: int  # first position
    moving: Tensor | None = field(default=None, compare=False)  # positions in it; None for all
    hooks: tuple[Hook, ...] = field(default=(), compare=False)  # of its gradient

    @property
    def name(self) -> str:
        """First name, as in `named_parameters`."""
        return self.names[0]

    @property
    def stop(self) -> int:
        """Position after the last one."""
        return self.start + (self.shape.numel() if self.moving is None else len(self.moving))

    def carried(self, tensor: Tensor) -> Tensor:
        """Return the entries of a weight tensor that are in the vector."""
        flat = tensor.reshape(-1)
        return flat if self.moving is None else flat[self.moving.to(flat.device)]

    def spread(self, part: Float64[Tensor, " n"]) -> Float64[Tensor, " ..."]:
        """Return moves in the shape of the tensor; those of fixed entries are -0.0."""
        if self.moving is None:
            return part.view(self.shape)
        still = part.new_full((self.shape.numel(),), -0.0)  # -0.0 changes no bit of a weight
        return still.index_copy(0, self.moving.to(part.device), part).view(self.shape)

    def without_carried(self, tensor: Tensor) -> Tensor:
        """Return a weight tensor with zeros in place of the entries that are in the vector."""
        if self.moving is None:
            return torch.zeros_like(tensor)
        return tensor.reshape(-1).index_fill(0, self.moving.to(tensor.device), 0).view(self.shape)


class ParameterLayout:
    """Slots of the trainable weights in `parameters_to_vector` order; tied weights share one.

    Entries that torch never trains (padding rows, pruned entries) are not in the vector.
    """

    def __init__(self, network: nn.Module) -> None:
        names: dict[nn.Parameter, list[str]] = {}
        for name, parameter in network.named_parameters(remove_duplicate=False):
            if parameter.requires_grad:
                names.setdefault(parameter, []).append(name)
        slots: list[ParameterSlot] = []
        fixed = fixed_entries(network)
        self.fixed = {all_names[0]: fixed[p] for p, all_names in names.items() if p in fixed}
        for parameter, all_names in names.items():
            start = slots[-1].stop if slots else 0
            moving, hooks = None, gradient_hooks(parameter)
            if parameter in fixed:
                moving = (~fixed[parameter]).reshape(-1).nonzero()[:, 0]
            slots.append(ParameterSlot(tuple(all_names), parameter.shape, start, moving, hooks))
        self.slots = tuple(slots)
        self.num_weights = slots[-1].stop if slots else 0
        self._recurrent = any(isinstance(module, nn.RNNBase) for module in network.modules())

    def __deepcopy__(self, memo: dict[int, Any]) -> ParameterLayout:
        return self  # it never changes

    def __getstate__(self) -> dict[str, Any]:
        for slot in self.slots:
            try:
                pickle.dumps(slot.hooks)
            except Exception as error:
                raise ConversionError(
                    f"The gradient hook of parameter `{slot.name}` must be a function that pickle "
                    f"can find ({error}). Define it at the top of a module, or remove it."
                ) from error
        return self.__dict__

    @property
    def layers(self) -> frozenset[str]:
        """Names of the layers with weights in the vector."""
        return frozenset(name.rpartition(".")[0] for slot in self.slots for name in slot.names)

    def tensors(self, network: nn.Module) -> list[Tensor]:
        """Return the weight tensors of a network with this layout, detached, one per slot."""
        return [network.get_parameter(slot.name).detach() for slot in self.slots]

    def split(self, flat: Float64[Tensor, " M"]) -> list[Float64[Tensor, " ..."]]:
        """Return the parts of a vector in the shapes of the weight tensors."""
        return [slot.spread(flat[slot.start : slot.stop]) for slot in self.slots]

    def add_hooks(self, tensors: Sequence[Tensor]) -> None:
        """Add the hooks of the weights to computed weights, for their next backward pass."""
        for slot, tensor in zip(self.slots, tensors, strict=True):
            if slot.hooks and tensor.requires_grad and not is_transformed(tensor):
                for hook in slot.hooks:
                    tensor.register_hook(hook)  # type: ignore[no-untyped-call]

    def without_parameters(self, network: nn.Module) -> nn.Module:
        """Return a copy of the network with None in place of each trainable weight."""
        copied = copy_module(network)
        self._fill(copied, self._owners(copied), [None] * len(self.slots))
        return copied

    def with_parameters(
        self, empty: nn.Module, tensors: list[Tensor], *, hooks: bool = True
    ) -> nn.Module:
        """Return a copy of a network without parameters that has these weights."""
        parameters = [nn.Parameter(tensor.detach().clone()) for tensor in tensors]
        for slot, parameter in zip(self.slots, parameters, strict=True):
            put_tensor_hooks(parameter, slot.hooks if hooks else ())
        with self.swapped_parameters(empty, parameters):
            return copy_module(empty, {id(p): p for p in parameters}, after_forward=True)

    @contextmanager
    def swapped_parameters(
        self, empty: nn.Module, tensors: Sequence[Tensor]
    ) -> Iterator[nn.Module]:
        """Give a network without parameters these tensors during a block; they get gradients."""
        with _swapping(empty):
            owners = self._owners(empty)
            self._fill(empty, owners, tensors)
            try:
                yield empty
            finally:
                self._fill(empty, owners, [None] * len(owners))

    def _owners(self, network: nn.Module) -> Owners:
        split = ([name.rpartition(".") for name in slot.names] for slot in self.slots)
        return [[(network.get_submodule(n), a) for n, _, a in names] for names in split]

    def _fill(self, network: nn.Module, owners: Owners, tensors: Sequence[Tensor | None]) -> None:
        for places, tensor in zip(owners, tensors, strict=True):
            for module, attribute in places:
                module._parameters[attribute] = tensor  # type: ignore[assignment]
                vars(module).pop(attribute, None)  # copies of a GraphModule have None there
        for module in network.modules() if self._recurrent else ():
            if isinstance(module, nn.RNNBase):  # it keeps its own list of weights
                module._init_flat_weights()


_LOCKS: WeakKeyDictionary[nn.Module, Any] = WeakKeyDictionary()  # a module with one has no copies
_REGISTERING = threading.Lock()


def _swapping(network: nn.Module) -> AbstractContextManager[object]:
    """Return the lock of a network, which belongs to one thread while it has tensors."""
    with _REGISTERING:
        lock: AbstractContextManager[object] = _LOCKS.setdefault(network, threading.RLock())
    return lock


Scale = str | float | Mapping[str, float]


def check_scale(scale: Scale) -> None:
    """Raise unless the scale is ``"auto"`` or has positive numbers."""
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
        largest, automatic = _largest_and_natural(slot.carried(tensor))
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
    """Return the largest absolute weight and the scale, a root mean square without overflow."""
    largest = float(tensor.double().abs().max()) if tensor.numel() else 0.0
    if largest == 0.0:
        return 0.0, LEAST_SCALE
    rms = largest * float((tensor.double() / largest).square().mean().sqrt())
    return largest, max(LEAST_SCALE, rms)
