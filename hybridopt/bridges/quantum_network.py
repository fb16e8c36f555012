"""What every quantum network can do, whatever stands for its circuits."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import ClassVar

import torch
from qiskit import QuantumCircuit
from qiskit.providers import BackendV2
from torch import Tensor, nn

from hybridopt.bridges.summary import SummaryRow, counting_notes, layer_rows, summary_table
from hybridopt.circuits.counts import GateCount, count_gates, find_backend
from hybridopt.execution import Cost
from hybridopt.gradients import GradientRule

WHOLE = "(all)"  # stands for the whole network in a summary


class QuantumNetwork(nn.Module):
    """A network with the forward signature of the one it was made from.

    Its weights, or some of its layers, live in circuits; its parameters are the trainable angles
    and what stays classical. A control is one without circuits.

    Example:
        >>> import torch, hybridopt as ho
        >>> quantum = ho.to_quantum(torch.nn.Linear(3, 2), bridge="mesh")
        >>> quantum(torch.rand(5, 3)).shape, quantum.num_qubits, quantum.num_angles
        (torch.Size([5, 2]), 6, 8)
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
        """Settings, shots and runs of one forward and backward; nothing for a control.

        Circuit layers that the network had before are not in it: they count for themselves.
        """
        return Cost()

    def summary(self, backend: BackendV2 | str | None = None, batch_size: int | None = None) -> str:
        """A table of the circuits, and of the layers that stay classical.

        Args:
            backend: Depth and two-qubit gates are those of the circuits transpiled for it: a
                `BackendV2`, or the name of one of qiskit-ibm-runtime's fakes such as
                ``"fake_brisbane"``. None counts the circuits as they stand.
            batch_size: Samples of the training step whose settings and shots are shown.

        Returns:
            Plain text of at most 100 columns.

        Raises:
            ArgumentError: If the backend is not known or has too few qubits.
            ResourceError: If a circuit is too long to be transpiled.
        """
        device = find_backend(backend)
        name = type(self.network).__name__
        rows, total = self._summary_rows(device, batch_size)
        notes = [*counting_notes(rows, batch_size, device), *self._summary_notes()]
        kind = "bridge" if notes else "control"
        what = f"{self.bridge_name} {kind} of {name}" + ("" if notes else ": no circuit of its own")
        return summary_table(what, rows, total, notes)

    def _summary_rows(
        self, device: BackendV2 | None, batch_size: int | None
    ) -> tuple[list[SummaryRow], SummaryRow]:
        """Circuits and layers, and their sums."""
        circuits = self._circuit_rows(device, batch_size)
        shown = frozenset(row.layer for row in circuits)
        has_circuit = any(row.gates is not None for row in circuits)
        words = "weights by the circuit" if has_circuit else "weights by a formula"
        layers = layer_rows(self.network, self._made_layers(), words, self._opaque_layers() | shown)
        places = {name: place for place, (name, _) in enumerate(self.network.named_modules())}
        rows = sorted([*circuits, *layers], key=lambda row: places.get(row.layer, -1))
        numbers = (self.num_trainable, self.num_qubits, self.num_angles)
        return rows, SummaryRow("total", "", *numbers, self.step_cost(batch_size))

    def _circuit_rows(self, device: BackendV2 | None, batch_size: int | None) -> list[SummaryRow]:
        """One for each circuit; here the one that makes all weights, or a control's formula."""
        gates = self._gate_count(device)
        cost = self.step_cost(batch_size)
        kind = "formula" if gates is None else f"{self.bridge_name} circuit"
        own = [p for n, p in self.named_parameters() if not n.startswith("network.")]
        trainable = sum(p.numel() for p in own if p.requires_grad)
        return [SummaryRow(WHOLE, kind, trainable, self.num_qubits, self.num_angles, cost, gates)]

    def _gate_count(self, device: BackendV2 | None) -> GateCount | None:
        """Of the circuit; None for a control."""
        circuit = self.circuit()
        return None if circuit is None else count_gates(circuit, device)

    def _made_layers(self) -> frozenset[str]:
        """Names of layers whose weights are made by the circuit or the formula."""
        return frozenset()

    def _opaque_layers(self) -> frozenset[str]:
        """Names of layers of whose parts nothing is shown."""
        return frozenset()

    def _summary_notes(self) -> list[str]:
        """What else must be said below the table."""
        return []

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
