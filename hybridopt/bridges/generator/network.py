r"""Generator bridge: all weights of a network from a small circuit with few angles.

A circuit of ``m`` qubits, ``N = 2^m >= M``, has at least one outcome per weight. Weight ``k`` is

.. math::
    w_k = w^0_k + \rho f(b(k), N p_k),

with the bits ``b`` of ``k``, the probability ``p_k`` of outcome ``k``, and a small trained mapping
``f``. At these sizes the state is easy to simulate classically: this is a hyper-network, and
`Generator.twin` is the same one without a circuit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import ClassVar

import torch
from jaxtyping import Float64
from qiskit import QuantumCircuit
from qiskit.providers import BackendV2
from torch import Tensor, nn

from hybridopt import _validation
from hybridopt.bridges.base import AnyNetworkBridge, HasTwin
from hybridopt.bridges.generator.circuit import ry_ladder
from hybridopt.bridges.generator.statevector import LadderSampler, ladder_probabilities
from hybridopt.bridges.memory.circuit import index_qubits
from hybridopt.bridges.parameter_layout import ParameterLayout, check_scale, tensor_scales
from hybridopt.bridges.weight_network import (
    Angles,
    FormulaSource,
    Values,
    WeightNetwork,
    WeightSource,
)
from hybridopt.circuits import CircuitProgram, lower
from hybridopt.circuits.counts import GateCount, count_gates
from hybridopt.errors import ArgumentError, ResourceError
from hybridopt.execution import Cost, Executor, Probabilities
from hybridopt.gradients import GradientRule
from hybridopt.gradients.cost import gradient_cost, training_cost
from hybridopt.nn.evaluation import CircuitEvaluation

MAPPINGS = ("affine", "tanh")
DEFAULT_WIDTH = 8
LEAST_DEVIATION = 0.1  # limits the amplification of nearly equal initial probabilities
DEFAULT_DEPTH = 4
MOST_ANGLES = 1 << 16  # one gate each; Aer needs 10 us to receive one
MOST_NUMBERS = 1 << 27  # of a mapping; 1 GB


@dataclass(frozen=True)
class Generator(AnyNetworkBridge, HasTwin):
    """Options of the generator bridge.

    Attributes:
        depth: Number of layers of the circuit: RY on all m qubits, then a ladder of CX, so that
            ``P = depth * m``. None is 4, unless `num_angles` is given.
        num_angles: Number P of angles, at least 1; the last layer may be partial. Give `depth` or
            `num_angles`, not both.
        mapping: ``"affine"``, one affine map of the bits of an outcome and its probability,
            ``m + 2`` numbers; ``"tanh"``, a hidden layer before this map, ``width * (m + 3) + 1``
            numbers.
        width: Number of units of the hidden layer of ``"tanh"``; None for 8.
        residual: Whether to start exactly at the given weights. The mapping's last layer is then
            zero at first, so the angles have a gradient from the second step on. If False, the
            weights are the outputs of the mapping times rho, as published, and the given weights
            are not used.
        frozen: Whether only the mapping is trained. This control shows the effect of trained
            angles.
        scale: Unit rho of the mapping's output: one number, numbers by tensor name, or ``"auto"``,
            the root mean square of each tensor, at least 0.1.
        seed: Seed for the angles, uniform in [-pi, pi), and for the mapping's initial numbers.

    The published mapping is a chain of linear layers without activation, which is one affine map.

    References:
        Liu et al., Quantum-Train, arXiv:2405.11304.

    Example:
        >>> from hybridopt.bridges import Generator
        >>> import torch, hybridopt as ho
        >>> quantum = ho.to_quantum(torch.nn.Linear(9, 7), Generator(depth=3))
        >>> quantum.num_qubits, quantum.num_angles, quantum.step_cost().settings
        (7, 21, 43)
    """

    name: ClassVar[str] = "generator"

    depth: int | None = None
    num_angles: int | None = None
    mapping: str = "affine"
    width: int | None = None
    residual: bool = True
    frozen: bool = False
    scale: str | float | Mapping[str, float] = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        _validation.optional_integer("depth", self.depth, minimum=1)
        _validation.optional_integer("num_angles", self.num_angles, minimum=1)
        if self.depth is not None and self.num_angles is not None:
            raise ArgumentError(
                f"`depth` must be None if `num_angles` is given (got {self.depth} and "
                f"{self.num_angles}). Each layer has one angle per qubit."
            )
        _validation.choice("mapping", self.mapping, MAPPINGS)
        _validation.optional_integer("width", self.width, minimum=1)
        if self.width is not None and self.mapping != "tanh":
            raise ArgumentError(
                f"`width` must be None for the mapping {self.mapping!r}, which has no hidden layer "
                f'(got {self.width}). Use mapping="tanh".'
            )
        _validation.boolean("residual", self.residual)
        _validation.boolean("frozen", self.frozen)
        check_scale(self.scale)
        _validation.integer("seed", self.seed, minimum=0, maximum=2**63 - 1)

    def encode(
        self, network: nn.Module, *, executor: Executor, gradient: GradientRule
    ) -> WeightNetwork:
        """Convert a network to a generator; the network is not changed."""
        return self._network(
            network, lambda m, p: GeneratorCircuit(m, p, executor, gradient, not self.frozen)
        )

    def twin(self, network: nn.Module, *, executor: Executor) -> WeightNetwork:
        """Convert a network to dense linear algebra; with shots, of the same distribution."""
        sampler = LadderSampler.like(executor)
        return self._network(network, lambda m, p: GeneratorFormula(m, p, sampler))

    def _network(
        self, network: nn.Module, source_of: Callable[[int, int], WeightSource]
    ) -> WeightNetwork:
        layout = ParameterLayout(network)
        num_qubits = index_qubits(layout.num_weights)
        num_angles, width = self._sizes(num_qubits)
        source = source_of(num_qubits, num_angles)
        generator = torch.Generator().manual_seed(self.seed)
        uniform = 2 * torch.rand(num_angles, generator=generator, dtype=torch.float64) - 1
        angles = (math.pi * uniform).to(next(network.parameters()).device)
        mapping = WeightMapping(
            layout.num_weights,
            ladder_probabilities(angles[None], num_qubits)[0],
            width=width,
            zero=self.residual,
            generator=generator,
        )
        return WeightNetwork(
            network,
            source,
            options=self,
            layout=layout,
            angles=angles,
            scales=tensor_scales(layout, layout.tensors(network), self.scale),
            keep_origin=self.residual,
            mapping=mapping,
            frozen=self.frozen,
        )

    def _sizes(self, num_qubits: int) -> tuple[int, int]:
        """Return P and the units of the mapping's hidden layer (0 without one)."""
        num_angles = self.num_angles or (self.depth or DEFAULT_DEPTH) * num_qubits
        if num_angles > MOST_ANGLES:
            raise ResourceError(
                f"The generator must have at most {MOST_ANGLES:,} angles (got {num_angles:,} on "
                f"{num_qubits} qubits). Lower `depth` or `num_angles`."
            )
        width = self.width or DEFAULT_WIDTH
        if width * (num_qubits + 3) > MOST_NUMBERS:
            raise ResourceError(
                f"The mapping must have at most {MOST_NUMBERS:,} numbers (got "
                f"{width * (num_qubits + 3) + 1:,}). Lower `width`."
            )
        return num_angles, width if self.mapping == "tanh" else 0


