"""A circuit layer whose outputs are sums of probabilities."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Int64
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from torch import Tensor

from hybridopt.circuits.lowering import check_parameters
from hybridopt.circuits.physical import PhysicalCircuit
from hybridopt.execution import Executor, Probabilities
from hybridopt.execution.placed_readout import PlacedReadout, place_probabilities
from hybridopt.gradients import GradientRule
from hybridopt.nn import CircuitLayer


class InterpretedLayer(CircuitLayer):
    """Measured outcomes, interpreted: what a SamplerQNN returns.

    Output k is the probability of all outcomes that the interpret function takes to k. The
    function itself is not kept, so that the layer can be pickled whatever it was.

    Args:
        circuit: As in `CircuitLayer`, but it may have measurements at its end; the parameters, the
            executor, the gradient rule and the initial weights are as there.
        input_parameters: I parameters that samples bring.
        weight_parameters: P parameters that are trained.
        qubits: Qubits that are read, the first the least significant bit of the outcome. If the
            circuit has measurements, the classical bits that are read.
        index: For each outcome the output that it counts for, -1 for none.
        output_shape: The layer returns ``(..., *output_shape)``.
        executor: What runs the circuits, forward and for gradients.
        gradient: Name or instance of a rule.
        initial: Weights to start with, shape ``(P,)``.

    Attributes:
        output_shape: As given.

    Example:
        >>> import torch, hybridopt as ho
        >>> from qiskit.circuit.library import real_amplitudes, zz_feature_map
        >>> from qiskit_machine_learning.neural_networks import SamplerQNN
        >>> features, ansatz = zz_feature_map(2), real_amplitudes(2)
        >>> qnn = SamplerQNN(
        ...     circuit=features.compose(ansatz), input_params=features.parameters,
        ...     weight_params=ansatz.parameters, interpret=lambda k: k % 2, output_shape=2,
        ... )
        >>> layer = ho.from_qnn(qnn)
        >>> type(layer).__name__, layer.output_shape, layer(torch.rand(5, 2)).shape
        ('InterpretedLayer', (2,), torch.Size([5, 2]))
    """

    outcome_index: Tensor

    def __init__(
        self,
        circuit: QuantumCircuit,
        input_parameters: Sequence[Parameter],
        weight_parameters: Sequence[Parameter],
        qubits: tuple[int, ...],
        index: Int64[np.ndarray, " outcomes"],
        output_shape: tuple[int, ...],
        executor: Executor | None = None,
        gradient: str | GradientRule = "parameter-shift",
        initial: Tensor | Sequence[float] | None = None,
    ) -> None:
        super().__init__(
            circuit,
            input_parameters,
            weight_parameters,
            Probabilities(qubits),
            executor,
            gradient,
            initial,
        )
        self.output_shape = output_shape
        size = int(np.prod(output_shape))
        places = torch.from_numpy(np.where(index < 0, size, index))  # one more for what is left out
        self.register_buffer("outcome_index", places, persistent=False)

    @property
    def out_features(self) -> int:
        """The product of `output_shape`."""
        return int(np.prod(self.output_shape))

    def forward(self, x: Tensor) -> Tensor:
        """Outputs of every sample.

        Args:
            x: Shape ``(..., I)``, real floating point.

        Returns:
            Shape ``(..., *output_shape)``, in the dtype of x.

        Raises:
            ArgumentError: If x has another width, or an angle is NaN or infinite.
            ArgumentTypeError: If x is no tensor of real floating point numbers.
        """
        self._check(x)
        probabilities = super().forward(x.double())
        sums = probabilities.new_zeros(*x.shape[:-1], self.out_features + 1)
        sums = sums.index_add(-1, self.outcome_index, probabilities)
        return sums[..., :-1].reshape(*x.shape[:-1], *self.output_shape).to(x.dtype)

    def _check_circuit(self) -> None:
        check_parameters(self.circuit, self.input_parameters, self.weight_parameters)

    def _place_readout(self, physical: PhysicalCircuit) -> PlacedReadout:
        if not physical.measured:
            return super()._place_readout(physical)
        assert isinstance(self.readout, Probabilities)
        bits = self.readout.qubits or ()
        return place_probabilities(physical, [physical.measured[bit] for bit in bits])

    def extra_repr(self) -> str:
        """Sizes and rule."""
        return f"{super().extra_repr()}, output_shape={self.output_shape}"
