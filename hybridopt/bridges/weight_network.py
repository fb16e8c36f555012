"""Quantum networks whose weights are made or moved by what a circuit, or a formula, says."""

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
from hybridopt.nn.parameter_map import is_transformed
from hybridopt.nn.summary import SummaryRow

Angles = Float64[Tensor, " P"]  # the trained numbers
Values = Float64[Tensor, " values"]  # one per weight, or more


class WeightSource(nn.Module, ABC):
    """What takes the trained angles of a `WeightNetwork` to one number per weight.

    A circuit, or a formula. It holds no parameters; its buffers stay float64 whatever the network
    is cast to.
    """

    bridge_name: ClassVar[str]  # or the name of the control
    syntheses: ClassVar[tuple[str, ...]] = ()  # ways in which the circuit can be written
    notes: tuple[str, ...] = ()  # lines below a summary
    caches: bool = True  # a readout is worth keeping while the angles stay
    executor: Metered | None = None  # None if nothing is read
    gradient: GradientRule = ParameterShift()  # no matter where autograd differentiates
    num_qubits: int = 0
    num_angles: int = 0

    @abstractmethod
    def look(self, angles: Angles) -> Tensor:
        """Read what `values` can be computed from without another forward run."""

    @abstractmethod
    def values(self, angles: Angles, known: Tensor | None = None) -> Values:
        """Return one number per weight, differentiable; what `look` gave saves the forward run."""

    @abstractmethod
    def exact_values(self, angles: Angles) -> Values:
        """Return the same from the closed form, without a run and without shot noise."""

    @abstractmethod
    def circuit(self, angles: Angles, synthesis: str | None = None) -> QuantumCircuit | None:
        """Return the circuit at these angles; None for a formula."""

    @abstractmethod
    def gate_count(self, angles: Angles, device: BackendV2 | None) -> GateCount | None:
        """Return the gates of the circuit; None for a formula."""

    @abstractmethod
    def cost(self, *, forward: bool, backward: bool) -> Cost:
        """Return the cost of reading, and of the derivative by the angles."""

    @abstractmethod
    def explain(self) -> str:
        """Return how it is read."""


class FormulaSource(WeightSource):
    """A source without a circuit: a control."""

    def circuit(self, angles: Angles, synthesis: str | None = None) -> None:
        """None."""

    def gate_count(self, angles: Angles, device: BackendV2 | None) -> None:
        """None."""

    def cost(self, *, forward: bool, backward: bool) -> Cost:
        """Nothing."""
        return Cost()

    def look(self, angles: Angles) -> Tensor:
        """The values, or a sample of them."""
        return self.values(angles)

    def explain(self) -> str:
        """That nothing is run."""
        return "a formula in torch; no circuit is run."


