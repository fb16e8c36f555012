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
from hybridopt.circuits.observables import as_pauli_sum
from hybridopt.errors import ArgumentTypeError, UnsupportedError
from hybridopt.execution import Executor, Probabilities
from hybridopt.gradients import GradientRule
from hybridopt.nn import CircuitLayer
from hybridopt.qiskit_ml.outcomes import outcomes_of, output_index

if TYPE_CHECKING:
    from qiskit_machine_learning.connectors import TorchConnector
    from qiskit_machine_learning.neural_networks import NeuralNetwork
else:
    NeuralNetwork = TorchConnector = Any  # annotations need the names; the package loads later


def from_qnn(
    qnn: NeuralNetwork | TorchConnector,
    *,
    executor: Executor | None = None,
    gradient: str | GradientRule = "parameter-shift",
    initial: Tensor | np.ndarray | Sequence[float] | None = None,
    normalize: bool = False,
    pad_with: float | None = None,
) -> CircuitLayer:
    """Return the network as a `CircuitLayer` with the same inputs, weights and outputs, in order.

    The layer does not use the primitive, the precision and the shots of the network. The executor
    runs forward and backward pass; the default is exact. Gradients with respect to inputs are
    computed if the input requires them.

    An EstimatorQNN has one output per observable. The outputs of a SamplerQNN are interpreted
    probabilities of its final measurements, shape ``(..., *output_shape)``. The layer differs from
    a SamplerQNN in two ways. It always has the outputs of each sample; a SamplerQNN whose register
    is not named ``meas`` can return the mean over the batch. If a measured circuit was transpiled,
    the classical bits keep their order; the SamplerQNN permutes them (qiskit-machine-learning issue
    1040).

    Args:
        qnn: EstimatorQNN, SamplerQNN, or TorchConnector with a network and its weights.
        executor: Executor of the circuits, forward and backward; None for `AerExecutor()`.
        gradient: ``"parameter-shift"``, ``"adjoint"``, ``"spsa"``, or an instance.
        initial: Initial weights, shape ``(num_weights,)``. If None, those of the TorchConnector, or
            random weights as in `CircuitLayer`.
        normalize: Whether amplitudes are divided by their norm. If False, it must be 1.
        pad_with: Value of missing amplitudes; None rejects shorter inputs.

    Returns:
        Layer for inputs of shape ``(..., num_inputs)``.

    Raises:
        ArgumentTypeError: If ``qnn`` is of another type.
        CircuitError: If the circuit cannot be differentiated, or has mid-circuit measurements.
        ArgumentError: If ``interpret`` returns no index into the output shape, or an observable is
            not Hermitian or acts on other qubits.
        UnsupportedError: If the network is sparse, or the executor does not support the gradient.

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
        return from_qnn(
            qnn.neural_network,
            executor=executor,
            gradient=gradient,
            initial=weights,
            normalize=normalize,
            pad_with=pad_with,
        )
    start = None if initial is None else torch.as_tensor(initial)
    options: dict[str, Any] = {"executor": executor, "gradient": gradient, "initial": start}
    options |= {"normalize": normalize, "pad_with": pad_with}
    if isinstance(qnn, EstimatorQNN):
        circuit = without_measurements(qnn.circuit)[0]
        observables = [as_pauli_sum(given) for given in qnn.observables]
        parameters = qnn.input_params or (), qnn.weight_params or ()
        return CircuitLayer(circuit, *parameters, observables, **options)
    if isinstance(qnn, SamplerQNN):
        return _from_sampler(qnn, options)
    hint = ""
    if hasattr(qnn, "neural_network"):  # a VQC, or another model
        hint = " Pass its `neural_network`; after a fit, its weights with `initial=model.weights`."
    raise ArgumentTypeError(
        "`qnn` must be an EstimatorQNN, a SamplerQNN or a TorchConnector of "
        f"qiskit-machine-learning (got {type(qnn).__name__}).{hint}"
    )


def _from_sampler(qnn: Any, options: dict[str, Any]) -> InterpretedLayer:
    from qiskit_machine_learning.primitives import QMLSampler

    if qnn.sparse:
        raise UnsupportedError(
            "The SamplerQNN must be dense, as a CircuitLayer returns dense tensors (got "
            "sparse=True). Create it with `sparse=False`."
        )
    circuit, shape = _measured(qnn.circuit), tuple(qnn.output_shape)
    # without shots, QMLSampler leaves out unmeasured classical bits
    squeezed = isinstance(qnn.sampler, QMLSampler) and qnn.sampler.options.default_shots is None
    outcomes = outcomes_of(circuit, qnn.num_virtual_qubits, squeezed=squeezed)
    index = output_index(outcomes.keys, qnn.interpret or int, shape)
    parameters = qnn.input_params, qnn.weight_params
    return InterpretedLayer(circuit, *parameters, outcomes.bits, index, shape, **options)


def _measured(circuit: QuantumCircuit) -> QuantumCircuit:
    """Return the circuit with all qubits measured in the order before transpilation."""
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
    """Circuit layer whose outputs are sums of probabilities, as those of a SamplerQNN.

    Output k is the probability of all outcomes with ``interpret(outcome) == k``. The layer does not
    keep the function, so it can be pickled. All other arguments are those of `CircuitLayer`.

    Args:
        circuit: Circuit, which may have final measurements.
        qubits: Qubits to read, or classical bits if the circuit has measurements; the first is the
            least significant bit of the outcome.
        index: Output of each outcome, -1 for none.
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
