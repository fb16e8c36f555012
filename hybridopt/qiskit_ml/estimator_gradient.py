"""The gradient of an EstimatorQNN on an executor of ours."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from qiskit.providers import Options
from qiskit.quantum_info.operators.base_operator import BaseOperator
from qiskit_machine_learning.algorithm_job import AlgorithmJob
from qiskit_machine_learning.gradients import BaseEstimatorGradient, EstimatorGradientResult

from hybridopt.execution import Executor, Expectations
from hybridopt.gradients import GradientRule
from hybridopt.qiskit_ml.estimator import AerEstimator
from hybridopt.qiskit_ml.grouping import Group, by_circuit, columns_of
from hybridopt.qiskit_ml.jacobian import Jacobian
from hybridopt.qiskit_ml.observables import as_pauli_sum, content
from hybridopt.qiskit_ml.programs import PreparedCircuits
from hybridopt.qiskit_ml.settings import checked_executor, checked_rule, refuse_options
from hybridopt.qiskit_ml.tables import tables_of


class AerEstimatorGradient(BaseEstimatorGradient):
    r"""Gradients of expectation values, all samples and observables of a batch as one job.

    It plugs into ``EstimatorQNN(gradient=AerEstimatorGradient())``. Any circuit that
    `CircuitLayer` takes will do, controlled rotations and products of parameters included.

    Args:
        executor: What runs the circuits; None is `AerExecutor()`, which is exact. Its shots and
            its noise are those of the gradient.
        gradient: ``"parameter-shift"``, ``"adjoint"`` (one run back for each observable),
            ``"spsa"``, or an instance.

    Attributes:
        executor: As given.
        gradient: The rule.

    Raises:
        ArgumentTypeError: If executor or gradient are something else.
        UnknownNameError: If there is no such rule.
        UnsupportedError: If gradient and executor do not go together.

    Example:
        >>> from hybridopt.qiskit_ml import AerEstimatorGradient
        >>> from qiskit.circuit.library import real_amplitudes
        >>> from qiskit_machine_learning.neural_networks import EstimatorQNN
        >>> ansatz = real_amplitudes(3, reps=1)
        >>> qnn = EstimatorQNN(
        ...     circuit=ansatz, weight_params=ansatz.parameters, gradient=AerEstimatorGradient()
        ... )
        >>> _, by_weights = qnn.backward(None, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
        >>> by_weights.shape
        (1, 1, 6)
    """

    def __init__(
        self, executor: Executor | None = None, gradient: str | GradientRule = "parameter-shift"
    ) -> None:
        self.executor = checked_executor(executor)
        self.gradient = checked_rule(gradient, self.executor)
        self._circuits = PreparedCircuits()
        super().__init__(AerEstimator(self.executor))

    def run(
        self,
        circuits: Sequence[QuantumCircuit] | QuantumCircuit,
        observables: Sequence[BaseOperator] | BaseOperator,
        parameter_values: Sequence[Sequence[float]] | np.ndarray,
        parameters: Sequence[Sequence[Parameter] | None] | None = None,
        **options: Any,
    ) -> AlgorithmJob:
        """Start the job; the arguments are those of `BaseEstimatorGradient.run`.

        Raises:
            CircuitError: If a circuit cannot be lowered.
            ArgumentError: If options are given; shots and seed are the executor's.
            ValueError: If the arguments do not fit together.
        """
        refuse_options(type(self).__name__, options)
        given = [circuits] if isinstance(circuits, QuantumCircuit) else circuits
        for circuit in {id(circuit): circuit for circuit in given}.values():
            self._circuits.of(circuit, self.executor)
        return super().run(circuits, observables, parameter_values, parameters)

    def _run(
        self,
        circuits: Sequence[QuantumCircuit],
        observables: Sequence[BaseOperator],
        parameter_values: Sequence[Sequence[float]] | np.ndarray,
        parameters: Sequence[Sequence[Parameter]],
        **options: Any,
    ) -> EstimatorGradientResult:
        values = [np.asarray(row, dtype=np.float64) for row in parameter_values]
        gradients: list[Any] = [None] * len(values)
        for group in by_circuit(circuits, parameters):
            self._differentiate(group, observables, values, gradients)
        metadata = [
            {"parameters": list(wanted), "shots": self.executor.shots} for wanted in parameters
        ]
        return EstimatorGradientResult(gradients=gradients, metadata=metadata, options=Options())

    def _differentiate(
        self,
        group: Group,
        observables: Sequence[BaseOperator],
        values: Sequence[np.ndarray],
        gradients: list[Any],
    ) -> None:
        prepared = self._circuits.of(group.circuit, self.executor)
        distinct = {id(observables[number]): observables[number] for number in group.requests}
        place = {identity: number for number, identity in enumerate(distinct)}
        paulis = [as_pauli_sum(op) for op in distinct.values()]
        for table in tables_of(
            [values[number] for number in group.requests],
            [place[id(observables[number])] for number in group.requests],
            exact=self.executor.shots is None,
        ):
            chosen = tuple(paulis[output] for output in table.outputs)
            readout = prepared.place(content(chosen), partial(Expectations, chosen))
            wanted = columns_of(prepared.parameters, group.parameters)
            jacobian = Jacobian(prepared, readout, self.executor, self.gradient, wanted)
            slopes = jacobian(table.values)
            for request, row, output in table.requests.tolist():
                gradients[group.requests[request]] = slopes[row, output]
