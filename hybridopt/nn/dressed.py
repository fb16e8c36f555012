"""A circuit between two linear layers, and its torch form."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.circuit.library import real_amplitudes
from qiskit.providers import BackendV2
from torch import Tensor, fx, nn

from hybridopt import _validation
from hybridopt._modules import check_samples
from hybridopt.execution import Cost, Executor
from hybridopt.gradients import GradientRule
from hybridopt.nn.circuit_layer import CircuitLayer
from hybridopt.nn.graph_capture import outside_graphs
from hybridopt.nn.summary import RunsCircuits, SummaryParts, layer_rows

fx.wrap("check_samples")  # runs in graphs of torch.fx


class DressedModule(nn.Module):
    """Linear layer ``pre``, tanh to angles, ``layer``, linear layer ``post``."""

    def __init__(self, pre: nn.Linear, layer: nn.Module, post: nn.Linear) -> None:
        super().__init__()
        self.pre, self.layer, self.post = pre, layer, post

    @property
    def in_features(self) -> int:
        """Number of inputs."""
        return self.pre.in_features

    @property
    def out_features(self) -> int:
        """Number of outputs."""
        return self.post.out_features

    def forward(self, x: Tensor) -> Tensor:
        """Return outputs ``(..., out_features)`` of x ``(..., in_features)``.

        Raises:
            ArgumentError: If x has another width.
            ArgumentTypeError: If x is not a tensor of real floating point numbers.
        """
        if not torch.jit.is_scripting():  # type: ignore[attr-defined]
            check_samples(x, self.in_features, f"a {type(self).__name__}", "feature")
        angles = torch.tanh(self.pre(x)) * (math.pi / 2)
        outputs: Tensor = self.post(self.layer(angles))
        return outputs


class DressedCircuit(DressedModule, RunsCircuits):
    r"""A variational circuit between two linear layers, as a network or as a head.

    .. math::
        f(x) = W_2 \, \langle Z_q \rangle_{q}\!\left(\tfrac{\pi}{2} \tanh(W_1 x + b_1)\right) + b_2

    with the expectation value of Z on each of n qubits. The circuit applies H and RY(angle) to
    every qubit. Each of ``depth`` layers applies CX to even pairs, CX to odd pairs, and RY(weight)
    to every qubit.

    Each angle enters one rotation, so expectation values are a finite Fourier series. Without
    shots the module therefore equals its form from `hybridopt.to_classical`, which has 3^n
    coefficients per qubit.

    Args:
        in_features: Number of inputs.
        out_features: Number of outputs.
        num_qubits: Number of qubits n.
        depth: Number of layers of the circuit.
        executor: Executor of all circuits, forward and for gradients; default `AerExecutor()`.
        gradient: ``"parameter-shift"``, ``"adjoint"``, ``"spsa"``, or an instance.
        frozen: True to train only the linear layers. This is the control that shows the effect of
            trained angles.
        initial: Initial angles, ``depth * n`` numbers, layer by layer; None draws them uniformly
            from [-pi, pi) with the torch generator. (Mari et al. start near 0.)

    Attributes:
        pre: First linear layer.
        layer: The `CircuitLayer`; ``layer.weight`` holds its angles [rad].
        post: Last linear layer.

    Raises:
        ArgumentError: If a size is below 1, or `initial` has another shape.
        UnsupportedError: If the gradient rule does not support the executor.
        ResourceError: If the circuit does not fit into memory.

    References:
        Mari et al., Quantum 4, 340 (2020), arXiv:1912.08278.

    Example:
        >>> import torch
        >>> from hybridopt import DressedCircuit
        >>> head = DressedCircuit(64, 10, num_qubits=4, depth=3)
        >>> head(torch.rand(32, 64)).shape
        torch.Size([32, 10])
    """

    layer: CircuitLayer

    def __init__(
        self,
        in_features: int,
        out_features: int,
        num_qubits: int = 4,
        depth: int = 3,
        *,
        executor: Executor | None = None,
        gradient: str | GradientRule = "parameter-shift",
        frozen: bool = False,
        initial: Tensor | Sequence[float] | None = None,
    ) -> None:
        sizes = {"in_features": in_features, "out_features": out_features}
        for name, size in {**sizes, "num_qubits": num_qubits, "depth": depth}.items():
            _validation.integer(name, size, minimum=1)
        _validation.boolean("frozen", frozen)
        circuit, inputs, weights = dressed(num_qubits, depth)
        observables = ["I" * (num_qubits - 1 - q) + "Z" + "I" * q for q in range(num_qubits)]
        layer = CircuitLayer(circuit, inputs, weights, observables, executor, gradient, initial)
        layer.weight.requires_grad_(not frozen)
        pre, post = nn.Linear(in_features, num_qubits), nn.Linear(num_qubits, out_features)
        super().__init__(pre, layer, post)
        self.depth = depth

    @outside_graphs
    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs of every sample; see `DressedModule.forward`."""
        return super().forward(x)

    @property
    def num_qubits(self) -> int:
        """Number of qubits."""
        return self.layer.num_qubits

    def explain(self, batch_size: int | None = None) -> str:
        """Return the plan for the circuits of a batch; see `RunsCircuits.explain`."""
        return self.layer.explain(batch_size)

    def step_cost(self, batch_size: int | None = None) -> Cost:
        """Return the cost of one forward and backward pass; see `RunsCircuits.step_cost`."""
        trained = any(parameter.requires_grad for parameter in self.pre.parameters())
        return self.layer.step_cost(batch_size, input_gradient=trained or None)

    def circuits(self) -> Mapping[str, QuantumCircuit]:
        """Return the circuit with its current angles and free inputs as ``"layer"``."""
        return {"layer": self.layer.circuits()[""]}

    def extra_repr(self) -> str:
        """Return sizes and ``frozen``."""
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, "
            f"num_qubits={self.num_qubits}, depth={self.depth}, frozen="
            f"{not self.layer.weight.requires_grad}"
        )

    def _summary_parts(self, device: BackendV2 | None, batch_size: int | None) -> SummaryParts:
        title = f"DressedCircuit with {self.in_features} inputs, {self.out_features} outputs"
        row = self.layer.summary_row(device, "layer", self.step_cost(batch_size))
        return title, layer_rows(self, {"layer": row}), ()


class DressedSurrogate(DressedModule):
    """Exact torch form of a `DressedCircuit`, made by `hybridopt.to_classical`."""


def dressed(num_qubits: int, depth: int) -> tuple[QuantumCircuit, ParameterVector, ParameterVector]:
    """Return the dressed circuit, its inputs ``x`` and its weights ``w``, layer by layer.

    A layer entangles the pairs (0, 1), (2, 3), ..., then (1, 2), (3, 4), ...
    """
    inputs = ParameterVector("x", num_qubits)
    weights = ParameterVector("w", num_qubits * depth)
    circuit = QuantumCircuit(num_qubits)
    circuit.h(range(num_qubits))
    layers = real_amplitudes(num_qubits, "pairwise", reps=depth)
    circuit.compose(layers.assign_parameters([*inputs, *weights]), inplace=True)
    return circuit, inputs, weights
