r"""The generator bridge: all weights of a network from a small circuit with few angles.

A circuit of ``m`` qubits, ``N = 2^m >= M``, has one outcome for each weight. Weight ``k`` is

.. math::
    w_k = w^0_k + \rho f(b(k), N p_k),

with the bits ``b`` of ``k``, the probability ``p_k`` of outcome ``k`` in the state of the angles,
and a small mapping ``f`` that is trained too. The state is simulated classically without effort at
these sizes: this is a hyper-network, and `Generator.twin` is the same one without a circuit.
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
from hybridopt.bridges.base import AnyNetworkBridge, HasTwin, formula_like
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
from hybridopt.gradients.cost import forward_cost, gradient_cost
from hybridopt.nn.evaluation import CircuitEvaluation

MAPPINGS = ("affine", "tanh")
DEFAULT_WIDTH = 8
LEAST_DEVIATION = 0.1  # probabilities that start almost equal shall not be blown up
DEFAULT_DEPTH = 4
MOST_ANGLES = 1 << 16  # a gate each, and Aer takes 10 us to be handed one
MOST_NUMBERS = 1 << 27  # of a mapping; 1 GB


@dataclass(frozen=True)
class Generator(AnyNetworkBridge, HasTwin):
    """Options of the generator bridge.

    Attributes:
        depth: Layers of RY on all m qubits, a ladder of CX after each: ``P = depth * m`` angles.
            None is 4, unless `num_angles` is given.
        num_angles: P, any number from 1 on; the last layer may be partial. Not beside `depth`.
        mapping: ``"affine"``, one affine map of the bits and the probability, ``m + 2`` numbers;
            ``"tanh"``, a hidden layer before it, ``width * (m + 3) + 1`` numbers.
        width: Units of the hidden layer; None is 8. Of ``"tanh"`` alone.
        residual: True starts exactly at the given weights: the mapping's last layer starts at
            zero, so the angles get a gradient from the second step on. False makes all weights
            anew, as published: ``w = rho f``, and what the network held is not used.
        frozen: Whether the angles stay as they are drawn and the mapping alone is trained: the
            control of the angles.
        scale: rho, the unit of the mapping's output: one number, a number for some tensors by
            name, or ``"auto"``: the root mean square of each tensor, at least 0.1.
        seed: Of the angles, uniform in [-pi, pi), and of what the mapping starts with.

    The published mapping is a chain of linear layers without activation between them, which is
    one affine map.

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
                f"Both depth={self.depth} and num_angles={self.num_angles} were given. Give one: a "
                "layer has as many angles as the circuit has qubits."
            )
        _validation.choice("mapping", self.mapping, MAPPINGS)
        _validation.optional_integer("width", self.width, minimum=1)
        if self.width is not None and self.mapping != "tanh":
            raise ArgumentError(
                f"width={self.width} is the size of a hidden layer, which the mapping "
                f'{self.mapping!r} does not have. Use mapping="tanh", or leave it out.'
            )
        _validation.boolean("residual", self.residual)
        _validation.boolean("frozen", self.frozen)
        check_scale(self.scale)
        _validation.integer("seed", self.seed, minimum=0, maximum=2**63 - 1)

    def encode(
        self, network: nn.Module, *, executor: Executor, gradient: GradientRule
    ) -> WeightNetwork:
        """Carry a network into the generator; the network is left as it is."""
        trained = not self.frozen
        return self._network(
            network, lambda m, p: GeneratorCircuit(m, p, executor, gradient, trained)
        )

    def twin(self, network: nn.Module, *, executor: Executor) -> WeightNetwork:
        """The same by dense algebra in torch: equal without shots, of the same law with shots."""
        sampler = formula_like(LadderSampler, executor)
        return self._network(network, lambda m, p: GeneratorFormula(m, p, sampler))

    def _network(
        self, network: nn.Module, source_of: Callable[[int, int], WeightSource]
    ) -> WeightNetwork:
        layout = ParameterLayout(network)
        num_angles, width = self._sizes(layout.num_weights)
        source = source_of(index_qubits(layout.num_weights), num_angles)
        generator = torch.Generator().manual_seed(self.seed)
        turns = 2 * torch.rand(num_angles, generator=generator, dtype=torch.float64) - 1
        angles = (math.pi * turns).to(next(network.parameters()).device)
        mapping = WeightMapping(
            layout.num_weights,
            ladder_probabilities(angles[None], index_qubits(layout.num_weights))[0],
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

    def _sizes(self, num_weights: int) -> tuple[int, int]:
        """P and the units of the mapping's hidden layer (0 without one), for M weights."""
        depth = DEFAULT_DEPTH if self.depth is None else self.depth
        width = DEFAULT_WIDTH if self.width is None else self.width
        qubits = index_qubits(num_weights)
        num_angles = self.num_angles or depth * qubits
        if num_angles > MOST_ANGLES:
            raise ResourceError(
                f"The generator would have {num_angles:,} angles on {qubits} qubits, but a circuit "
                f"of more than {MOST_ANGLES:,} is too long to run. Lower `depth` or `num_angles`."
            )
        if width * (qubits + 3) > MOST_NUMBERS:
            raise ResourceError(
                f"A mapping of width {width:,} would have {width * (qubits + 3) + 1:,} numbers, "
                f"more than {MOST_NUMBERS:,}. Lower `width`."
            )
        return num_angles, width if self.mapping == "tanh" else 0


class GeneratorCircuit(WeightSource):
    """Probabilities of all outcomes, from one reading of a circuit at every forward pass."""

    bridge_name = Generator.name
    syntheses = ("gates",)
    executor: Executor
    gradient: GradientRule

    def __init__(
        self, m: int, p: int, executor: Executor, rule: GradientRule, trained: bool
    ) -> None:
        super().__init__()
        self.num_qubits, self.num_angles = m, p
        self.executor, self.gradient = executor, rule
        executor.check(self.program, Probabilities())
        if trained:
            rule.check(self.program, Probabilities(), executor)

    @property
    def program(self) -> CircuitProgram:
        """The lowered circuit, for the executor that the network has now."""
        return _lowered(self.num_qubits, self.num_angles, whole=not self.executor.has_noise)

    def look(self, angles: Angles) -> Values:
        """One setting."""
        return self.values(angles)

    def values(self, angles: Angles, known: Tensor | None = None) -> Values:
        """Probabilities as they are read."""
        return _read(self._evaluation, angles, known)

    def exact_values(self, angles: Angles) -> Values:
        """Probabilities by dense algebra."""
        return ladder_probabilities(angles[None], self.num_qubits)[0]

    def circuit(self, angles: Angles, synthesis: str | None = None) -> QuantumCircuit:
        """The circuit at these angles."""
        ansatz = ry_ladder(self.num_qubits, self.num_angles)
        return ansatz.assign_parameters(angles.cpu().numpy())

    def gate_count(self, angles: Angles, device: BackendV2 | None) -> GateCount:
        """The gates of the circuit."""
        return count_gates(self.circuit(angles), device)

    def cost(self, *, forward: bool, backward: bool) -> Cost:
        """One setting forward, and what the gradient rule takes."""
        cost = gradient_cost(self._evaluation, self.gradient, (False, backward))
        return cost + forward_cost(self._evaluation) if forward else cost

    def explain(self) -> str:
        """How the circuit is read, and why."""
        rule = self.gradient.explain(self.program)
        return f"the generator circuit is read in one setting for all weights. Rule {rule}."

    @property
    def _evaluation(self) -> CircuitEvaluation:
        return CircuitEvaluation(self.program, Probabilities(), self.executor, self.gradient)


class GeneratorFormula(FormulaSource):
    """The same probabilities by dense algebra; with shots a sample of what they would say."""

    bridge_name = "twin"
    executor: LadderSampler

    def __init__(self, num_index_qubits: int, num_angles: int, executor: LadderSampler) -> None:
        super().__init__()
        self.executor = executor
        self._sizes = num_index_qubits, num_angles

    def values(self, angles: Angles, known: Tensor | None = None) -> Values:
        """By autograd, or a sample of what shots would say."""
        if self.executor.shots is None:
            wanted = torch.is_grad_enabled() and angles.requires_grad
            return self.exact_values(angles) if known is None or wanted else known
        program = _lowered(*self._sizes, whole=True)
        evaluation = CircuitEvaluation(program, Probabilities(), self.executor, self.gradient)
        return _read(evaluation, angles, known)

    def exact_values(self, angles: Angles) -> Values:
        """Probabilities by dense algebra."""
        return ladder_probabilities(angles[None], self._sizes[0])[0]


@lru_cache(maxsize=4)  # executors keep what they made of a program as long as it lives
def _lowered(num_qubits: int, num_angles: int, *, whole: bool) -> CircuitProgram:
    ansatz = ry_ladder(num_qubits, num_angles)
    return lower(ansatz, (), tuple(ansatz.parameters), whole=whole)


def _read(evaluation: CircuitEvaluation, angles: Tensor, known: Tensor | None) -> Tensor:
    """Probabilities; where they are known already, only derivatives are run."""
    if known is not None and not (torch.is_grad_enabled() and angles.requires_grad):
        return known
    if known is not None:
        evaluation = replace(evaluation, known=(angles.detach()[None], known[None, None]))
    return evaluation(angles.new_zeros(1, 0), angles[None])[0, 0]


class WeightMapping(nn.Module):
    r"""Takes weight ``k`` and its probability to the number that moves or makes the weight.

    The inputs are the bits of ``k`` as -1 and +1, the least significant first, and
    :math:`z_k = (N p_k - 1) / \sigma`. The mean of :math:`N p` is 1; :math:`\sigma` is its
    deviation at the angles of the start and stays, so that shot noise passes linearly. Then
    either one affine map, or a hidden layer of tanh, of a width, and an affine map, which may start
    at zero. The generator draws the numbers, uniformly in :math:`\pm 1 / \sqrt{\text{inputs}}`.
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
        """One number a weight; outputs of zero are -0.0, which alone leaves -0.0 as it is."""
        excess = len(probabilities) * probabilities[: len(self.bits)] - 1.0
        features = torch.cat([self.bits, (excess / self.deviation)[:, None]], dim=1)
        if self.hidden is not None:
            features = torch.tanh(self.hidden(features))
        moves: Float64[Tensor, " M"] = self.last(features)[:, 0]
        return -(0.0 - moves)


def _linear(inputs: int, outputs: int, generator: torch.Generator) -> nn.Linear:
    """A layer as torch draws it, from a generator of its own."""
    layer = nn.Linear(inputs, outputs, dtype=torch.float64, device="meta").to_empty(device="cpu")
    for parameter in layer.parameters():
        nn.init.uniform_(parameter, -(inputs**-0.5), inputs**-0.5, generator=generator)
    return layer
