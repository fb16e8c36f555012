"""Gradients of an EstimatorQNN and of a SamplerQNN on an executor of ours."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from jaxtyping import Float64, Int64
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter, ParameterExpression
from qiskit.providers import Options
from qiskit.quantum_info.operators.base_operator import BaseOperator
from qiskit_machine_learning.algorithm_job import AlgorithmJob
from qiskit_machine_learning.gradients import (
    BaseEstimatorGradient,
    BaseSamplerGradient,
    EstimatorGradientResult,
    SamplerGradientResult,
)
from torch import Tensor
from torch.func import vmap

from hybridopt import _validation
from hybridopt._suggestions import explain_arguments
from hybridopt.circuits import CircuitProgram, lower
from hybridopt.circuits.observables import as_pauli_sum
from hybridopt.errors import ArgumentError
from hybridopt.execution import AerExecutor, Executor, Probabilities, StateExecutor, check_executor
from hybridopt.execution.placed_readout import PlacedReadout
from hybridopt.gradients import Adjoint, GradientRule, ParameterShift, create
from hybridopt.gradients.shifts import shifts_per_cell
from hybridopt.nn.evaluation import CircuitEvaluation
from hybridopt.qiskit_ml.compiled_circuits import CompiledCircuit, CompiledCircuits, as_tensor
from hybridopt.qiskit_ml.estimator import AerEstimator
from hybridopt.qiskit_ml.outcomes import DROPPED, Outcomes, outcomes_of, refuse_gaps
from hybridopt.qiskit_ml.requests import by_circuit, tables_of
from hybridopt.qiskit_ml.sampler import AerSampler

OUTPUTS_PER_CALL = 64  # cotangents of one call; their table has a row per output
Rows: TypeAlias = Any  # values of parameters: sequences or arrays, of sequences or arrays
Slopes: TypeAlias = Float64[np.ndarray, "K W"]
# output of each request, function for the readout of some outputs, result of a request
Questions: TypeAlias = tuple[
    list[int], Callable[[tuple[int, ...]], PlacedReadout], Callable[[Slopes, int], Any]
]


class _Plugin:
    """Executor and gradient rule that answer all requests for one circuit together."""

    _primitive: type[AerEstimator | AerSampler]

    @explain_arguments
    def __init__(
        self,
        executor: Executor | None = None,
        gradient: str | GradientRule = "parameter-shift",
        *,
        normalize: bool = False,
    ) -> None:
        self.executor = AerExecutor() if executor is None else check_executor(executor)
        self.gradient = create(gradient)
        self.gradient.check(lower(QuantumCircuit(1)), Probabilities(), self.executor)
        self.normalize = _validation.boolean("normalize", normalize)
        measured = self._primitive is AerSampler
        self._circuits = CompiledCircuits(measured=measured, normalize=normalize)
        options = {"exact": self.executor.shots is None} if measured else {}
        primitive = self._primitive(self.executor, normalize=normalize, **options)
        super().__init__(primitive)  # type: ignore[call-arg]

    def _compile(
        self,
        circuits: Sequence[QuantumCircuit] | QuantumCircuit,
        options: Mapping[str, object],
        check: Callable[[QuantumCircuit], object] = lambda _: None,
    ) -> None:
        """Check and lower the circuits before the job starts."""
        if options:
            owner = type(self).__name__
            raise ArgumentError(
                f"{owner}.run must have no options (got {', '.join(options)}). Set shots, seed and "
                f"noise in the executor: `{owner}(executor=AerExecutor(shots=...))`."
            )
        given = [circuits] if isinstance(circuits, QuantumCircuit) else circuits
        for circuit in {id(circuit): circuit for circuit in given}.values():
            check(circuit)
            self._circuits.of(circuit, self.executor)

    def _answers(
        self,
        circuits: Sequence[QuantumCircuit],
        parameter_values: Rows,
        parameters: Sequence[Iterable[Parameter]],
        ask: Callable[[CompiledCircuit, list[int]], Questions],
    ) -> dict[str, Any]:
        """Return the arguments of the result."""
        exact = self.executor.shots is None
        values = [np.asarray(row, dtype=np.float64) for row in parameter_values]
        gradients: list[Any] = [None] * len(values)
        for numbers in by_circuit(circuits, parameters):
            compiled = self._circuits.of(circuits[numbers[0]], self.executor)
            place_of = {one: place for place, one in enumerate(compiled.parameters)}
            columns = [place_of[one] for one in parameters[numbers[0]]]
            outputs, place, pick = ask(compiled, numbers)
            rows = [values[number] for number in numbers]
            for table in tables_of(rows, outputs, exact=exact):
                readout = place(table.outputs)
                slopes = _jacobian(compiled, readout, self.gradient, columns, table.values)
                for request, row, output in table.requests.tolist():
                    gradients[numbers[request]] = pick(slopes[row], output)
        shots = self.executor.shots
        metadata = [{"parameters": list(wanted), "shots": shots} for wanted in parameters]
        return {"gradients": gradients, "metadata": metadata, "options": Options()}


class AerEstimatorGradient(_Plugin, BaseEstimatorGradient):
    r"""Gradients of expectation values, all samples and observables of a batch as one job.

    Use it as ``EstimatorQNN(gradient=AerEstimatorGradient())``. It supports every circuit of
    `CircuitLayer`, also controlled rotations and products of parameters.

    Args:
        executor: Executor of the circuits with the shots and the noise of the gradient; None for
            `AerExecutor()`, which is exact.
        gradient: ``"parameter-shift"``, ``"adjoint"`` (one state per observable is taken back, many
            in one run), ``"spsa"``, or an instance.
        normalize: True divides amplitudes by their norm; False refuses another norm than 1.

    Raises:
        ArgumentTypeError: If ``executor`` or ``gradient`` is of another type.
        UnknownNameError: If no rule has the name ``gradient``.
        UnsupportedError: If the executor does not support the gradient.

    Example:
        >>> from hybridopt.qiskit_ml import AerEstimatorGradient
        >>> from qiskit.circuit.library import real_amplitudes
        >>> from qiskit_machine_learning.neural_networks import EstimatorQNN
        >>> ansatz = real_amplitudes(3, reps=1)
        >>> qnn = EstimatorQNN(
        ...     circuit=ansatz, weight_params=ansatz.parameters, gradient=AerEstimatorGradient()
        ... )
        >>> _, gradient = qnn.backward(None, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
        >>> gradient.shape
        (1, 1, 6)
    """

    _primitive = AerEstimator

    def run(
        self,
        circuits: Sequence[QuantumCircuit] | QuantumCircuit,
        observables: Sequence[BaseOperator] | BaseOperator,
        parameter_values: Rows,
        parameters: Sequence[Sequence[Parameter] | None] | None = None,
        **options: Any,
    ) -> AlgorithmJob:
        """Start the job; the arguments are those of `BaseEstimatorGradient.run`.

        Raises:
            CircuitError: If a circuit cannot be lowered.
            ArgumentError: If there are options; shots and seed are those of the executor.
            ValueError: If the arguments have different lengths.
        """
        self._compile(circuits, options)
        return super().run(circuits, observables, parameter_values, parameters)

    def _run(
        self,
        circuits: Sequence[QuantumCircuit],
        observables: Sequence[BaseOperator],
        parameter_values: Rows,
        parameters: Sequence[Iterable[Parameter]],
        **options: Any,
    ) -> EstimatorGradientResult:
        def ask(compiled: CompiledCircuit, numbers: list[int]) -> Questions:
            asked = [observables[number] for number in numbers]
            distinct = {id(one): one for one in asked}
            place = {identity: number for number, identity in enumerate(distinct)}
            paulis = [as_pauli_sum(one) for one in distinct.values()]

            def readout(outputs: tuple[int, ...]) -> PlacedReadout:
                return compiled.expectations(tuple(paulis[output] for output in outputs))

            return [place[id(one)] for one in asked], readout, lambda slopes, output: slopes[output]

        return EstimatorGradientResult(**self._answers(circuits, parameter_values, parameters, ask))


class AerSamplerGradient(_Plugin, BaseSamplerGradient):
    """Gradients of probabilities, all samples of a batch as one job.

    Use it as ``SamplerQNN(gradient=AerSamplerGradient())``, or in a `VQC` as
    ``vqc.neural_network.gradient = AerSamplerGradient()``.

    Args:
        executor: Executor of the circuits with the shots and the noise of the gradient; None for
            `AerExecutor()`, which is exact.
        gradient: ``"parameter-shift"``, ``"spsa"``, ``"adjoint"``, or an instance. ``"adjoint"``
            takes one state per outcome back, many in one run. Use it for few measured qubits and
            many weights, or use `from_qnn`, which needs one state per sample.
        normalize: True divides amplitudes by their norm; False refuses another norm than 1.

    Raises:
        ArgumentTypeError: If ``executor`` or ``gradient`` is of another type.
        UnknownNameError: If no rule has the name ``gradient``.
        UnsupportedError: If the executor does not support the gradient.

    Example:
        >>> from hybridopt.qiskit_ml import AerSamplerGradient
        >>> from qiskit.circuit.library import real_amplitudes
        >>> from qiskit_machine_learning.neural_networks import SamplerQNN
        >>> ansatz = real_amplitudes(3, reps=1)
        >>> qnn = SamplerQNN(
        ...     circuit=ansatz, weight_params=ansatz.parameters, gradient=AerSamplerGradient()
        ... )
        >>> _, gradient = qnn.backward(None, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
        >>> gradient.shape
        (1, 8, 6)
    """

    _primitive = AerSampler

    def run(
        self,
        circuits: Sequence[QuantumCircuit] | QuantumCircuit,
        parameter_values: Rows,
        parameters: Sequence[Sequence[Parameter] | None] | None = None,
        **options: Any,
    ) -> AlgorithmJob:
        """Start the job; the arguments are those of `BaseSamplerGradient.run`.

        Raises:
            CircuitError: If a circuit cannot be lowered, measures nothing, or has mid-circuit
                measurements.
            ArgumentError: If there are options; shots and seed are those of the executor.
            ValueError: If the arguments have different lengths.
        """
        self._compile(circuits, options, _outcomes)
        return super().run(circuits, list(parameter_values), parameters)

    def _run(
        self,
        circuits: Sequence[QuantumCircuit],
        parameter_values: Rows,
        parameters: Sequence[Iterable[Parameter]],
        **options: Any,
    ) -> SamplerGradientResult:
        def ask(compiled: CompiledCircuit, numbers: list[int]) -> Questions:
            outcomes = _outcomes(circuits[numbers[0]])
            measured = [compiled.physical.measured[bit] for bit in outcomes.bits]
            readout, keys = compiled.probabilities(measured), outcomes.keys
            return [0] * len(numbers), lambda _: readout, lambda slopes, _: _by_key(keys, slopes)

        return SamplerGradientResult(**self._answers(circuits, parameter_values, parameters, ask))


def _outcomes(circuit: QuantumCircuit) -> Outcomes:
    refuse_gaps(circuit)
    virtual = getattr(circuit.layout, "_input_qubit_count", None)  # as SamplerQNN counts them
    num_virtual_qubits = circuit.num_qubits if virtual is None else virtual
    return outcomes_of(circuit, num_virtual_qubits, squeezed=False)


def _by_key(
    keys: Int64[np.ndarray, " outcomes"], slopes: Float64[np.ndarray, "outcomes W"]
) -> list[dict[int, float]]:
    """Return the derivatives of the probability of each integer, one dict per parameter."""
    distinct, place = np.unique(keys, return_inverse=True)
    sums = np.zeros((len(distinct), slopes.shape[1]))
    np.add.at(sums, place, slopes)
    kept = distinct != DROPPED
    names = distinct[kept].tolist()
    return [dict(zip(names, column, strict=True)) for column in sums[kept].T.tolist()]


def _jacobian(
    compiled: CompiledCircuit,
    placed: PlacedReadout,
    rule: GradientRule,
    wanted: Sequence[int],
    values: Float64[np.ndarray, "N P"],
) -> Float64[np.ndarray, "N K W"]:
    """Return derivatives of K outputs with respect to W columns of a table of parameter values."""
    # Shift rules and SPSA are forward rules: one table of shifts is enough for all samples,
    # outputs and columns. A backward run takes each output back, many in one run.
    backward = rule.runs_backward
    executor, readout = compiled.executor, placed.readout
    lowered = compiled.lowered(values, placed.qubits, wanted if backward else ())
    executor.check(lowered.program, readout)
    rule.check(lowered.program, readout, executor)
    evaluation = CircuitEvaluation(lowered.program, readout, executor, rule)
    table = as_tensor(values)
    with torch.enable_grad():
        step = table.new_zeros(len(table), len(wanted), requires_grad=True)
        moved = table.index_add(1, torch.tensor(wanted, dtype=torch.long), step)
        asked = {compiled.parameters[column] for column in wanted}
        by_rows = _slopes(lowered.rows, moved, step, lowered.program.row_expressions, asked)
        by_shared = _slopes(lowered.shared, moved, step, lowered.program.shared_expressions, asked)
        if by_rows is None and by_shared is None:
            outputs = readout.num_outputs(lowered.program)
            return np.zeros((len(values), outputs, len(wanted)))
        rows, shared = lowered.rows(table), lowered.shared(table)
        if backward:
            assert by_rows is not None
            if isinstance(rule, ParameterShift):  # the program before columns became row angles
                plain = compiled.lowered(values, placed.qubits).program
                _count_shifts(plain, evaluation, asked, len(values))
            return _backward(evaluation, rows, shared, by_rows).numpy()
        slopes = by_rows, None if by_shared is None else by_shared[:1]
        along = vmap(
            lambda *tangents: rule.jvp(evaluation, rows, shared, tangents),
            in_dims=tuple(None if slope is None else -1 for slope in slopes),
            out_dims=-1,
        )
        return along(*slopes)[0].numpy()  # one row of shared angles


def _slopes(
    angles_of: Callable[[Tensor], Tensor],
    moved: Float64[Tensor, "N P"],
    step: Float64[Tensor, "N W"],
    expressions: Sequence[ParameterExpression],
    wanted: set[Parameter],
) -> Float64[Tensor, "N A W"] | None:
    """Return derivatives of the angles with respect to the wanted columns; None if all are 0."""
    if all(expression.parameters.isdisjoint(wanted) for expression in expressions):
        return None
    angles = angles_of(moved)
    # an angle depends only on its own row of steps: one vector product is enough for all rows
    each = torch.eye(angles.shape[1], dtype=torch.float64)[:, None, :].expand(-1, len(angles), -1)
    (found,) = torch.autograd.grad(angles, step, each, retain_graph=True, is_grads_batched=True)
    slopes: Tensor = found.movedim(0, 1)
    if not torch.isfinite(slopes).all():
        number = int((~torch.isfinite(slopes)).any(-1).any(0).nonzero()[0])
        raise ArgumentError(
            f"The derivative of angle `{expressions[number]}` must be finite at the parameter "
            "values (got inf or nan). Use other values."
        )
    return slopes


def _count_shifts(
    program: CircuitProgram, evaluation: CircuitEvaluation, wanted: set[Parameter], samples: int
) -> None:
    """Count the settings of the shift rules, which all outputs share."""
    of_rows, of_shared = (
        any(not one.parameters.isdisjoint(wanted) for one in expressions)
        for expressions in (program.row_expressions, program.shared_expressions)
    )
    executor = evaluation.executor
    assert isinstance(executor, StateExecutor)
    circuits = samples * shifts_per_cell(program, (of_rows, of_shared))
    executor.count_settings(program, evaluation.readout, circuits)


def _backward(
    evaluation: CircuitEvaluation,
    rows: Float64[Tensor, "N R"],
    shared: Float64[Tensor, "1 O"],
    by_rows: Float64[Tensor, "N R W"],
) -> Float64[Tensor, "N K W"]:
    needs = (True, False)
    memory = Adjoint().memory(evaluation, needs)
    if isinstance(evaluation.rule, Adjoint):
        evaluation.numbers(rows, shared, memory)
    # otherwise shifts are counted already, and hardware runs no circuit without a shift
    outputs = evaluation.readout.num_outputs(evaluation.program)
    result = torch.empty(len(rows), outputs, by_rows.shape[-1], dtype=torch.float64)
    tables = rows.numpy(), shared.numpy()
    for first in range(0, outputs, OUTPUTS_PER_CALL):
        some = range(first, min(first + OUTPUTS_PER_CALL, outputs))
        cotangents = np.zeros((len(some), 1, len(rows), outputs))
        cotangents[range(len(some)), :, :, some] = 1
        slopes, _ = memory.vjps(*tables, cotangents)
        result[:, some] = torch.einsum("enr,nrw->new", torch.from_numpy(slopes), by_rows)
    return result
