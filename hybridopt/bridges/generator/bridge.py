r"""The generator bridge: all weights of a network from a small circuit with few angles.

A circuit of ``m`` qubits, ``N = 2^m >= M``, has one outcome for each weight. Weight ``k`` is

.. math::
    w_k = w^0_k + \rho f(b(k), N p_k),

with the bits ``b`` of ``k``, the probability ``p_k`` of outcome ``k`` in the state of the angles,
and a small mapping ``f`` that is trained too. The state is simulated classically without effort at
these sizes: this is a hyper-network, and `Generator.twin` is the same one without a circuit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float64
from qiskit import QuantumCircuit
from torch import Tensor, nn

from hybridopt import _validation
from hybridopt.bridges.base import Bridge, shots_and_seed
from hybridopt.bridges.generator.circuit import ry_ladder
from hybridopt.bridges.generator.mapping import DEFAULT_WIDTH, MAPPINGS
from hybridopt.bridges.generator.network import GeneratedNetwork
from hybridopt.bridges.generator.sampler import LadderSampler
from hybridopt.bridges.generator.statevector import ladder_probabilities
from hybridopt.bridges.memory.circuit import index_qubits
from hybridopt.bridges.memory.cosine_network import check_scale, tensor_scales
from hybridopt.bridges.parameter_layout import WeightLayout
from hybridopt.circuits import CircuitProgram, lower
from hybridopt.errors import ArgumentError, ResourceError
from hybridopt.execution import Cost, Executor, Probabilities
from hybridopt.gradients import Adjoint, GradientRule, ParameterShift, Spsa
from hybridopt.nn.evaluation import CircuitEvaluation

DEFAULT_DEPTH = 4
MOST_ANGLES = 1 << 16  # a gate each, and Aer takes 10 us to be handed one
MOST_NUMBERS = 1 << 27  # of a mapping; 1 GB


@dataclass(frozen=True)
class Generator(Bridge):
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
    ) -> GeneratorNetwork:
        """Carry a network into the generator; the network is left as it is."""
        return GeneratorNetwork(network, self, executor, gradient)

    def twin(self, network: nn.Module, *, executor: Executor) -> GeneratorTwin:
        """The same by dense algebra in torch: equal without shots, of the same law with shots.

        Raises:
            UnsupportedError: If the executor has noise, which has no formula here.
        """
        sampler = LadderSampler(*shots_and_seed(executor, "a generator"))
        return GeneratorTwin(network, self, sampler)

    def sizes(self, num_weights: int) -> tuple[int, int]:
        """P and the units of the mapping's hidden layer (0 without one), for M weights.

        Raises:
            ResourceError: If either is too large to run.
        """
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


class GeneratorNetwork(GeneratedNetwork):
    """A network whose weights are made from one reading of a circuit at every forward pass.

    A training step takes one setting forward and, by parameter shift, two for each angle
    backward, whatever the batch; a frozen one reads once. In `eval()` mode the circuit is read
    once per change of the angles.

    Example:
        >>> import torch, hybridopt as ho
        >>> quantum = ho.to_quantum(torch.nn.Linear(4, 3), "generator", num_angles=6)
        >>> isinstance(quantum, ho.bridges.GeneratorNetwork), quantum.num_qubits, quantum.num_angles
        (True, 4, 6)
    """

    bridge_name = Generator.name
    executor: Executor

    def __init__(
        self, network: nn.Module, options: Generator, executor: Executor, gradient: GradientRule
    ) -> None:
        num_weights = WeightLayout(network).num_weights
        self._programs: dict[bool, CircuitProgram] = {}
        num_angles, _ = options.sizes(num_weights)
        program = _lowered(index_qubits(num_weights), num_angles, whole=not executor.has_noise)
        executor.check(program, Probabilities())
        if not options.frozen:
            gradient.check(program, Probabilities(), executor)
        super().__init__(network, executor, **_parts(options, network))
        self.options = options
        self.gradient = gradient
        self._programs = {not executor.has_noise: program}

    @property
    def num_qubits(self) -> int:
        """The qubits m, with ``2^m >= max(M, 2)``."""
        return self.num_index_qubits

    @property
    def num_angles(self) -> int:
        """P."""
        return len(self.angles)

    @property
    def program(self) -> CircuitProgram:
        """The lowered circuit, for the executor that the network has now."""
        whole = not self.executor.has_noise
        if whole not in self._programs:
            self._programs[whole] = _lowered(self.num_qubits, self.num_angles, whole=whole)
        return self._programs[whole]

    @property
    def evaluation(self) -> CircuitEvaluation:
        """The circuit as a function of its angles."""
        return CircuitEvaluation(self.program, Probabilities(), self.executor, self.gradient)

    def read(self) -> Float64[Tensor, " N"]:
        """One setting."""
        return self.evaluation(self.angles.new_zeros(1, 0), self.angles[None])[0, 0]

    def vjp(
        self, angles: Float64[Tensor, " P"], cotangent: Float64[Tensor, " N"]
    ) -> Float64[Tensor, " P"]:
        """By the gradient rule."""
        return _vjp(self.evaluation, angles, cotangent)

    def circuit(self) -> QuantumCircuit:
        """The circuit at the present angles."""
        ansatz = ry_ladder(self.num_qubits, self.num_angles)
        return ansatz.assign_parameters(self.angles.detach().cpu().numpy())

    def step_cost(self, batch_size: int | None = None) -> Cost:
        """One setting forward, and what the gradient rule takes: two an angle by parameter shift.

        Whatever the batch. A frozen circuit costs its first step one setting, and no other any.
        Runs are counted as if each setting were one; Aer may take some side by side in one.
        """
        if batch_size is not None:
            _validation.integer("batch_size", batch_size, minimum=1)
        forward = 0 if self.has_read else 1
        settings, runs = (0, 0) if self.frozen else _gradient_cost(self.gradient, self.program)
        settings, runs = settings + forward, runs + forward
        return Cost(settings, settings * (self.executor.shots or 0), runs)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_programs": {}}


class GeneratorTwin(GeneratedNetwork):
    """The same network by dense algebra in torch; with shots a sample of what they would say."""

    bridge_name = "twin"
    executor: LadderSampler

    def __init__(self, network: nn.Module, options: Generator, executor: LadderSampler) -> None:
        super().__init__(network, executor, **_parts(options, network))
        self.options = options
        self._program: CircuitProgram | None = None

    @property
    def evaluation(self) -> CircuitEvaluation:
        """Samples as a function of the angles."""
        if self._program is None:
            self._program = _lowered(self.num_index_qubits, len(self.angles), whole=True)
        return CircuitEvaluation(self._program, Probabilities(), self.executor, ParameterShift())

    def read(self) -> Float64[Tensor, " N"]:
        """By autograd, or a sample of what shots would say."""
        if self.executor.shots is None:
            return ladder_probabilities(self.angles[None], self.num_index_qubits)[0]
        return self.evaluation(self.angles.new_zeros(1, 0), self.angles[None])[0, 0]

    def vjp(
        self, angles: Float64[Tensor, " P"], cotangent: Float64[Tensor, " N"]
    ) -> Float64[Tensor, " P"]:
        """By autograd, or by parameter shift of samples."""
        if self.executor.shots is not None:
            return _vjp(self.evaluation, angles, cotangent)
        again = torch.is_grad_enabled()
        with torch.enable_grad():
            held = angles if again else angles.detach().requires_grad_()
            exact = ladder_probabilities(held[None], self.num_index_qubits)[0]
            return torch.autograd.grad(exact, held, cotangent, create_graph=again)[0]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_program": None}


def _parts(options: Generator, network: nn.Module) -> dict[str, Any]:
    """What a generated network is made of."""
    layout = WeightLayout(network)
    scale = check_scale(options.scale)
    num_angles, width = options.sizes(layout.num_weights)
    return {
        "scales": tensor_scales(layout, layout.tensors(network), "residual", scale),
        "num_angles": num_angles,
        "width": width,
        "residual": options.residual,
        "frozen": options.frozen,
        "seed": options.seed,
    }


def _lowered(num_qubits: int, num_angles: int, *, whole: bool) -> CircuitProgram:
    ansatz = ry_ladder(num_qubits, num_angles)
    return lower(ansatz, (), tuple(ansatz.parameters), whole=whole)


def _vjp(evaluation: CircuitEvaluation, angles: Tensor, cotangent: Tensor) -> Tensor:
    rows, shared = angles.new_zeros(1, 0), angles[None]
    needs = (False, True)
    _, by_shared = evaluation.rule.vjp(evaluation, rows, shared, cotangent[None, None], needs)
    assert by_shared is not None
    return by_shared[0]


def _gradient_cost(rule: GradientRule, program: CircuitProgram) -> tuple[int, int]:
    """Settings and runs of one vector-Jacobian product by the angles."""
    if isinstance(rule, Adjoint):
        return 0, 1
    if isinstance(rule, Spsa):
        return 2 * rule.directions, 2 * rule.directions
    shifts = sum(len(terms) for terms in program.shifts[1])
    return shifts, shifts