class LadderSource(WeightSource):
    """Probabilities of all outcomes of `ry_ladder`."""

    def __init__(self, num_index_qubits: int, num_angles: int) -> None:
        super().__init__()
        self.sizes = num_index_qubits, num_angles

    def exact_values(self, angles: Angles) -> Values:
        """Return the probabilities from dense linear algebra."""
        return ladder_probabilities(angles[None], self.sizes[0])[0]


class GeneratorCircuit(LadderSource):
    """Probabilities of all outcomes, read once per forward pass."""

    bridge_name = Generator.name
    syntheses = ("gates",)
    executor: Executor

    def __init__(
        self, m: int, p: int, executor: Executor, rule: GradientRule, trained: bool
    ) -> None:
        super().__init__(m, p)
        self.num_qubits, self.num_angles = m, p
        self.executor, self.gradient = executor, rule
        executor.check(self.program, Probabilities())
        if trained:
            rule.check(self.program, Probabilities(), executor)

    @property
    def program(self) -> CircuitProgram:
        """Lowered circuit for the present executor."""
        return _lowered(*self.sizes, whole=self.executor.lowering == "whole")

    def read(self, angles: Angles) -> Values:
        """Return the probabilities."""
        return self.values(angles)

    def values(self, angles: Angles, known: Tensor | None = None) -> Values:
        """Return the probabilities as they are read."""
        return _read(self._evaluation, angles, known)

    def circuit(self, angles: Angles, synthesis: str | None = None) -> QuantumCircuit:
        """Return the circuit at these angles."""
        return ry_ladder(*self.sizes).assign_parameters(angles.cpu().numpy())

    def gate_count(self, angles: Angles, device: BackendV2 | None) -> GateCount:
        """Return the gate count of the circuit."""
        return count_gates(self.circuit(angles), device)

    def cost(self, *, forward: bool, backward: bool) -> Cost:
        """Return one setting forward, and the cost of the gradient rule."""
        needs = (False, backward)
        if forward:
            return training_cost(self._evaluation, self.gradient, needs)
        return gradient_cost(self._evaluation, self.gradient, needs)

    def explain(self) -> str:
        """Return a description of the readout and of the rule."""
        rule = self.gradient.explain_for(self._evaluation)
        return f"the generator circuit is read in one setting for all weights. Rule {rule}."

    @property
    def _evaluation(self) -> CircuitEvaluation:
        circuits = self.program, Probabilities(), self.executor
        return CircuitEvaluation(*circuits, self.gradient, errors=self._errors)


