"""A circuit layer whose outputs are sums of probabilities."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Int64
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from torch import Tensor

from hybridopt.execution import Executor, Probabilities
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

    output_shape: tuple[int, ...]

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
        *,
        normalize: bool = False,
        pad_with: float | None = None,
    ) -> None:
        self.output_shape = output_shape
        readout = Probabilities(qubits)
        given = circuit, input_parameters, weight_parameters, readout, executor, gradient, initial
        super().__init__(*given, normalize=normalize, pad_with=pad_with)
        places = np.where(index < 0, self.out_features, index)
        self.register_buffer("outcome_index", torch.from_numpy(places), persistent=False)
