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
from hybridopt.bridges.base import Bridge, shots_and_seed
from hybridopt.bridges.memory.circuit import SYNTHESES, MemoryProgram, chain_count, index_qubits
from hybridopt.bridges.memory.cosine_network import (
    CosineNetwork,
    check_form,
    check_num_angles,
    check_scale,
    check_trainable,
)
from hybridopt.bridges.memory.noisy_readout import ChainReader
from hybridopt.bridges.memory.readout import CircuitReader, ClosedFormSampler
from hybridopt.bridges.memory.twin import TwinNetwork
from hybridopt.bridges.memory.walsh import walsh_columns
from hybridopt.bridges.parameter_layout import WeightLayout
from hybridopt.circuits.counts import GateCount, check_transpilable, count_gates
from hybridopt.errors import UnsupportedError
from hybridopt.execution import Cost, Executor, Probabilities
from hybridopt.gradients import GradientRule, ParameterShift


@dataclass(frozen=True)
class Memory(Bridge):
    """Options of the memory bridge.

    Attributes:
        form: ``"residual"`` moves away from the given weights ``w0`` and starts exactly there;
            ``"full"`` holds the weights themselves, to about 1e-16 of the scale.
        synthesis: ``"diagonal"`` for fast simulation by state vectors, ``"gates"`` for what
            hardware would run: with noise models, and with any method of the executor.
        scale: How far a weight can move (residual), or the largest weight that can be held (full):
            one number, a number for some tensors by name, or ``"auto"``: the root mean square of
            each tensor, at least 0.1; in full form at least 1.5 times its largest weight.
        fold: ``"epoch"`` lets `fit` fold after every epoch, so that weights can go anywhere; None
            leaves folding to the caller.
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

    form: str = "residual"
    synthesis: str = "diagonal"
    scale: str | float | Mapping[str, float] = "auto"
    fold: str | None = None
    num_angles: int | None = None
    frozen: bool = False

    def __post_init__(self) -> None:
        check_form(self.form, self.fold)
        check_trainable(self.num_angles, self.frozen)
        _validation.choice("synthesis", self.synthesis, SYNTHESES)
        check_scale(self.scale)

    def encode(
        self, network: nn.Module, *, executor: Executor, gradient: GradientRule
    ) -> MemoryNetwork:
        """Carry a network into the memory circuit; the network is left as it is."""
        if not isinstance(gradient, ParameterShift):
            raise UnsupportedError(
                f"The memory bridge reads all derivatives from one shifted setting; it takes "
                f'gradient="parameter-shift" only, but was given "{gradient.name}".'
            )
        return MemoryNetwork(network, self, executor, gradient)

    def twin(self, network: nn.Module, *, executor: Executor) -> TwinNetwork:
        """The closed form; of the executor, shots and seed alone are taken.

        Raises:
            UnsupportedError: If the executor has noise, which has no formula here.
        """
        sampler = ClosedFormSampler(*shots_and_seed(executor, "the memory"))
        return TwinNetwork(network, self, sampler)


class MemoryNetwork(CosineNetwork):
    """A network whose weights are read from the memory circuit at every forward pass.

    A training step takes two settings, one forward and one backward, whatever the number of
    weights and the batch. In `eval()` mode the weights are read once per change of the angles.
    With shots, the loss is that of noisy weights, and so is its gradient: the gradient of a
    noise-smoothed loss.

    With a noise model the chain of gates is run (``synthesis="gates"`` alone), and its angles are
    shifted one by one, two settings each: one common shift is exact only where all ``theta`` stay
    apart, which noise does not let them (`hybridopt.bridges.memory.noisy_readout`).

    Example:
        >>> import torch, hybridopt as ho
        >>> quantum = ho.to_quantum(torch.nn.Linear(4, 3), "memory")
        >>> isinstance(quantum, ho.bridges.MemoryNetwork), quantum.num_qubits, quantum.num_angles
        (True, 5, 16)
        >>> quantum.step_cost(batch_size=32)
        Cost(settings=2, shots=0, runs=2)
    """

    bridge_name = Memory.name
    executor: Executor

    def __init__(
        self, network: nn.Module, options: Memory, executor: Executor, gradient: ParameterShift
    ) -> None:
        num_weights = WeightLayout(network).num_weights
        check_num_angles(options, num_weights)
        columns = None
        if options.num_angles is not None:
            columns = tuple(walsh_columns(options.num_angles, num_weights).tolist())
        program = MemoryProgram(index_qubits(num_weights), options.synthesis, columns)  # type: ignore[arg-type]
        if not executor.has_noise or options.synthesis != "gates":
            executor.check(program, Probabilities())
        super().__init__(network, options, executor)
        self.gradient = gradient
        self.program = program
        if self.chain is not None:
            self.chain.check()

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

    @property
    def num_qubits(self) -> int:
        """Index qubits and one data qubit, m + 1."""
        return self.program.num_qubits

    @property
    def num_angles(self) -> int:
        """Angles of the circuit: N = 2^m >= M, of which the M that hold weights are trained.

        In the sparse form K, all of them trained; the others of the chain are zero.
        """
        if self.columns is None:
            return self.program.num_shared_angles
        return len(self.columns)

    def circuit(self, *, synthesis: str | None = None) -> QuantumCircuit:
        """The circuit at the present angles, to look at, transpile or export.

        Args:
            synthesis: ``"gates"`` or ``"diagonal"``; None is the one that is executed.
        """
        wanted = self.program.synthesis if synthesis is None else synthesis
        chosen = _validation.choice("synthesis", wanted, SYNTHESES)
        program = replace(self.program, synthesis=chosen)  # type: ignore[arg-type]
        theta = torch.pi / 2 + self.deltas().detach().cpu().numpy()
        padded = self.reader.padded(theta)
        return program.bind(padded[:0], padded)

    def step_cost(self, batch_size: int | None = None) -> Cost:
        """Two settings, whatever the batch and the number of weights; with noise 2 N + 1.

        Of the sparse form with noise 2 K + 1.
        """
        if batch_size is not None:
            _validation.integer("batch_size", batch_size, minimum=1)
        settings = 2 if self.chain is None else self.chain.settings_a_step
        return Cost(settings, settings * (self.executor.shots or 0), runs=settings)

    def _gate_count(self, device: BackendV2 | None) -> GateCount:
        counted = chain_count(self.program.num_index_qubits, self.program.columns)
        if device is None:
            return counted
        check_transpilable(counted.depth)
        return count_gates(self.circuit(synthesis="gates"), device)

    def _summary_notes(self) -> list[str]:
        if self.program.synthesis == "gates":
            return []
        return ["(that of the gates that hardware would run; the simulator is given one diagonal)"]

    def _look(self) -> Tensor:
        if self.chain is None:
            return super()._look()
        return self.chain.probabilities(self.deltas())

    def _read(self, known: Tensor | None) -> Float64[Tensor, " M"]:
        if self.chain is None:
            return super()._read(known)
        probabilities = self.chain.probabilities(self.deltas(), known)
        return self.chain.cosines(probabilities)[: self.num_weights]
