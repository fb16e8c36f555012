"""Quantum networks whose weights are made or moved by what a circuit, or a formula, says."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import torch
from jaxtyping import Float64
from torch import Tensor, nn

from hybridopt.bridges.input_validation import InputTrial
from hybridopt.bridges.parameter_layout import WeightLayout
from hybridopt.bridges.quantum_network import QuantumNetwork


class WeightNetwork(QuantumNetwork):
    """A network with weights ``w0 + scale * move``.

    Its weights are the originals ``w0`` (buffers) moved by what the subclass computes from its
    trainable numbers, or are made by it altogether. What was frozen in the network, and its
    buffers, stay classical.

    Args:
        network: The plain network. It is copied, never changed.
        scales: One positive number a weight tensor.
        keep_origin: Whether weights are moves away from ``w0``; without, ``w0`` is zero.
    """

    exact_tensors = ("angles", "scales", "projection")
    angles: nn.Parameter
    scales: Tensor

    def __init__(self, network: nn.Module, scales: list[float], *, keep_origin: bool) -> None:
        super().__init__()
        self.layout = WeightLayout(network)
        self.origin = nn.Module()
        for slot, tensor in zip(self.layout.slots, self.layout.tensors(network), strict=True):
            start = tensor.clone() if keep_origin else torch.zeros_like(tensor)
            self.origin.register_buffer(_buffer_name(slot.name), start)
        self.register_buffer("scales", torch.tensor(scales, dtype=torch.float64))
        self.network = self.layout.shell(network)
        self._trial = InputTrial()
        self.training = network.training
        self.origin.training = network.training

    @abstractmethod
    def moves(self) -> Float64[Tensor, " M"]:
        """The move of each weight in units of its scale, as training sees it (run, if quantum)."""

    @abstractmethod
    def exact_moves(self) -> Float64[Tensor, " M"]:
        """The same from the closed form, without a run and without shot noise."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the network returns, at the weights that are read now.

        Raises:
            DataError: If it cannot take such inputs; no circuit was run for them.
        """
        self._trial.check(self._stand_in, args, kwargs)
        with self.layout.filling(self.network, self.weights(self.moves())) as network:
            return network(*args, **kwargs)

    def weights(self, moves: Float64[Tensor, " M"]) -> list[Tensor]:
        """The weight tensors, in their own dtypes: ``w0 + scale * move``."""
        return [
            (origin.double() + scale * move).to(origin.dtype)
            for origin, scale, move in zip(
                self.origin.buffers(), self.scales, self.layout.split(moves), strict=True
            )
        ]

    @torch.no_grad()
    def decode(self, *, readout: str = "angles") -> nn.Module:
        """The plain network: from the angles, or with ``readout="circuit"`` as the circuit says."""
        moves = self.exact_moves() if readout == "angles" else self.moves()
        return self.layout.filled(self.network, self.weights(moves))

    @property
    def compute_dtype(self) -> torch.dtype:
        """Of the first weight tensor."""
        return next(self.origin.buffers()).dtype

    @property
    def num_weights(self) -> int:
        """M, the trainable weights of the network that was carried over."""
        return self.layout.num_weights

    def _stand_in(self) -> nn.Module:
        """A plain copy with weights of the right shapes; their values mean nothing."""
        return self.layout.filled(self.network, list(self.origin.buffers()))

    def _made_layers(self) -> frozenset[str]:
        return frozenset(
            name.rpartition(".")[0] for slot in self.layout.slots for name in slot.names
        )


def _buffer_name(name: str) -> str:
    return name.replace(".", "/")