class WeightNetwork(QuantumNetwork, HasReadoutCache):
    """A network with weights ``w0 + scale * move``, the moves read from a circuit or a formula.

    Its weights are the originals ``w0`` (buffers) moved by what the source computes from the
    trained angles, or are made by it altogether. What was frozen in the network, and its buffers,
    stay classical. With shots, the loss is that of noisy weights, and so is its gradient. In
    `eval()` mode the weights are read once per change of the angles.

    Args:
        network: The plain network. It is copied, never changed.
        source: Takes angles to one number per weight.
        options: The bridge.
        layout: Layout of the network's weights.
        angles: Start of the angles.
        scales: One positive number per weight tensor.
        keep_origin: Whether weights are moves away from ``w0``; without, ``w0`` is zero.
        mapping: Takes the source's numbers to the moves; None takes them as they are.
        frozen: Whether the angles stay as they are.

    Attributes:
        angles: The trained angles [rad]; a buffer if they are frozen.
        source: As given.
        layout: As given.

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
            start = tensor.clone() if keep_origin else torch.zeros_like(tensor)
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
        self._cache: ReadoutCache[Tensor] = ReadoutCache()

    @property
    def executor(self) -> Metered:
        """What reads the weights; controls that read nothing have none."""
        if self.source.executor is None:
            raise AttributeError(f"A {self.bridge_name} network reads nothing with an executor.")
        return self.source.executor

    @executor.setter
    def executor(self, executor: Metered) -> None:
        self.source.executor = executor

    @property
    def gradient(self) -> GradientRule:
        """Rule that finds derivatives by the angles, where autograd does not."""
        return self.source.gradient

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the network returns, at the weights that are read now.

        Raises:
            DataError: If it cannot take such inputs; no circuit was run for them.
        """
        self._inputs.check(self._stand_in, args, kwargs)
        weights = self.weights(self.moves())
        with (
            self.layout.swapped_parameters(self.network, weights) as network,
            self._recording(args, kwargs),
        ):
            return network(*args, **kwargs)

    def __repr__(self) -> str:
        weights = list(self.origin.buffers())  # or layers would say that they have no bias
        with self.layout.swapped_parameters(self.network, weights):
            return super().__repr__()

    def extra_repr(self) -> str:
        """Bridge and sizes."""
        return (
            f"bridge={self.bridge_name!r}, num_weights={self.num_weights}, "
            f"num_qubits={self.num_qubits}, num_angles={self.num_angles}"
        )

    def moves(self) -> Float64[Tensor, " M"]:
        """The move of each weight in units of its scale: read, or known from the last readout."""
        if self._reuses_readout:
            known = self._cache.recall_or(
                self.source.executor, self.angles, lambda: self.source.look(self.angles)
            )
            return self._mapped(self.source.values(self.angles, known))
        self._cache.forget()
        return self._mapped(self.source.values(self.angles))

    def exact_moves(self) -> Float64[Tensor, " M"]:
        """The same from the closed form, without a run and without shot noise."""
        return self._mapped(self.source.exact_values(self.angles))

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
        return self.layout.with_parameters(self.network, self.weights(moves))

    @torch.no_grad()
    def merge(self) -> None:
        """Move the trained weights into ``w0`` and set every angle back to its start.

        Raises:
            ConversionError: If the weights have no ``w0``, or a mapping makes the moves.
        """
        if not self.keeps_origin:
            raise ConversionError(
                'The full form has no w0 to merge into. Use form="residual" to merge weights.'
            )
        if self.mapping is not None:
            raise ConversionError(
                f"The weights of a {self.bridge_name} are made by a trained mapping, so no angles "
                'leave them where they are. Use bridge="memory" to merge weights.'
            )
        for origin, tensor in zip(
            self.origin.buffers(), self.weights(self.exact_moves()), strict=True
        ):
            origin.copy_(tensor)
        self.angles.zero_()

    def circuit(self, *, synthesis: str | None = None) -> QuantumCircuit | None:
        """The circuit at the present angles, to look at, transpile or export; None for a control.

        Args:
            synthesis: ``"gates"``, or ``"diagonal"`` of a memory; None is the one that is executed.
        """
        if synthesis is not None:
            _validation.choice("synthesis", synthesis, self.source.syntheses)
        return self.source.circuit(self.angles.detach(), synthesis)

    def circuits(self) -> Mapping[str, QuantumCircuit]:
        """The circuit at the present angles under the name ``""``; none for a control."""
        circuit = self.circuit()
        return {} if circuit is None else {"": circuit}

    @property
    def compute_dtype(self) -> torch.dtype:
        """Dtype of the first weight tensor."""
        return next(self.origin.buffers()).dtype

    def cached_readout(self) -> dict[str, Tensor]:
        """What was read once, if it still holds."""
        known = self._cache.recall(self.source.executor, self.angles)
        return {} if known is None else {"values": known}

    def restore_readout(self, read: dict[str, Tensor]) -> None:
        """Take this for what was read at the present angles."""
        self._cache.keep(self.source.executor, self.angles, read["values"])

    @property
    def _fixed_angles(self) -> bool:
        return "angles" in self._buffers

    @property
    def _reuses_readout(self) -> bool:
        """Whether what was read once may serve again."""
        if self._fixed_angles:
            own = not (is_transformed(self.angles) or self.angles.is_meta)
        else:
            own = is_own(self.angles) and not self.training
        return own and self.source.caches

    def _mapped(self, values: Float64[Tensor, " values"]) -> Float64[Tensor, " M"]:
        return values[: self.num_weights] if self.mapping is None else self.mapping(values)

    def _stand_in(self) -> nn.Module:
        """A plain copy with weights of the right shapes; their values mean nothing."""
        return self.layout.with_parameters(self.network, list(self.origin.buffers()))

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
