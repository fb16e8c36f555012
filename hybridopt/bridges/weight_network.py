"""Quantum networks with weights computed by a circuit or by a formula."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar

import torch
from jaxtyping import Float64
from qiskit import QuantumCircuit
from qiskit.providers import BackendV2
from torch import Tensor, nn

from hybridopt import _validation
from hybridopt._modules import keep_dtype
from hybridopt.bridges.base import WHOLE, Bridge, BridgeRows, QuantumNetwork
from hybridopt.bridges.input_validation import InputValidation
from hybridopt.bridges.parameter_layout import ParameterLayout
from hybridopt.bridges.readout_cache import HasReadoutCache, ReadoutCache, is_own
from hybridopt.circuits.counts import GateCount
from hybridopt.errors import ConversionError
from hybridopt.execution import Cost, Metered
from hybridopt.gradients import GradientRule, ParameterShift
from hybridopt.nn.graph_capture import outside_graphs
from hybridopt.nn.output_errors import HasOutputErrors
from hybridopt.nn.parameter_map import is_transformed
from hybridopt.nn.summary import SummaryRow

Angles = Float64[Tensor, " P"]  # trained numbers
Values = Float64[Tensor, " values"]  # at least one per weight


class WeightSource(nn.Module, HasOutputErrors, ABC):
    """Circuit or formula that maps trained angles to one number per weight."""

    bridge_name: ClassVar[str]  # of the bridge or the control
    syntheses: ClassVar[tuple[str, ...]] = ()  # available forms of the circuit
    notes: tuple[str, ...] = ()  # lines below a summary
    caches: bool = True  # False if a cached readout saves nothing
    executor: Metered | None = None  # None if nothing is read
    gradient: GradientRule = ParameterShift()  # unused where autograd differentiates
    num_qubits: int = 0
    num_angles: int = 0

    @abstractmethod
    def read(self, angles: Angles) -> Tensor:
        """Read the numbers from which `values` can be computed without another forward run."""

    @abstractmethod
    def values(self, angles: Angles, known: Tensor | None = None) -> Values:
        """Return one number per weight, differentiable; ``known`` is a result of `read`."""

    @abstractmethod
    def exact_values(self, angles: Angles) -> Values:
        """Return the same numbers from the closed form, without a run and without shot noise."""

    @abstractmethod
    def circuit(self, angles: Angles, synthesis: str | None = None) -> QuantumCircuit | None:
        """Return the circuit at these angles; None for a formula."""

    @abstractmethod
    def gate_count(self, angles: Angles, device: BackendV2 | None) -> GateCount | None:
        """Return the gate count of the circuit; None for a formula."""

    @abstractmethod
    def cost(self, *, forward: bool, backward: bool) -> Cost:
        """Return the cost of the readout and of its derivative with respect to the angles."""

    @abstractmethod
    def explain(self) -> str:
        """Return a description of the readout."""


class FormulaSource(WeightSource):
    """Source of a control, without a circuit."""

    def circuit(self, angles: Angles, synthesis: str | None = None) -> None:
        """Return None."""

    def gate_count(self, angles: Angles, device: BackendV2 | None) -> None:
        """Return None."""

    def cost(self, *, forward: bool, backward: bool) -> Cost:
        """Return zero."""
        return Cost()

    def read(self, angles: Angles) -> Tensor:
        """Return the values, or a sample of them."""
        return self.values(angles)

    def explain(self) -> str:
        """Return the statement that no circuit is run."""
        return "a formula in torch; no circuit is run."


class WeightNetwork(QuantumNetwork, HasReadoutCache):
    """Network with weights ``w0 + scale * move``, the moves computed from trained angles.

    ``w0`` are the original weights, kept as buffers; without them, the moves are the weights.
    Frozen weights and buffers of the network stay classical. Entries that torch never trains
    (padding rows, pruned entries) keep their values and need no angles. Gradient hooks of weights
    receive the derivative of the loss with respect to the weights of each forward pass. With shots,
    the loss and its gradient are those of noisy weights. In `eval()` mode the weights are read once
    per change of the angles.

    Args:
        network: Plain network; it is copied and not changed.
        source: Map from angles to one number per weight.
        options: Bridge that made the network.
        layout: Layout of the network's weights.
        angles: Initial angles [rad].
        scales: One positive number per weight tensor.
        keep_origin: Whether weights are moves away from ``w0``; if False, ``w0`` is zero.
        mapping: Map from the source's numbers to the moves; None for the identity.
        frozen: Whether the angles are not trained.

    Attributes:
        angles: Trained angles [rad]; a buffer if they are frozen.
        source: Map from angles to one number per weight.
        layout: Layout of the network's weights.

    Example:
        >>> import torch, hybridopt as ho
        >>> quantum = ho.to_quantum(torch.nn.Linear(4, 3), "memory")
        >>> isinstance(quantum, ho.bridges.WeightNetwork), quantum.num_qubits, quantum.num_angles
        (True, 5, 16)
        >>> quantum.step_cost(batch_size=32)
        Cost(settings=2, shots=0, runs=2)
    """

    angles: Tensor
    scales: Tensor
    bridge_name = ""
    num_weights = num_qubits = num_angles = 0

    def __init__(
        self,
        network: nn.Module,
        source: WeightSource,
        *,
        options: Bridge,
        layout: ParameterLayout,
        angles: Angles,
        scales: list[float],
        keep_origin: bool = True,
        mapping: nn.Module | None = None,
        frozen: bool = False,
    ) -> None:
        super().__init__(network.training)
        self.options = options
        self.layout = layout
        self.keeps_origin = keep_origin
        self.origin = nn.Module()
        for slot, tensor in zip(layout.slots, layout.tensors(network), strict=True):
            start = tensor.clone() if keep_origin else slot.without_carried(tensor)
            self.origin.register_buffer(slot.name.replace(".", "/"), start)
        device = next(network.parameters()).device
        self.register_buffer("scales", torch.tensor(scales, dtype=torch.float64))
        if frozen:
            self.register_buffer("angles", angles.to(device))
        else:
            self.angles = nn.Parameter(angles.to(device))
        self.source, self.bridge_name = source.to(device), source.bridge_name
        self.num_qubits, self.num_angles = source.num_qubits, source.num_angles
        self.num_weights = layout.num_weights
        self.mapping = mapping
        self.network = layout.without_parameters(network)
        for part in (self.origin, self.source, self.mapping):
            if part is not None:
                part.train(network.training)
        self._inputs = InputValidation()
        self._cache = ReadoutCache()

    @property
    def executor(self) -> Metered:
        """Executor that reads the weights; missing for controls that read nothing."""
        if self.source.executor is None:
            raise AttributeError(
                f"`executor` is not available: a {self.bridge_name} network runs no circuit."
            )
        return self.source.executor

    @executor.setter
    def executor(self, executor: Metered) -> None:
        self.source.executor = executor

    @property
    def gradient(self) -> GradientRule:
        """Gradient rule of the circuit; unused where autograd differentiates."""
        return self.source.gradient

    @outside_graphs
    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Return the network's outputs at the present weights.

        Raises:
            DataError: If the network cannot take these inputs; no circuit is run for them.
        """
        self._inputs.check(self._plain_copy, args, kwargs, self.layout.fixed)
        weights = self.weights(self.moves())
        self.layout.add_hooks(weights)
        with (
            self.layout.swapped_parameters(self.network, weights) as network,
            self._recording(args, kwargs),
        ):
            return network(*args, **kwargs)

    def __repr__(self) -> str:
        weights = list(self.origin.buffers())  # without a tensor, layers print bias=False
        with self.layout.swapped_parameters(self.network, weights):
            return super().__repr__()

    def extra_repr(self) -> str:
        """Return the bridge and the sizes."""
        return (
            f"bridge={self.bridge_name!r}, num_weights={self.num_weights}, "
            f"num_qubits={self.num_qubits}, num_angles={self.num_angles}"
        )

    def moves(self) -> Float64[Tensor, " M"]:
        """Return the move of each weight in units of its scale, read or from the cache."""
        known = self._read_once(lambda: {"values": self.source.read(self.angles)}) or {}
        return self._mapped(self.source.values(self.angles, known.get("values")))

    def exact_moves(self) -> Float64[Tensor, " M"]:
        """Return the moves from the closed form, without a run and without shot noise."""
        return self._mapped(self.source.exact_values(self.angles))

    def weights(self, moves: Float64[Tensor, " M"]) -> list[Tensor]:
        """Return the weight tensors ``w0 + scale * move`` in their own dtypes."""
        return [
            (origin.double() + scale * move).to(origin.dtype)
            for origin, scale, move in zip(
                self.origin.buffers(), self.scales, self.layout.split(moves), strict=True
            )
        ]

    @torch.no_grad()
    def decode(self, *, readout: str = "angles") -> nn.Module:
        """Return the plain network, from the angles or with ``readout="circuit"`` from a run."""
        moves = self.exact_moves() if readout == "angles" else self.moves()
        return self.layout.with_parameters(self.network, self.weights(moves))

    @torch.no_grad()
    def merge(self) -> None:
        """Add the trained moves to ``w0`` and set every angle back to zero.

        Raises:
            ConversionError: If the weights have no ``w0``, or a mapping makes the moves.
        """
        if not self.keeps_origin:
            raise ConversionError(
                'Weights in full form have no w0 to merge into. Use form="residual".'
            )
        if self.mapping is not None:
            raise ConversionError(
                f"Weights of a {self.bridge_name} cannot be merged: its mapping is trained, so no "
                'angles give back the start. Use bridge="memory".'
            )
        for origin, tensor in zip(
            self.origin.buffers(), self.weights(self.exact_moves()), strict=True
        ):
            origin.copy_(tensor)
        self.angles.zero_()

    def circuit(self, *, synthesis: str | None = None) -> QuantumCircuit | None:
        """Return the circuit at the present angles, to draw, transpile or export.

        Args:
            synthesis: ``"gates"`` or, for a memory, ``"multiplexer"``; None for the executed one.

        Returns:
            Circuit without measurements; None for a control.
        """
        if synthesis is not None:
            _validation.choice("synthesis", synthesis, self.source.syntheses)
        return self.source.circuit(self.angles.detach(), synthesis)

    def circuits(self) -> Mapping[str, QuantumCircuit]:
        """Return the circuit at the present angles under the name ``""``; none for a control."""
        circuit = self.circuit()
        return {} if circuit is None else {"": circuit}

    @property
    def compute_dtype(self) -> torch.dtype:
        """Dtype of the first weight tensor."""
        return next(self.origin.buffers()).dtype

    @property
    def _fixed_angles(self) -> bool:
        return "angles" in self._buffers

    @property
    def _reuses_readout(self) -> bool:
        if self._fixed_angles:
            own = not (is_transformed(self.angles) or self.angles.is_meta)
        else:
            own = is_own(self.angles) and not self.training
        return own and self.source.caches

    def _mapped(self, values: Float64[Tensor, " values"]) -> Float64[Tensor, " M"]:
        return values[: self.num_weights] if self.mapping is None else self.mapping(values)

    def _plain_copy(self) -> nn.Module:
        """Return a plain copy with weights of the right shapes and arbitrary values."""
        origins = list(self.origin.buffers())
        return self.layout.with_parameters(self.network, origins, hooks=False)

    @contextmanager
    def _with_weights(self) -> Iterator[nn.Module]:
        tensors = [origin.detach().requires_grad_() for origin in self.origin.buffers()]
        with self.layout.swapped_parameters(self.network, tensors) as network:
            yield network

    def _bridge_cost(self, batch_size: int | None) -> Cost:
        known = self._reuses_readout and bool(self.cached_readout())
        return self.source.cost(forward=not known, backward=not self._fixed_angles)

    def _bridge_rows(self, device: BackendV2 | None, batch_size: int | None) -> BridgeRows:
        gates = self.source.gate_count(self.angles.detach(), device)
        kind = "formula" if gates is None else f"{self.bridge_name} circuit"
        own = [p for n, p in self.named_parameters() if not n.startswith("network.")]
        trainable = sum(p.numel() for p in own if p.requires_grad)
        cost = self._bridge_cost(batch_size)
        row = SummaryRow(WHOLE, kind, trainable, self.num_qubits, self.num_angles, cost, gates)
        return {WHOLE: row}, self.layout.layers, self.source.notes

    def _explain_bridge(self, batch_size: int | None) -> str:
        return f"Weights: {self.source.explain()}"

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> WeightNetwork:
        parts = [part for part in (self.source, self.mapping) if part is not None]
        exact = [t for part in parts for t in (*part.parameters(), *part.buffers())]
        super()._apply(keep_dtype(fn, [self.angles, self.scales, *exact]), recurse)  # type: ignore[no-untyped-call]
        return self
