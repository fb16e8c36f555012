"""The gradient of a SamplerQNN on an executor of ours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from qiskit.providers import Options
from qiskit_machine_learning.algorithm_job import AlgorithmJob
from qiskit_machine_learning.gradients import BaseSamplerGradient, SamplerGradientResult

from hybridopt.execution import Executor
from hybridopt.execution.placed_readout import place_probabilities
from hybridopt.gradients import GradientRule
from hybridopt.qiskit_ml.grouping import Group, by_circuit, columns_of
from hybridopt.qiskit_ml.jacobian import Jacobian
from hybridopt.qiskit_ml.outcomes import DROPPED, Outcomes, outcomes_of, refuse_gaps
from hybridopt.qiskit_ml.programs import PreparedCircuits
from hybridopt.qiskit_ml.sampler import AerSampler
from hybridopt.qiskit_ml.settings import checked_executor, checked_rule, refuse_options
from hybridopt.qiskit_ml.tables import tables_of


class AerSamplerGradient(BaseSamplerGradient):
    """Gradients of probabilities, all samples of a batch as one job.

    It plugs into ``SamplerQNN(gradient=AerSamplerGradient())``, and into a `VQC` by
    ``vqc.neural_network.gradient = AerSamplerGradient()``.

    Args:
        executor: What runs the circuits; None is `AerExecutor()`, which is exact. Its shots and
            its noise are those of the gradient.
        gradient: ``"parameter-shift"``, ``"spsa"``, ``"adjoint"``, or an instance. The network
            asks for the derivative of every outcome, so that ``"adjoint"`` takes one run back for
            each: worth it for a few measured qubits and many weights. (`from_qnn` has no such
            limit.)

    Attributes:
        executor: As given.
        gradient: The rule.

    Raises:
        ArgumentTypeError: If executor or gradient are something else.
        UnknownNameError: If there is no such rule.
        UnsupportedError: If gradient and executor do not go together.

    Example:
        >>> from hybridopt.qiskit_ml import AerSamplerGradient
        >>> from qiskit.circuit.library import real_amplitudes
        >>> from qiskit_machine_learning.neural_networks import SamplerQNN
        >>> ansatz = real_amplitudes(3, reps=1)
        >>> qnn = SamplerQNN(
        ...     circuit=ansatz, weight_params=ansatz.parameters, gradient=AerSamplerGradient()
        ... )
        >>> _, by_weights = qnn.backward(None, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
        >>> by_weights.shape
        (1, 8, 6)
    """

    def __init__(
        self, executor: Executor | None = None, gradient: str | GradientRule = "parameter-shift"
    ) -> None:
        self.executor = checked_executor(executor)
        self.gradient = checked_rule(gradient, self.executor)
        self._circuits = PreparedCircuits(measured=True)
        super().__init__(AerSampler(self.executor))

    def run(
        self,
        circuits: Sequence[QuantumCircuit] | QuantumCircuit,
        parameter_values: Sequence[Sequence[float]] | np.ndarray,
        parameters: Sequence[Sequence[Parameter] | None] | None = None,
        **options: Any,
    ) -> AlgorithmJob:
        """Start the job; the arguments are those of `BaseSamplerGradient.run`.

        Raises:
            CircuitError: If a circuit cannot be lowered, measures nothing, or measures in its
                middle.
            ArgumentError: If options are given; shots and seed are the executor's.
            ValueError: If the arguments do not fit together.
        """
        refuse_options(type(self).__name__, options)
        given = [circuits] if isinstance(circuits, QuantumCircuit) else circuits
        for circuit in {id(circuit): circuit for circuit in given}.values():
            _outcomes(circuit)
            self._circuits.of(circuit, self.executor)
        return super().run(circuits, list(parameter_values), parameters)

    def _run(
        self,
        circuits: Sequence[QuantumCircuit],
        parameter_values: Sequence[Sequence[float]] | np.ndarray,
        parameters: Sequence[Sequence[Parameter]],
        **options: Any,
    ) -> SamplerGradientResult:
        values = [np.asarray(row, dtype=np.float64) for row in parameter_values]
        gradients: list[Any] = [None] * len(values)
        for group in by_circuit(circuits, parameters):
            self._differentiate(group, values, gradients)
        metadata = [
            {"parameters": list(wanted), "shots": self.executor.shots} for wanted in parameters
        ]
        return SamplerGradientResult(gradients=gradients, metadata=metadata, options=Options())

    def _differentiate(
        self, group: Group, values: Sequence[np.ndarray], gradients: list[Any]
    ) -> None:
        prepared = self._circuits.of(group.circuit, self.executor)
        outcomes = _outcomes(group.circuit)
        qubits = [prepared.physical.measured[bit] for bit in outcomes.bits]
        readout = prepared.readout(
            "measured", lambda: place_probabilities(prepared.physical, qubits)
        )
        wanted = columns_of(prepared.parameters, group.parameters)
        jacobian = Jacobian(prepared, readout, self.executor, self.gradient, wanted)
        rows = [values[number] for number in group.requests]
        for table in tables_of(rows, [0] * len(rows), exact=self.executor.shots is None):
            slopes = jacobian(table.values)
            for request, row, _ in table.requests.tolist():
                gradients[group.requests[request]] = _by_key(outcomes.keys, slopes[row])


def _outcomes(circuit: QuantumCircuit) -> Outcomes:
    refuse_gaps(circuit)
    virtual = getattr(circuit.layout, "_input_qubit_count", None)  # as SamplerQNN counts them
    num_virtual_qubits = circuit.num_qubits if virtual is None else virtual
    return outcomes_of(circuit, num_virtual_qubits, squeezed=False)


def _by_key(
    keys: Int64[np.ndarray, " outcomes"], slopes: Float64[np.ndarray, "outcomes W"]
) -> list[dict[int, float]]:
    """For each parameter the derivative of the probability of each integer."""
    distinct, place = np.unique(keys, return_inverse=True)
    sums = np.zeros((len(distinct), slopes.shape[1]))
    np.add.at(sums, place, slopes)
    kept = distinct != DROPPED
    names = distinct[kept].tolist()
    return [dict(zip(names, column, strict=True)) for column in sums[kept].T.tolist()]
