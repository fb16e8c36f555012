r"""The memory bridge: any network's weights as cosines of the angles of one circuit.

Weight ``k`` is :math:`w_k = w^0_k + \rho \cos\theta_k`, read from the memory circuit
(`hybridopt.circuits.memory`) with ``m + 1`` qubits for ``M <= 2^m`` weights. The module stores
:math:`\delta = \theta - \pi/2`, never :math:`\theta`, because :math:`\cos(\pi/2)` is not 0 in
floating point: :math:`w = w^0 - \rho\sin\delta`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float64
from qiskit import QuantumCircuit
from torch import Tensor, nn

from hybridopt import checks
from hybridopt.bridges.layout import WeightLayout
from hybridopt.bridges.network import QuantumNetwork
from hybridopt.circuits.memory import SYNTHESES, MemoryProgram, index_qubits
from hybridopt.errors import ConversionError
from hybridopt.execution import Cost, Executor, Probabilities
from hybridopt.gradients import GradientRule
from hybridopt.nn import CircuitReader, read_cosines

FORMS = ("residual", "full")
FULL_MARGIN = 1.5  # full form: the largest weight starts at sin(delta) = 2/3, away from the fold
LEAST_SCALE = 0.1  # a tensor of zeros (a new bias) shall be able to move, too


@dataclass(frozen=True)
class Memory:
    """Options of the memory bridge.

    Attributes:
        form: ``"residual"`` moves away from the given weights ``w0`` and starts exactly there;
            ``"full"`` holds the weights themselves, to about 1e-16 of the scale.
        synthesis: ``"diagonal"`` for fast simulation, ``"gates"`` for what hardware would run.
        scale: How far a weight can move (residual), or the largest weight that can be held (full):
            one number, a number for some tensors by name, or ``"auto"``: the root mean square of
            each tensor, at least 0.1; in full form at least 1.5 times its largest weight.
        fold: ``"epoch"`` lets `fit` fold after every epoch, so that weights can go anywhere; None
            leaves folding to the caller.
    """

    name: ClassVar[str] = "memory"

    form: str = "residual"
    synthesis: str = "diagonal"
    scale: str | float | Mapping[str, float] = "auto"
    fold: str | None = None

    def __post_init__(self) -> None:
        checks.choice("form", self.form, FORMS)
        checks.choice("synthesis", self.synthesis, SYNTHESES)
        check_scale(self.scale)
        if self.fold is not None:
            checks.choice("fold", self.fold, ("epoch",))
            if self.form == "full":
                raise ConversionError(
                    'fold="epoch" needs form="residual": the full form has no w0 to fold into.'
                )

    def encode(
        self, network: nn.Module, *, executor: Executor, gradient: GradientRule
    ) -> MemoryNetwork:
        """Carry a network into the memory circuit; the network is left as it is."""
        return MemoryNetwork(network, self, executor, gradient)


class MemoryNetwork(QuantumNetwork):
    """A network whose weights are read from the memory circuit at every forward pass.

    A training step takes two settings, one forward and one backward, whatever the number of
    weights and the batch. In `eval()` mode the weights are read once per change of the angles.
    With shots, the loss is that of noisy weights, and so is its gradient: the gradient of a
    noise-smoothed loss.
    """

    bridge_name = Memory.name

    def __init__(
        self, network: nn.Module, options: Memory, executor: Executor, gradient: GradientRule
    ) -> None:
        layout = WeightLayout(network)
        program = MemoryProgram(index_qubits(layout.num_weights), options.synthesis)  # type: ignore[arg-type]
        executor.check(program, Probabilities())
        scales = tensor_scales(layout, layout.tensors(network), options.form, options.scale)
        super().__init__(network, scales, keep_origin=options.form == "residual")
        self.options = options
        self.executor = executor
        self.gradient = gradient
        self.program = program
        self.fold_every_epoch = options.fold == "epoch"
        self.angles = nn.Parameter(initial_angles(layout, network, scales, options.form))
        self._last_read: tuple[Tensor, Tensor] | None = None

    @property
    def reader(self) -> CircuitReader:
        """What reads the cosines, with the executor that the network has now."""
        return CircuitReader(self.program, self.executor, self.gradient)

    def moves(self) -> Float64[Tensor, " M"]:
        """cos(theta) as Aer says it: afresh in training, once per change of the angles else."""
        if self.training or self.angles.is_meta:
            self._last_read = None
            return read_cosines(self.angles, self.reader)
        if self._last_read is None or not torch.equal(self._last_read[0], self.angles):
            with torch.no_grad():
                values = read_cosines(self.angles, self.reader)
            self._last_read = (self.angles.detach().clone(), values)
        return read_cosines(self.angles, self.reader, self._last_read[1])

    def exact_moves(self) -> Float64[Tensor, " M"]:
        """-sin(delta), 0 exactly where delta is."""
        return -torch.sin(self.angles)

    @torch.no_grad()
    def fold(self) -> None:
        """Move the trained weights into ``w0`` and set every angle back to its start.

        Raises:
            ConversionError: In full form, which has no ``w0``.
        """
        fold(self, self.options.form)

    @property
    def num_qubits(self) -> int:
        """Index qubits and one data qubit, m + 1."""
        return self.program.num_qubits

    @property
    def num_angles(self) -> int:
        """N = 2^m >= M, the angles of the circuit; the M of them that hold weights are trained."""
        return self.program.num_shared_angles

    def circuit(self, *, synthesis: str | None = None) -> QuantumCircuit:
        """The circuit at the present angles, to look at, transpile or export.

        Args:
            synthesis: ``"gates"`` or ``"diagonal"``; None is the one that is executed.
        """
        chosen = checks.choice("synthesis", synthesis or self.program.synthesis, SYNTHESES)
        program = MemoryProgram(self.program.num_index_qubits, chosen)  # type: ignore[arg-type]
        theta = torch.pi / 2 + self.angles.detach().cpu().numpy()
        padded = self.reader.padded(theta)
        return program.bind(padded[:0], padded)

    def step_cost(self, batch_size: int | None = None) -> Cost:
        """Two settings, whatever the batch and the number of weights."""
        if batch_size is not None:
            checks.integer("batch_size", batch_size, minimum=1)
        return Cost(settings=2, shots=2 * (self.executor.shots or 0), runs=2)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_last_read": None}


def check_scale(scale: object) -> None:
    """Refuse scales that are neither ``"auto"`` nor positive numbers."""
    if isinstance(scale, str):
        checks.choice("scale", scale, ("auto",))
    elif isinstance(scale, Mapping):
        for name, value in scale.items():
            checks.real(f"scale[{name!r}]", value, minimum=0, strict=True)
    else:
        checks.real("scale", scale, minimum=0, strict=True)


def tensor_scales(
    layout: WeightLayout,
    tensors: list[Tensor],
    form: str,
    scale: str | float | Mapping[str, float],
) -> list[float]:
    """One scale a weight tensor.

    Raises:
        UnknownNameError: If a name in ``scale`` is no weight tensor of the network.
        ConversionError: If, in full form, a given scale is smaller than a weight of its tensor.
    """
    given = scale if isinstance(scale, Mapping) else {}
    known = [name for slot in layout.slots for name in slot.names]
    for name in given:
        checks.choice("weight tensor in `scale`", name, known)
    scales = []
    for slot, tensor in zip(layout.slots, tensors, strict=True):
        values = tensor.double()
        largest = float(values.abs().max()) if values.numel() else 0.0
        natural = max(LEAST_SCALE, float(values.square().mean().sqrt()) if values.numel() else 0.0)
        automatic = max(FULL_MARGIN * largest, natural) if form == "full" else natural
        named = [float(given[name]) for name in slot.names if name in given]
        fixed = [float(scale)] if isinstance(scale, int | float) else named
        if fixed and form == "full" and fixed[0] < largest:
            raise ConversionError(
                f"The scale of `{slot.name}` is {fixed[0]:g}, smaller than its largest weight "
                f'{largest:g}, which the full form cannot hold. Raise it, or use scale="auto".'
            )
        scales.append(fixed[0] if fixed else automatic)
    return scales


def initial_angles(
    layout: WeightLayout, network: nn.Module, scales: list[float], form: str
) -> Float64[Tensor, " M"]:
    """The angles delta at the start [rad]: 0 in residual form, -arcsin(w / rho) in full form."""
    tensors = layout.tensors(network)
    if form == "residual":
        return torch.zeros(layout.num_weights, dtype=torch.float64, device=tensors[0].device)
    ratios = [tensor.double() / scale for tensor, scale in zip(tensors, scales, strict=True)]
    return -torch.arcsin(layout.join(ratios).clamp(-1, 1))


def fold(network: QuantumNetwork, form: str) -> None:
    """Set ``w0`` to the trained weights and the trainable numbers to zero."""
    if form == "full":
        raise ConversionError(
            'The full form has no w0 to fold into. Use form="residual" to fold weights.'
        )
    weights = network.weights(network.exact_moves())
    for origin, tensor in zip(network.origin.buffers(), weights, strict=True):
        origin.copy_(tensor)
    network.angles.zero_()
