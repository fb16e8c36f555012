"""What every quantum network can do, whatever stands for its circuits."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import ClassVar

import torch
from qiskit import QuantumCircuit
from torch import Tensor, nn

from hybridopt.execution import Cost
from hybridopt.gradients import GradientRule


class QuantumNetwork(nn.Module):
    """A network with the forward signature of the one it was made from.

    Its weights, or some of its layers, live in circuits; its parameters are the trainable angles
    and what stays classical. A control is one without circuits.
    """

    bridge_name: ClassVar[str] = ""
    exact_tensors: ClassVar[tuple[str, ...]] = ()  # stay float64 when the network is cast
    fold_every_epoch = False
    bridge: object | None = None  # the `Bridge` that `to_quantum` made it by, for files
    gradient_rule: GradientRule | None = None
    network: nn.Module

    @abstractmethod
    def decode(self, *, readout: str = "angles") -> nn.Module:
        """The plain network: from the angles, or with ``readout="circuit"`` as the circuit says."""

    @property
    @abstractmethod
    def compute_dtype(self) -> torch.dtype:
        """What the network computes in; the dtype of the angles does not tell."""

    @property
    @abstractmethod
    def num_weights(self) -> int:
        """M, the trainable weights of the network that was carried over."""

    @property
    def num_qubits(self) -> int:
        """Qubits of the widest circuit; 0 for a control."""
        return 0

    @property
    def num_angles(self) -> int:
        """Angles of all circuits; 0 for a control."""
        return 0

    @property
    def num_trainable(self) -> int:
        """Trainable numbers, what stays classical included."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad)

    def circuit(self) -> QuantumCircuit | None:
        """The (widest) circuit at the present angles; None for a control."""
        return None

    def circuits(self) -> Mapping[str, QuantumCircuit]:
        """All circuits at the present angles, by the layer they stand for; none for a control.

        A circuit that makes the weights of the whole network has the name ``""``.
        """
        circuit = self.circuit()
        return {} if circuit is None else {"": circuit}

    def step_cost(self, batch_size: int | None = None) -> Cost:
        """Settings, shots and runs of one forward and backward; nothing for a control."""
        return Cost()

    def summary(self) -> str:
        """What is where, in a few lines."""
        cost = self.step_cost()
        return "\n".join(
            [
                f"{self.bridge_name} bridge of {type(self.network).__name__}",
                f"  weights          {self.num_weights:,}",
                f"  trainable        {self.num_trainable:,}",
                f"  qubits           {self.num_qubits}",
                f"  angles           {self.num_angles:,}",
                f"  a training step  {cost.settings} settings, {cost.shots:,} shots",
            ]
        )

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> QuantumNetwork:
        exact = [getattr(self, name) for name in self.exact_tensors if hasattr(self, name)]
        super()._apply(uncast(fn, exact), recurse)  # type: ignore[no-untyped-call]
        return self


def uncast(fn: Callable[[Tensor], Tensor], exact: list[Tensor]) -> Callable[[Tensor], Tensor]:
    """What `nn.Module._apply` is given, but the ``exact`` tensors are moved and never cast."""
    kept = {id(tensor) for tensor in (*exact, *(t.grad for t in exact if t.is_leaf))}

    def move(tensor: Tensor) -> Tensor:
        moved = fn(tensor)
        if id(tensor) not in kept or moved.dtype == tensor.dtype:
            return moved
        if tensor.is_meta or moved.is_meta:
            return torch.empty_like(tensor, device=moved.device)
        return tensor.to(moved.device)

    return move
