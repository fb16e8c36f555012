r"""A circuit dressed in two linear layers, and the same without a circuit."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.providers import BackendV2
from torch import Tensor, nn

from hybridopt import _validation
from hybridopt._modules import check_samples
from hybridopt.execution import Cost, Executor
from hybridopt.gradients import GradientRule
from hybridopt.nn.circuit_layer import CircuitLayer
from hybridopt.nn.summary import RunsCircuits, SummaryParts, layer_rows


class DressedModule(nn.Module):
    r"""Linear, a squashing into angles, n angles to n numbers, Linear.

    .. math::
        f(x) = W_2 \, q\left(\tfrac{\pi}{2} \tanh(W_1 x + b_1)\right) + b_2

    with W_1 and b_1 in ``pre``, q in ``layer``, W_2 and b_2 in ``post``.
    """

    def __init__(self, pre: nn.Linear, layer: nn.Module, post: nn.Linear) -> None:
        super().__init__()
        self.pre, self.layer, self.post = pre, layer, post

    @property
    def in_features(self) -> int:
        """Of the first linear layer."""
        return self.pre.in_features

    @property
    def out_features(self) -> int:
        """Of the last linear layer."""
        return self.post.out_features

    def forward(self, x: Tensor) -> Tensor:
        """Outputs ``(..., out_features)`` of x ``(..., in_features)``, in the layers' dtype.

        Raises:
            ArgumentError: If x has another width.
            ArgumentTypeError: If x is no tensor of real floating point numbers.
        """
        check_samples(x, self.in_features, f"a {type(self).__name__}", "feature")
        angles = torch.tanh(self.pre(x)) * (math.pi / 2)
        outputs: Tensor = self.post(self.layer(angles))
        return outputs


class DressedCircuit(DressedModule, RunsCircuits):
    r"""A variational circuit between two linear layers, as a network or as the head of one.

    .. math::
        f(x) = W_2 \, \langle Z_q \rangle_{q}\!\left(\tfrac{\pi}{2} \tanh(W_1 x + b_1)\right) + b_2

    with the expectation values of the Z of each of n qubits after H and RY of the angles, and
    ``depth`` layers of CX on the even pairs, CX on the odd pairs, and RY by a weight a qubit.

    Without shots it *is* the torch module of 3^n numbers a qubit that `hybridopt.to_classical`
    makes of it: each angle enters one rotation, so that the expectation values are a finite Fourier
    series.

    Args:
        in_features: Width of the input.
        out_features: Width of the output.
        num_qubits: n.
        depth: Layers of the circuit.
        executor: What runs the circuit, forward and for gradients; None is `AerExecutor()`.
        gradient: ``"parameter-shift"``, ``"adjoint"``, ``"spsa"``, or an instance.
        frozen: Keep the circuit's angles as they are drawn; only the linear layers are trained. The
            control that tells what the circuit's angles are good for.
        initial: Angles to start with, ``depth * n`` numbers, layer by layer; None draws them
            uniformly from [-pi, pi) by torch's generator. (The source starts near 0.)

    Attributes:
        pre: The first linear layer.
        layer: The `CircuitLayer`; ``layer.weight`` are its angles [rad].
        post: The last linear layer.

    Raises:
        ArgumentError: If a size is below 1, or `initial` does not fit.
        UnsupportedError: If gradient and executor do not go together.
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

    @property
    def num_qubits(self) -> int:
        """Of the circuit."""
        return self.layer.num_qubits

    def explain(self, batch_size: int | None = None) -> str:
        """How the circuits of a batch would be run, and what their gradient takes."""
        return self.layer.explain(batch_size)

    def step_cost(self, batch_size: int | None = None) -> Cost:
        """Settings, shots and runs of one forward and backward, as of its `CircuitLayer`."""
        trained = any(parameter.requires_grad for parameter in self.pre.parameters())
        return self.layer.step_cost(batch_size, input_gradient=trained or None)

    def circuits(self) -> Mapping[str, QuantumCircuit]:
        """The circuit at the present angles under the name ``"layer"``; its inputs are free."""
        return {"layer": self.layer.circuits()[""]}

    def extra_repr(self) -> str:
        """Sizes, and whether the angles are frozen."""
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, "
            f"num_qubits={self.num_qubits}, depth={self.depth}, frozen="
            f"{not self.layer.weight.requires_grad}"
        )

    def _summary_parts(self, device: BackendV2 | None, batch_size: int | None) -> SummaryParts:
        title = f"DressedCircuit of {self.in_features} inputs, {self.out_features} outputs"
        row = self.layer.summary_row(device, "layer", self.step_cost(batch_size))
        return title, layer_rows(self, {"layer": row}), ()


class DressedSurrogate(DressedModule):
    """What `hybridopt.to_classical` makes of a `DressedCircuit`: torch alone, the same numbers."""


def dressed(num_qubits: int, depth: int) -> tuple[QuantumCircuit, ParameterVector, ParameterVector]:
    """H and RY(input) on every qubit, then layers of CX and RY(weight).

    A layer entangles the pairs (0, 1), (2, 3), ..., then (1, 2), (3, 4), ..., and turns every
    qubit by a weight of its own. Returns circuit, inputs ``x`` and weights ``w``, layer by layer.
    """
    inputs = ParameterVector("x", num_qubits)
    weights = ParameterVector("w", num_qubits * depth)
    circuit = QuantumCircuit(num_qubits)
    circuit.h(range(num_qubits))
    for qubit, angle in enumerate(inputs):
        circuit.ry(angle, qubit)
    for layer in range(depth):
        for first in (0, 1):
            for control in range(first, num_qubits - 1, 2):
                circuit.cx(control, control + 1)
        for qubit in range(num_qubits):
            circuit.ry(weights[layer * num_qubits + qubit], qubit)
    return circuit, inputs, weights
