"""Networks of qiskit-machine-learning as circuit layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Int64
from qiskit import ClassicalRegister, QuantumCircuit
from qiskit.circuit import Parameter
from torch import Tensor

from hybridopt.circuits.instructions import without_measurements
from hybridopt.errors import ArgumentTypeError, UnsupportedError
from hybridopt.execution import Executor, Probabilities
from hybridopt.gradients import GradientRule
from hybridopt.nn import CircuitLayer
from hybridopt.qiskit_ml.observables import as_pauli_sum
from hybridopt.qiskit_ml.outcomes import outcomes_of, output_index

if TYPE_CHECKING:
    from qiskit_machine_learning.connectors import TorchConnector
    from qiskit_machine_learning.neural_networks import NeuralNetwork
else:
    NeuralNetwork = TorchConnector = Any  # annotations may name them, and the package still waits


def from_qnn(
    qnn: NeuralNetwork | TorchConnector,
    *,
    executor: Executor | None = None,
    gradient: str | GradientRule = "parameter-shift",
    initial: Tensor | np.ndarray | Sequence[float] | None = None,
) -> CircuitLayer:
    """Return the network as a `CircuitLayer` with the same inputs, weights and outputs, in order.

    The primitive of the network, its precision and its shots are left behind: the executor
    governs forward and gradient alike, and by default it is exact. Gradients by inputs flow
    whenever the input requires them, whatever ``input_gradients`` says.

    An EstimatorQNN gives one output for each observable. A SamplerQNN gives the interpreted
    probabilities of what its circuit measures at the end, shaped ``(..., *output_shape)``; where
    a register has another name than ``meas``, it gives every sample its own outputs (the SamplerQNN
    mixes the samples of a batch). Of a circuit that was measured and then transpiled, the outputs
    follow the order of the classical bits, as before transpiling; the SamplerQNN itself takes the
    bits of the layout instead and mixes them up (qiskit-machine-learning issue 1040).

    Args:
        qnn: An EstimatorQNN or SamplerQNN, or a TorchConnector with the network and its weights.
        executor: What runs the circuits, forward and for gradients; None is `AerExecutor()`.
        gradient: ``"parameter-shift"``, ``"adjoint"``, ``"spsa"``, or an instance.
        initial: Weights to start with, shape ``(num_weights,)``; None takes those of a
            TorchConnector, and else draws them as `CircuitLayer` does.

    Returns:
        A layer that takes ``(..., num_inputs)``.

    Raises:
        ArgumentTypeError: If it is something else.
        CircuitError: If the circuit cannot be differentiated, or measures in its middle.
        ArgumentError: If an interpret function leaves the output shape, or an observable is not
            Hermitian or on other qubits.
        UnsupportedError: If the network is sparse, or gradient and executor do not go together.

    Example:
        >>> from hybridopt import from_qnn
        >>> import torch
        >>> from qiskit.circuit.library import real_amplitudes, zz_feature_map
        >>> from qiskit_machine_learning.circuit.library import qnn_circuit
        >>> from qiskit_machine_learning.neural_networks import SamplerQNN
        >>> circuit, inputs, weights = qnn_circuit(
        ...     feature_map=zz_feature_map(3), ansatz=real_amplitudes(3, reps=1)
        ... )
        >>> qnn = SamplerQNN(
        ...     circuit=circuit,
        ...     input_params=inputs,
        ...     weight_params=weights,
        ...     interpret=lambda outcome: outcome.bit_count() % 2,
        ...     output_shape=2,
        ... )
        >>> layer = from_qnn(qnn)
        >>> layer(torch.rand(32, 3)).shape
        torch.Size([32, 2])
    """
    from qiskit_machine_learning.connectors import TorchConnector
    from qiskit_machine_learning.neural_networks import EstimatorQNN, SamplerQNN

    if isinstance(qnn, TorchConnector):
        weights = qnn.weight if initial is None else initial
        return from_qnn(qnn.neural_network, executor=executor, gradient=gradient, initial=weights)
    start = None if initial is None else torch.as_tensor(initial)
    options: dict[str, Any] = {"executor": executor, "gradient": gradient, "initial": start}
    if isinstance(qnn, EstimatorQNN):
        circuit = without_measurements(qnn.circuit)[0]
        observables = [as_pauli_sum(given) for given in qnn.observables]
        parameters = qnn.input_params or (), qnn.weight_params or ()
        return CircuitLayer(circuit, *parameters, observables, **options)
    if isinstance(qnn, SamplerQNN):
        return _from_sampler(qnn, options)
    hint = " Pass its `neural_network`." if hasattr(qnn, "neural_network") else ""
    raise ArgumentTypeError(
        "Argument `qnn` must be an EstimatorQNN, a SamplerQNN or a TorchConnector of "
        f"qiskit-machine-learning, but is of type {type(qnn).__name__}.{hint}"
    )


def _from_sampler(qnn: Any, options: dict[str, Any]) -> InterpretedLayer:
    from qiskit_machine_learning.primitives import QMLSampler

    if qnn.sparse:
        raise UnsupportedError(
            "The SamplerQNN has sparse=True, but a CircuitLayer returns dense tensors. Build it "
            "with sparse=False."
        )
    circuit, shape = _measured(qnn.circuit), tuple(qnn.output_shape)
    # without shots, QMLSampler leaves classical bits out that nothing is measured into
    squeezed = isinstance(qnn.sampler, QMLSampler) and qnn.sampler.options.default_shots is None
    outcomes = outcomes_of(circuit, qnn.num_virtual_qubits, squeezed=squeezed)
    index = output_index(outcomes.keys, qnn.interpret or int, shape)
    parameters = qnn.input_params, qnn.weight_params
    return InterpretedLayer(circuit, *parameters, outcomes.bits, index, shape, **options)


def _measured(circuit: QuantumCircuit) -> QuantumCircuit:
    """Return the circuit with all qubits measured, as before a transpiler placed them."""
    if circuit.clbits:
        return circuit
    if circuit.layout is None:
        return circuit.measure_all(inplace=False)
    places = circuit.layout.final_index_layout(filter_ancillas=True)
    measured = circuit.copy()
    register = ClassicalRegister(len(places), "meas")
    measured.add_register(register)
    measured.measure(places, register)
    return measured


class InterpretedLayer(CircuitLayer):
    """Measured outcomes, interpreted: what a SamplerQNN returns.

    Output k is the probability of all outcomes that the interpret function takes to k. The
    function itself is not kept, so that the layer can be pickled whatever it was.

    All other arguments are those of `CircuitLayer`.

    Args:
        circuit: Circuit, which may have measurements at its end.
        qubits: Qubits that are read, the first the least significant bit of the outcome. If the
            circuit has measurements, the classical bits that are read.
        index: Output that each outcome counts for, -1 for none.
        output_shape: Shape of one output; the layer returns ``(..., *output_shape)``.

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
    ) -> None:
        self.output_shape = output_shape
        readout = Probabilities(qubits)
        given = circuit, input_parameters, weight_parameters, readout, executor, gradient, initial
        super().__init__(*given)
        places = np.where(index < 0, self.out_features, index)
        self.register_buffer("outcome_index", torch.from_numpy(places), persistent=False)
