r"""The memory bridge: any network's weights as cosines of the angles of one circuit.

Weight ``k`` is :math:`w_k = w^0_k + \rho \cos\theta_k`, read from the memory circuit
(`hybridopt.bridges.memory.circuit`) with ``m + 1`` qubits for ``M <= 2^m`` weights. The module
stores :math:`\delta = \theta - \pi/2`, never :math:`\theta`, because :math:`\cos(\pi/2)` is not 0
in floating point: :math:`w = w^0 - \rho\sin\delta`.

In the sparse form K angles z move all weights, :math:`\delta = H_K z`, ``H_K`` being K columns of
the N x N Walsh matrix divided by :math:`\sqrt K`. These are angles of the circuit: its chain of
gates has N rotations, by :math:`\hat\theta = H\theta/N`, of which K are then not zero (and the
one that all :math:`\theta` have in common, which holds :math:`\pi/2`); the others are left out, and
so are most of the CX between them. The same shift of all :math:`\theta_k` gives the slopes
:math:`\partial L/\partial z = H_K^T\,\partial L/\partial\delta`: two settings a step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from jaxtyping import Float64
from qiskit import QuantumCircuit
from qiskit.providers import BackendV2
from torch import Tensor, nn

from hybridopt import _validation
from hybridopt.bridges.base import AnyNetworkBridge, HasTwin, formula_like
from hybridopt.bridges.memory.autograd import read_cosines, walsh_coefficients, walsh_sum
from hybridopt.bridges.memory.circuit import SYNTHESES, MemoryProgram, chain_count, index_qubits
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
from hybridopt.execution import Cost, Executor, Probabilities
from hybridopt.gradients import GradientRule, ParameterShift
from hybridopt.gradients.cost import cost_of

FORMS = ("residual", "full")


@dataclass(frozen=True)
class Memory(AnyNetworkBridge, HasTwin):
    """Options of the memory bridge.

    Attributes:
        form: ``"residual"`` moves away from the given weights ``w0`` and starts exactly there;
            ``"full"`` holds the weights themselves, to about 1e-16 of the scale.
        synthesis: ``"diagonal"`` for fast simulation by state vectors, ``"gates"`` for what
            hardware would run: with noise models, and with any method of the executor.
        scale: How far a weight can move (residual), or the largest weight that can be held (full):
            one number, a number for some tensors by name, or ``"auto"``: the root mean square of
            each tensor, at least 0.1; in full form at least 1.5 times its largest weight.
        merge: ``"epoch"`` lets `fit` merge the trained weights into ``w0`` after every epoch, so
            that they can go anywhere; None leaves that to the caller.
        num_angles: K, the trained angles of the sparse form, from 1 to N = 2^m; None is the dense
            form, an angle a weight. The full form takes None or N only.
        frozen: Only False: a frozen memory trains nothing.

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
    synthesis: str = "diagonal"
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
                    'merge="epoch" needs form="residual": the full form has no w0 to merge into.'
                )
        _validation.optional_integer("num_angles", self.num_angles, minimum=1)
        if _validation.boolean("frozen", self.frozen):
            raise ArgumentError(
                "frozen=True leaves nothing to train: angles are all that a memory has. Use "
                'bridge="generator" or DressedCircuit.'
            )
        _validation.choice("synthesis", self.synthesis, SYNTHESES)
        check_scale(self.scale)

    def encode(
        self, network: nn.Module, *, executor: Executor, gradient: GradientRule
    ) -> WeightNetwork:
        """Carry a network into the memory circuit; the network is left as it is.

        Raises:
            ArgumentError: If there are more angles than places in the circuit.
            ConversionError: If the form is full and has fewer.
            UnsupportedError: If the gradient rule is another than the parameter shift.
        """
        if not isinstance(gradient, ParameterShift):
            raise UnsupportedError(
                f"The memory bridge reads all derivatives from one shifted setting; it takes "
                f'gradient="parameter-shift" only, but was given "{gradient.name}".'
            )
        layout = ParameterLayout(network)
        return self._network(network, layout, MemoryCircuit(layout, self, executor, gradient))

    def twin(self, network: nn.Module, *, executor: Executor) -> WeightNetwork:
        """The closed form; of the executor, shots and seed alone are taken."""
        sampler, layout = formula_like(ClosedFormSampler, executor), ParameterLayout(network)
        return self._network(network, layout, MemoryFormula(layout, self, sampler))

    def _network(
        self, network: nn.Module, layout: ParameterLayout, source: CosineSource
    ) -> WeightNetwork:
        columns = source.columns
        tensors, full = layout.tensors(network), self.form == "full"
        scales = tensor_scales(layout, tensors, self.scale, full=full)
        angles = torch.zeros(layout.num_weights, dtype=torch.float64)  # delta: 0 is the start
        if full:
            ratios = [t.double() / scale for t, scale in zip(tensors, scales, strict=True)]
            angles = -torch.arcsin(layout.join(ratios).clamp(-1, 1))
        if columns is not None:
            places = 1 << index_qubits(layout.num_weights)
            if full and len(columns) < places:
                raise ConversionError(
                    f"num_angles is {len(columns)}, but the full form needs all N = {places} "
                    'angles to hold any given weights. Use form="residual", or num_angles=None.'
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
    """The deltas of all weights, in sparse form from K angles."""

    columns: Tensor | None  # Walsh columns of the sparse form

    def __init__(self, layout: ParameterLayout, options: Memory) -> None:
        super().__init__()
        self.num_weights = layout.num_weights
        columns = None
        if options.num_angles is not None:
            columns = torch.from_numpy(walsh_columns(options.num_angles, self.num_weights))
        self.register_buffer("columns", columns, persistent=False)

    def deltas(self, angles: Angles) -> Float64[Tensor, " places"]:
        """The delta [rad] of each weight; in sparse form of all N places, weights first."""
        if self.columns is None:
            return angles
        return walsh_sum(angles, self.columns, 1 << index_qubits(self.num_weights))

    def exact_values(self, angles: Angles) -> Values:
        """-sin(delta), 0 exactly where delta is."""
        return -torch.sin(self.deltas(angles))


class MemoryCircuit(CosineSource):
    """Cosines of the angles, read from the memory circuit at every forward pass.

    With noise the chain of gates is run, and its angles are shifted one by one: one common shift is
    exact only where all ``theta`` stay apart (`hybridopt.bridges.memory.readout`).
    """

    bridge_name = Memory.name
    syntheses = SYNTHESES
    executor: Executor
    gradient: ParameterShift

    def __init__(
        self, layout: ParameterLayout, options: Memory, executor: Executor, gradient: ParameterShift
    ) -> None:
        super().__init__(layout, options)
        self.executor, self.gradient = executor, gradient
        numbers = None if self.columns is None else tuple(self.columns.tolist())
        self.program = MemoryProgram(index_qubits(self.num_weights), options.synthesis, numbers)  # type: ignore[arg-type]
        self.num_qubits = self.program.num_qubits
        self.num_angles = self.program.num_shared_angles if numbers is None else len(numbers)
        if options.synthesis == "diagonal":
            self.notes = (
                "(that of the gates that hardware would run; the simulator is given one diagonal)",
            )
        executor.check(self.program if self.chain is None else self.chain.program, Probabilities())

    @property
    def reader(self) -> CircuitReader:
        """Reads from the circuit."""
        return CircuitReader(self.program, self.executor, self.gradient)

    @property
    def chain(self) -> ChainReader | None:
        """Reads gate by gate, where gates go wrong; None without noise."""
        if not self.executor.has_noise or self.program.synthesis != "gates":
            return None
        m, columns = self.program.num_index_qubits, self.program.columns
        return ChainReader(m, columns, self.executor, self.gradient)

    def look(self, angles: Angles) -> Tensor:
        """Cosines, or with noise probabilities of all outcomes."""
        if self.chain is None:
            return self.values(angles)
        return self.chain.probabilities(self.deltas(angles))

    def values(self, angles: Angles, known: Tensor | None = None) -> Values:
        """cos(theta) as it is read."""
        deltas = self.deltas(angles)
        if self.chain is None:
            return read_cosines(deltas, self.reader.read, known)
        return self.chain.cosines(self.chain.probabilities(deltas, known))

    def circuit(self, angles: Angles, synthesis: str | None = None) -> QuantumCircuit:
        """The memory circuit in one of its syntheses; None is the one that is executed."""
        program = replace(self.program, synthesis=synthesis or self.program.synthesis)  # type: ignore[arg-type]
        deltas = self.deltas(angles)
        padded = self.reader.padded(torch.pi / 2 + deltas.cpu().numpy())
        return program.bind(padded[:0], padded)

    def gate_count(self, angles: Angles, device: BackendV2 | None) -> GateCount:
        """The gates of the chain, which hardware would run."""
        counted = chain_count(self.program.num_index_qubits, self.program.columns)
        if device is None:
            return counted
        check_transpilable(counted.depth)
        return count_gates(self.circuit(angles, "gates"), device)

    def cost(self, *, forward: bool, backward: bool) -> Cost:
        """One setting forward and one backward; with noise two backward per angle."""
        back = 1 if self.chain is None else 2 * self.chain.program.num_shared_angles
        return cost_of(forward + backward * back, self.executor.shots)

    def explain(self) -> str:
        """How the circuit is read, and why."""
        if self.chain is not None:
            how = "gate by gate, as noise acts on gates; backward two settings per angle"
        else:
            how = "in one setting for all weights; backward one more, as one shift moves all angles"
        return f"the memory circuit ({self.program.synthesis}) is read {how}."


class MemoryFormula(CosineSource, FormulaSource):
    """Cosines of the angles in torch, or samples of what shots would say."""

    bridge_name = "twin"
    executor: ClosedFormSampler

    def __init__(
        self, layout: ParameterLayout, options: Memory, executor: ClosedFormSampler
    ) -> None:
        super().__init__(layout, options)
        self.executor, self.caches = executor, executor.shots is not None

    def values(self, angles: Angles, known: Tensor | None = None) -> Values:
        """-sin(delta) by torch, or a sample of what shots would say."""
        if self.executor.shots is None:
            return self.exact_values(angles)
        return read_cosines(self.deltas(angles), self.executor.read, known)