class GeneratorFormula(LadderSource, FormulaSource):
    """Probabilities from dense linear algebra, or samples of them."""

    bridge_name = "twin"
    executor: LadderSampler

    def __init__(self, num_index_qubits: int, num_angles: int, executor: LadderSampler) -> None:
        super().__init__(num_index_qubits, num_angles)
        self.executor = executor

    def values(self, angles: Angles, known: Tensor | None = None) -> Values:
        """Return the probabilities, differentiated by autograd, or a sample of them."""
        if self.executor.shots is None and (known is None or _needs_grad(angles)):
            return self.exact_values(angles)
        program = _lowered(*self.sizes, whole=True)
        evaluation = CircuitEvaluation(program, Probabilities(), self.executor, self.gradient)
        return _read(evaluation, angles, known)


@lru_cache(maxsize=4)  # executors cache per program, so programs must be reused
def _lowered(num_qubits: int, num_angles: int, *, whole: bool) -> CircuitProgram:
    ansatz = ry_ladder(num_qubits, num_angles)
    return lower(ansatz, (), tuple(ansatz.parameters), whole=whole)


def _needs_grad(angles: Tensor) -> bool:
    return torch.is_grad_enabled() and angles.requires_grad


def _read(evaluation: CircuitEvaluation, angles: Tensor, known: Tensor | None) -> Tensor:
    """Return the probabilities; if they are known, only derivatives are run."""
    if known is not None and not _needs_grad(angles):
        return known
    if known is not None:
        evaluation = replace(evaluation, known=(angles.detach()[None], known[None, None]))
    return evaluation(angles.new_zeros(1, 0), angles[None])[0, 0]


class WeightMapping(nn.Module):
    r"""Map from weight ``k`` and its probability to its move, or to the weight itself.

    The inputs are the bits of ``k`` as -1 and +1, the least significant first, and
    :math:`z_k = (N p_k - 1) / \sigma` with :math:`\sigma` the initial standard deviation of
    :math:`N p`, whose mean is 1. :math:`\sigma` is constant, so shot noise passes linearly.
    """

    deviation: Tensor
    bits: Tensor

    def __init__(
        self,
        num_weights: int,
        probabilities: Float64[Tensor, " N"],
        *,
        width: int,
        zero: bool,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        size, device = len(probabilities), probabilities.device
        num_bits = size.bit_length() - 1
        spread = (size * probabilities - 1).square().mean().sqrt()
        self.register_buffer("deviation", spread.clamp(min=LEAST_DEVIATION))
        places = torch.arange(num_weights, device=device)[:, None]
        bits = (places >> torch.arange(num_bits, device=device)) & 1
        self.register_buffer("bits", 2.0 * bits.double() - 1.0, persistent=False)
        inputs = num_bits + 1
        self.hidden = _linear(inputs, width, generator).to(device) if width else None
        self.last = _linear(width or inputs, 1, generator).to(device)
        if zero:
            nn.init.zeros_(self.last.weight)
            nn.init.zeros_(self.last.bias)

    def forward(self, probabilities: Float64[Tensor, " N"]) -> Float64[Tensor, " M"]:
        """Return one number per weight; zeros are -0.0, so that a weight of -0.0 keeps its sign."""
        excess = len(probabilities) * probabilities[: len(self.bits)] - 1.0
        features = torch.cat([self.bits, (excess / self.deviation)[:, None]], dim=1)
        if self.hidden is not None:
            features = torch.tanh(self.hidden(features))
        moves: Float64[Tensor, " M"] = self.last(features)[:, 0]
        return -(0.0 - moves)


def _linear(inputs: int, outputs: int, generator: torch.Generator) -> nn.Linear:
    """Return a layer with torch's initial distribution, drawn from this generator."""
    layer = nn.Linear(inputs, outputs, dtype=torch.float64, device="meta").to_empty(device="cpu")
    for parameter in layer.parameters():
        nn.init.uniform_(parameter, -(inputs**-0.5), inputs**-0.5, generator=generator)
    return layer
