r"""Memory bridge: the weights of any network as cosines of the angles of one circuit.

Weight ``k`` is :math:`w_k = w^0_k + \rho \cos\theta_k`, read from the memory circuit
(`hybridopt.bridges.memory.circuit`) with ``m + 1`` qubits for ``M <= 2^m`` weights. The module
stores :math:`\delta = \theta - \pi/2` instead of :math:`\theta`, because :math:`\cos(\pi/2)` is
not 0 in floating point: :math:`w = w^0 - \rho\sin\delta`.

In the sparse form K angles z move all weights, :math:`\delta = H_K z`. ``H_K`` has K columns of the
N x N Walsh matrix divided by :math:`\sqrt K`. The gate chain has N rotations by
:math:`\hat\theta = H\theta/N`. It keeps K of them, and one by :math:`\pi/2` for all
:math:`\theta`. The other rotations are zero and left out, together with most CX. A common shift of
all :math:`\theta_k` gives the gradient
:math:`\partial L/\partial z = H_K^T\,\partial L/\partial\delta`: two settings per step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float64
from qiskit import QuantumCircuit
from qiskit.providers import BackendV2
from torch import Tensor, nn

from hybridopt import _validation
from hybridopt.bridges.base import AnyNetworkBridge, HasTwin
from hybridopt.bridges.memory.autograd import Read, read_cosines, walsh_coefficients, walsh_sum
from hybridopt.bridges.memory.circuit import (
    FORMER_NAMES,
    SYNTHESES,
    MemoryProgram,
    chain_count,
    current_synthesis,
    index_qubits,
)
from hybridopt.bridges.memory.readout import ChainReader, CircuitReader, ClosedFormSampler
from hybridopt.bridges.memory.walsh import walsh_columns
from hybridopt.bridges.parameter_layout import ParameterLayout, check_scale, tensor_scales
from hybridopt.bridges.weight_network import (
    Angles,
    FormulaSource,
    Values,
    WeightNetwork,
    WeightSource,
)
from hybridopt.circuits.counts import GateCount, check_transpilable, count_gates
from hybridopt.errors import ArgumentError, ConversionError, UnsupportedError
from hybridopt.execution import Cost, Executor, Probabilities, StateExecutor
from hybridopt.gradients import GradientRule, ParameterShift
from hybridopt.gradients.cost import cost_of
from hybridopt.nn.parameter_map import is_transformed

FORMS = ("residual", "full")


@dataclass(frozen=True)
class Memory(AnyNetworkBridge, HasTwin):
    """Options of the memory bridge.

    Attributes:
        form: ``"residual"`` stores the changes from the given weights ``w0``, so the start is
            exact. ``"full"`` stores the weights themselves, up to rounding errors.
        synthesis: ``"multiplexer"`` is one instruction with an RY gate per weight, fast to
            simulate; it needs state vectors. ``"gates"`` uses the gates of hardware and allows
            noise models and any method of the executor. Executors of hardware always run the
            gates. The former name ``"diagonal"`` means ``"multiplexer"``.
        scale: Largest change of a weight (residual), or largest weight (full): one number, numbers
            by tensor name, or ``"auto"``. Automatic is the root mean square of each tensor, at
            least 0.1; in full form at least 1.5 times its largest weight.
        merge: ``"epoch"`` to merge the trained weights into ``w0`` after every epoch of `fit`, so
            that the total change has no limit; None for no merge.
        num_angles: Number K of trained angles in the sparse form, from 1 to N = 2^m; None for the
            dense form, one per weight. The full form requires None or N.
        frozen: Whether angles are frozen; always False, because a memory trains only angles.

    Raises:
        ArgumentError: If ``num_angles`` is below 1 or ``frozen`` is True.

    Example:
        >>> from hybridopt.bridges import Memory
        >>> import torch, hybridopt as ho
        >>> quantum = ho.to_quantum(torch.nn.Linear(9, 7), Memory(num_angles=12, scale=0.1))
        >>> quantum.num_qubits, quantum.num_trainable, quantum.step_cost().settings
        (8, 12, 2)
    """

    name: ClassVar[str] = "memory"
    circuit_options: ClassVar[tuple[str, ...]] = ("synthesis",)

    form: str = "residual"
    synthesis: str = "multiplexer"
    scale: str | float | Mapping[str, float] = "auto"
    merge: str | None = None
    num_angles: int | None = None
    frozen: bool = False

    def __post_init__(self) -> None:
        _validation.choice("form", self.form, FORMS)
        if self.merge is not None:
            _validation.choice("merge", self.merge, ("epoch",))
            if self.form == "full":
                raise ConversionError(
                    '`merge` must be None for form="full", which has no w0. Use form="residual".'
                )
        _validation.optional_integer("num_angles", self.num_angles, minimum=1)
        if _validation.boolean("frozen", self.frozen):
            raise ArgumentError(
                "`frozen` must be False for a memory, which has only angles to train. Use "
                'bridge="generator" or DressedCircuit.'
            )
        _validation.choice("synthesis", self.synthesis, (*SYNTHESES, *FORMER_NAMES))
        object.__setattr__(self, "synthesis", current_synthesis(self.synthesis))
        check_scale(self.scale)

    @property
    def is_direct(self) -> bool:
        """Whether each weight has an angle of its own."""
        return self.num_angles is None

    def encode(
        self, network: nn.Module, *, executor: Executor, gradient: GradientRule
    ) -> WeightNetwork:
        """Convert a network to a memory circuit; the network is not changed.

        Raises:
            ArgumentError: If there are more angles than places in the circuit.
            ConversionError: If the full form has fewer angles than places.
            UnsupportedError: If the gradient rule is not the parameter shift.
        """
        if not isinstance(gradient, ParameterShift):
            raise UnsupportedError(
                '`gradient` must be "parameter-shift" for a memory, which reads all derivatives '
                f'from one shifted setting (got "{gradient.name}").'
            )
        if gradient.runs_backward:
            raise UnsupportedError(
                '`gradient` must be "parameter-shift" for a memory (got '
                'ParameterShift(simulate="sweep"), which gives differences of two settings only). '
                "A memory reads single shifted settings."
            )
        layout = ParameterLayout(network)
        return self._network(network, layout, MemoryCircuit(layout, self, executor, gradient))

    def twin(self, network: nn.Module, *, executor: Executor) -> WeightNetwork:
        """Convert a network to the closed form; only the executor's shots and seed are used."""
        sampler, layout = ClosedFormSampler.like(executor), ParameterLayout(network)
        return self._network(network, layout, MemoryFormula(layout, self, sampler))

    def _network(
        self, network: nn.Module, layout: ParameterLayout, source: CosineSource
    ) -> WeightNetwork:
        columns = source.columns
        tensors, full = layout.tensors(network), self.form == "full"
        scales = tensor_scales(layout, tensors, self.scale, full=full)
        angles = torch.zeros(layout.num_weights, dtype=torch.float64)  # delta, which starts at 0
        if full:
            parts = zip(layout.slots, tensors, scales, strict=True)
            ratios = torch.cat([s.carried(t).double() / scale for s, t, scale in parts])
            angles = -torch.arcsin(ratios.clamp(-1, 1))
        if columns is not None:
            places = 1 << index_qubits(layout.num_weights)
            if full and len(columns) < places:
                raise ConversionError(
                    f"`num_angles` must be None or N = {places} for the full form (got "
                    f'{len(columns)}). Use form="residual", or num_angles=None.'
                )
            angles = walsh_coefficients(angles, columns.to(angles.device), places)
        quantum = WeightNetwork(
            network,
            source,
            options=self,
            layout=layout,
            angles=angles,
            scales=scales,
            keep_origin=not full,
        )
        quantum.merge_every_epoch = self.merge == "epoch"
        return quantum


