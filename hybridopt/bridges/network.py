"""Quantum networks: modules whose weights come from circuits, or from a control's formula."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float64
from qiskit import QuantumCircuit
from torch import Tensor, nn

from hybridopt.bridges.layout import WeightLayout
from hybridopt.execution import Cost

EXACT_TENSORS = ("angles", "scales", "projection")  # stay float64 when the network is cast


class QuantumNetwork(nn.Module):
    """A network with the forward signature of the one it was made from.

    Its weights are the originals ``w0`` (buffers) moved by what the subclass computes from its
    trainable numbers, or are made by it altogether. What was frozen in the network, and its
    buffers, stay classical.

    Args:
        network: The plain network. It is copied, never changed.
        scales: One positive number a weight tensor.
        keep_origin: Whether weights are moves away from ``w0``; without, ``w0`` is zero.
    """

    angles: nn.Parameter
    scales: Tensor
    bridge_name = ""
    fold_every_epoch = False

    def __init__(self, network: nn.Module, scales: list[float], *, keep_origin: bool) -> None:
        super().__init__()
        self.layout = WeightLayout(network)
        self.origin = nn.Module()
        for slot, tensor in zip(self.layout.slots, self.layout.tensors(network), strict=True):
            start = tensor.clone() if keep_origin else torch.zeros_like(tensor)
            self.origin.register_buffer(_buffer_name(slot.name), start)
        self.register_buffer("scales", torch.tensor(scales, dtype=torch.float64))
        self.network = self.layout.shell(network)
        self.training = network.training
        self.origin.training = network.training

    @abstractmethod
    def moves(self) -> Float64[Tensor, " M"]:
        """The move of each weight in units of its scale, as training sees it (run, if quantum)."""

    @abstractmethod
    def exact_moves(self) -> Float64[Tensor, " M"]:
        """The same from the closed form, without a run and without shot noise."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the network returns, at the weights that are read now."""
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
    def num_weights(self) -> int:
        """M, the trainable weights of the network that was carried over."""
        return self.layout.num_weights

    @property
    def num_qubits(self) -> int:
        """Qubits of the circuit; 0 for a control."""
        return 0

    @property
    def num_angles(self) -> int:
        """Angles of the circuit; 0 for a control."""
        return 0

    @property
    def num_trainable(self) -> int:
        """Trainable numbers, what stays classical included."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad)

    def circuit(self) -> QuantumCircuit | None:
        """The circuit at the present angles; None for a control."""
        return None

    def step_cost(self, batch_size: int | None = None) -> Cost:
        """Settings, shots and runs of one forward and backward; nothing for a control."""
        return Cost()

    def summary(self) -> str:
        """What is where, in a few lines."""
        cost = self.step_cost()
        return "\n".join(
            [
                f"{self.bridge_name} bridge of {type(self.network).__name__}",
                f"  weights          {self.num_weights:,} in {len(self.layout.slots)} tensors",
                f"  trainable        {self.num_trainable:,}",
                f"  qubits           {self.num_qubits}",
                f"  angles           {self.num_angles:,}",
                f"  a training step  {cost.settings} settings, {cost.shots:,} shots",
            ]
        )

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> QuantumNetwork:
        # angles and scales are float64 whatever the network computes in: they move, uncast
        exact = [getattr(self, name) for name in EXACT_TENSORS if hasattr(self, name)]
        kept = {id(tensor) for tensor in (*exact, *(t.grad for t in exact if t.is_leaf))}

        def move(tensor: Tensor) -> Tensor:
            moved = fn(tensor)
            if id(tensor) not in kept or moved.dtype == tensor.dtype:
                return moved
            return (
                torch.empty_like(tensor, device=moved.device)
                if (tensor.is_meta or moved.is_meta)
                else tensor.to(moved.device)
            )

        super()._apply(move, recurse)  # type: ignore[no-untyped-call]
        return self


def _buffer_name(name: str) -> str:
    return name.replace(".", "/")
