"""The trainable weights of a network as one vector, and a network without them."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

import torch
from jaxtyping import Float64
from torch import Tensor, nn

from hybridopt.errors import ConversionError


@dataclass(frozen=True)
class Slot:
    """One weight tensor's place in the vector.

    Attributes:
        names: Its names in the network; tied weights have several.
        shape: Of the tensor.
        dtype: Of the tensor.
        start: Its first position in the vector.
    """

    names: tuple[str, ...]
    shape: torch.Size
    dtype: torch.dtype
    start: int

    @property
    def name(self) -> str:
        """The first name, as `named_parameters` gives it."""
        return self.names[0]

    @property
    def stop(self) -> int:
        """One past its last position in the vector."""
        return self.start + self.shape.numel()


class WeightLayout:
    """Where each trainable weight of a network stands: in `parameters_to_vector` order, tied once.

    Args:
        network: Any module. Frozen parameters and buffers are not part of the layout.
    """

    def __init__(self, network: nn.Module) -> None:
        names: dict[int, list[str]] = {}
        for name, parameter in network.named_parameters(remove_duplicate=False):
            if parameter.requires_grad:
                names.setdefault(id(parameter), []).append(name)
        slots = []
        start = 0
        for parameter in network.parameters():
            if parameter.requires_grad:
                slot = Slot(tuple(names[id(parameter)]), parameter.shape, parameter.dtype, start)
                slots.append(slot)
                start = slot.stop
        self.slots = tuple(slots)
        self.num_weights = start

    def tensors(self, network: nn.Module) -> list[Tensor]:
        """The weight tensors of a network with this layout, detached, one a slot."""
        return [network.get_parameter(slot.name).detach() for slot in self.slots]

    def split(self, flat: Float64[Tensor, " M"]) -> list[Float64[Tensor, ...]]:
        """The pieces of a vector in the shapes of the weight tensors."""
        return [flat[slot.start : slot.stop].view(slot.shape) for slot in self.slots]

    def join(self, tensors: list[Tensor]) -> Float64[Tensor, " M"]:
        """The vector of all weights, in double precision."""
        return torch.cat([tensor.reshape(-1).double() for tensor in tensors])

    def shell(self, network: nn.Module) -> nn.Module:
        """A copy of the network whose trainable weights are empty places.

        Raises:
            ConversionError: If the network cannot be copied.
        """
        try:
            shell = copy.deepcopy(network)
        except Exception as error:
            raise ConversionError(
                f"The network {type(network).__name__} cannot be copied ({error}). A bridge works "
                "on a copy, so `copy.deepcopy(network)` must work; keep no computed tensors in it "
                "(a pruned network: `torch.nn.utils.prune.remove`)."
            ) from error
        for slot in self.slots:
            _put(self._places(shell, slot), None)
        _refresh_recurrent(shell)
        return shell

    def filled(self, shell: nn.Module, tensors: list[Tensor]) -> nn.Module:
        """A copy of the shell with these weights as parameters: a plain network again."""
        network = copy.deepcopy(shell)
        for slot, tensor in zip(self.slots, tensors, strict=True):
            parameter = nn.Parameter(tensor.detach().clone())
            for module, attribute in self._places(network, slot):
                setattr(module, attribute, parameter)
        return network

    @contextmanager
    def filling(self, shell: nn.Module, tensors: list[Tensor]) -> Iterator[nn.Module]:
        """The shell with these tensors in its empty places, for a while; they get gradients."""
        places = [self._places(shell, slot) for slot in self.slots]
        for owners, tensor in zip(places, tensors, strict=True):
            _put(owners, tensor)
        _refresh_recurrent(shell)
        try:
            yield shell
        finally:
            for owners in places:
                _put(owners, None)
            _refresh_recurrent(shell)  # its own list of weights would keep the graph alive

    @staticmethod
    def _places(network: nn.Module, slot: Slot) -> list[tuple[nn.Module, str]]:
        places = []
        for name in slot.names:
            owner, _, attribute = name.rpartition(".")
            places.append((network.get_submodule(owner), attribute))
        return places


def _put(places: list[tuple[nn.Module, str]], tensor: Tensor | None) -> None:
    for module, attribute in places:
        module._parameters[attribute] = cast(nn.Parameter | None, tensor)


def _refresh_recurrent(shell: nn.Module) -> None:
    """Tell recurrent layers, which keep a list of their weights, that these are others now."""
    for module in shell.modules():
        if isinstance(module, nn.RNNBase):
            module._init_flat_weights()