class CosineSource(WeightSource):
    """Source of one cosine per weight; in sparse form from K angles."""

    columns: Tensor | None  # Walsh columns of the sparse form

    def __init__(self, layout: ParameterLayout, options: Memory) -> None:
        super().__init__()
        self.num_weights = layout.num_weights
        columns = None
        if options.num_angles is not None:
            columns = torch.from_numpy(walsh_columns(options.num_angles, self.num_weights))
        self.register_buffer("columns", columns, persistent=False)

    def deltas(self, angles: Angles) -> Float64[Tensor, " places"]:
        """Return the delta [rad] of each weight; in sparse form of all N places, weights first."""
        if self.columns is None:
            return angles
        return walsh_sum(angles, self.columns, 1 << index_qubits(self.num_weights))

    def exact_values(self, angles: Angles) -> Values:
        """Return -sin(delta), exactly 0 where delta is 0."""
        return -torch.sin(self.deltas(angles))


class MemoryCircuit(CosineSource):
    """Cosines of the angles, read from the memory circuit, or with noise from its gate chain."""

    bridge_name = Memory.name
    syntheses = (*SYNTHESES, *FORMER_NAMES)
    executor: Executor
    gradient: ParameterShift

    def __init__(
        self, layout: ParameterLayout, options: Memory, executor: Executor, gradient: ParameterShift
    ) -> None:
        super().__init__(layout, options)
        self.executor, self.gradient = executor, gradient
        numbers = None if self.columns is None else tuple(self.columns.tolist())
        m = index_qubits(self.num_weights)
        self._synthesis = options.synthesis
        self._programs = {one: MemoryProgram(m, one, numbers) for one in SYNTHESES}
        self.num_qubits = self.program.num_qubits
        self.num_angles = self.program.num_shared_angles if numbers is None else len(numbers)
        if self.program.is_multiplexer:
            self.notes = (
                "(counted for the gates of hardware; the simulator receives one multiplexer)",
            )
        executor.check(self.program if self.chain is None else self.chain.program, Probabilities())

    @property
    def program(self) -> MemoryProgram:
        """Memory circuit in the synthesis that is run; hardware has no multiplexer."""
        executor = self.executor
        exact = executor.lowering == "whole" and not executor.has_noise
        # a simulator refuses a multiplexer with noise; the gates would run for much longer
        runs = exact or isinstance(executor, StateExecutor)
        whole = self._synthesis == "multiplexer" and runs
        return self._programs["multiplexer" if whole else "gates"]

    @property
    def reader(self) -> CircuitReader:
        """Reader of the circuit."""
        return CircuitReader(self.program, self.executor, self.gradient, self._errors)

    @property
    def chain(self) -> ChainReader | None:
        """Reader of the gate chain with noise; None without noise."""
        if not self.executor.has_noise or self.program.synthesis != "gates":
            return None
        m, columns = self.program.num_index_qubits, self.program.columns
        return ChainReader(m, columns, self.executor, self.gradient, self._errors)

    def read(self, angles: Angles) -> Tensor:
        """Return cosines, or with noise the probabilities of all outcomes."""
        if self.chain is None:
            return self.values(angles)
        return self.chain.probabilities(self.deltas(angles))

    def values(self, angles: Angles, known: Tensor | None = None) -> Values:
        """Return cos(theta) as it is read."""
        deltas = self.deltas(angles)
        if self.chain is None:
            read: Read = self.reader.read
            unknown = torch.is_grad_enabled() and deltas.requires_grad and known is None
            on_values = not (deltas.is_meta or is_transformed(deltas))
            if self.executor.is_remote and unknown and on_values:
                read = self.reader.submitted(np.pi / 2 + deltas.detach().cpu().numpy())
            return read_cosines(deltas, read, known)
        return self.chain.cosines(self.chain.probabilities(deltas, known))

    def circuit(self, angles: Angles, synthesis: str | None = None) -> QuantumCircuit:
        """Return the memory circuit in a synthesis; None for the executed one."""
        program = replace(self.program, synthesis=synthesis or self.program.synthesis)
        deltas = self.deltas(angles)
        padded = self.reader.padded(torch.pi / 2 + deltas.cpu().numpy())
        return program.bind(padded[:0], padded)

    def gate_count(self, angles: Angles, device: BackendV2 | None) -> GateCount:
        """Return the gate count of the chain, the form for hardware."""
        counted = chain_count(self.program.num_index_qubits, self.program.columns)
        if device is None:
            return counted
        check_transpilable(counted.depth)
        return count_gates(self.circuit(angles, "gates"), device)

    def cost(self, *, forward: bool, backward: bool) -> Cost:
        """Return one setting forward and one backward; with noise two backward per angle."""
        back = 1 if self.chain is None else 2 * self.chain.program.num_shared_angles
        return cost_of(forward + backward * back, self.executor.shots)

    def explain(self) -> str:
        """Return a description of the readout."""
        if self.chain is not None:
            how = "gate by gate, because gates have noise; backward two settings per angle"
        else:
            how = "in one setting for all weights; backward one more, one shift for all angles"
        text = f"the memory circuit ({self.program.synthesis}) is read {how}."
        if self.chain is None and isinstance(self.executor, StateExecutor):
            text += f" Each time: {self.reader.explain()}"
        return text


class MemoryFormula(CosineSource, FormulaSource):
    """Cosines of the angles in torch, or samples of them."""

    bridge_name = "twin"
    executor: ClosedFormSampler

    def __init__(
        self, layout: ParameterLayout, options: Memory, executor: ClosedFormSampler
    ) -> None:
        super().__init__(layout, options)
        self.executor, self.caches = executor, executor.shots is not None

    def values(self, angles: Angles, known: Tensor | None = None) -> Values:
        """Return -sin(delta), or a sample if shots are given."""
        if self.executor.shots is None:
            return self.exact_values(angles)
        return read_cosines(self.deltas(angles), self.executor.read, known)
