"""Qiskit's estimator primitive on an executor of hybridopt."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Float64
from qiskit.primitives import BaseEstimatorV2, DataBin, PrimitiveJob, PrimitiveResult, PubResult
from qiskit.primitives.containers.estimator_pub import EstimatorPub
from qiskit.providers import Options
from qiskit.quantum_info import SparsePauliOp

from hybridopt import _validation
from hybridopt.circuits.observables import as_pauli_sum
from hybridopt.errors import ArgumentError
from hybridopt.execution import AerExecutor, Executor, check_executor
from hybridopt.qiskit_ml.compiled_circuits import (
    CompiledCircuit,
    CompiledCircuits,
    refuse_padding,
    table_of,
)
from hybridopt.qiskit_ml.observables import with_layout
from hybridopt.qiskit_ml.requests import PubLike, start_job, tables_of

ROUNDING = 1e-9  # the precision 1 / sqrt(shots) needs exactly these shots


class AerEstimator(BaseEstimatorV2):  # type: ignore[misc]
    r"""Estimator that runs all parameter sets and observables of a circuit as one job.

    The forward pass of ``EstimatorQNN(estimator=AerEstimator())`` is one job per batch; Qiskit's
    reference estimators simulate sample by sample. Without shots, values are exact and standard
    errors are 0. With shots, each setting takes the shots of the executor, and observables at the
    same parameter values share them, as in `CircuitLayer`. The standard error is that of the sum
    of Pauli strings: it includes the covariances of strings in one measurement basis. (Qiskit's
    `BackendEstimatorV2` adds the errors of all strings.)

    Args:
        executor: Executor of the circuits; None for `AerExecutor()`, which is exact.
        normalize: True divides amplitudes by their norm; False refuses another norm than 1.
        pad_with: Must be None, because a pub has a value for every amplitude.

    Raises:
        ArgumentTypeError: If ``executor`` is of another type.

    Example:
        >>> from hybridopt.qiskit_ml import AerEstimator
        >>> from qiskit import QuantumCircuit
        >>> circuit = QuantumCircuit(3)
        >>> _ = circuit.h(0), circuit.cx(0, 1), circuit.cx(1, 2)
        >>> result = AerEstimator().run([(circuit, ["ZZI", "XXX", "IIZ"])]).result()[0]
        >>> result.data.evs.round(12).tolist()
        [1.0, 1.0, 0.0]
    """

    def __init__(
        self,
        executor: Executor | None = None,
        *,
        normalize: bool = False,
        pad_with: float | None = None,
    ) -> None:
        self.executor = AerExecutor() if executor is None else check_executor(executor)
        self.options = Options(shots=self.executor.shots)
        self.normalize = _validation.boolean("normalize", normalize)
        refuse_padding(pad_with)
        self._circuits = CompiledCircuits(normalize=normalize)

    def run(
        self, pubs: Iterable[PubLike], *, precision: float | None = None
    ) -> PrimitiveJob[PrimitiveResult[PubResult]]:
        """Start a job.

        Args:
            pubs: Circuits, observables and parameter values.
            precision: Precision of pubs without one; None for the precision of the shots.

        Raises:
            CircuitError: If a circuit cannot be lowered.
            ArgumentError: If a precision needs more shots, 1 / precision^2, than the executor has.
        """
        _validation.optional_real("precision", precision, minimum=0)
        coerced = [EstimatorPub.coerce(with_layout(pub), precision) for pub in pubs]
        for pub in coerced:
            self._check_precision(pub.precision)
            self._circuits.of(pub.circuit, self.executor)
        return start_job(coerced, self._same_circuit)

    def _same_circuit(self, pubs: Sequence[EstimatorPub]) -> list[PubResult]:
        circuit = pubs[0].circuit
        compiled = self._circuits.of(circuit, self.executor)
        places: dict[str, int] = {}
        paulis: list[SparsePauliOp] = []
        rows: list[np.ndarray] = []
        outputs: list[int] = []
        for pub in pubs:
            numbered = np.empty(pub.observables.shape, dtype=int)
            for index in np.ndindex(pub.observables.shape):
                observable = pub.observables[index]
                name = repr(sorted(observable.items()))
                numbered[index] = places.setdefault(name, len(paulis))
                if len(places) > len(paulis):
                    paulis.append(as_pauli_sum(observable))
            values = table_of(pub.parameter_values, circuit)
            row, output = np.broadcast_arrays(
                np.arange(len(values)).reshape(pub.parameter_values.shape), numbered
            )
            rows += list(values[row.ravel()])
            outputs += output.ravel().tolist()
        found, results = self._numbers(compiled, paulis, rows, outputs), []
        ends = np.cumsum([math.prod(pub.shape) for pub in pubs])[:-1]
        for pub, *parts in zip(pubs, *(np.split(part, ends) for part in found), strict=True):
            values, errors = (part.reshape(pub.shape) for part in parts)
            metadata = {
                "shots": self.executor.shots,
                "target_precision": pub.precision,
                "circuit_metadata": pub.circuit.metadata,
            }
            data = DataBin(evs=values, stds=errors, shape=pub.shape)
            results.append(PubResult(data, metadata=metadata))
        return results

    def _numbers(
        self,
        compiled: CompiledCircuit,
        paulis: Sequence[SparsePauliOp],
        rows: Sequence[np.ndarray],
        outputs: Sequence[int],
    ) -> tuple[Float64[np.ndarray, " requests"], Float64[np.ndarray, " requests"]]:
        """Return expectation values and their standard errors."""
        values, errors = np.empty(len(rows)), np.zeros(len(rows))
        shots = self.executor.shots
        for table in tables_of(rows, outputs, exact=shots is None):
            chosen = tuple(paulis[output] for output in table.outputs)
            readout = compiled.expectations(chosen, with_variances=shots is not None)
            read = compiled.run(readout, table.values)
            request, row, output = table.requests.T
            values[request] = read[row, output]
            if shots is not None:
                variances = read[:, len(chosen) :] / shots
                errors[request] = np.sqrt(np.clip(variances, 0, None))[row, output]
        return values, errors

    def _check_precision(self, precision: float | None) -> None:
        shots = self.executor.shots
        if shots is None or precision is None:
            return
        if precision == 0:
            raise ArgumentError(
                f"`precision` must be greater than 0 for an executor with shots={shots} (got 0). "
                "Use `AerEstimator(AerExecutor())`, which is exact."
            )
        needed = math.ceil((1 - ROUNDING) / precision**2)
        if shots < needed:
            raise ArgumentError(
                f"`precision` must be at least {1 / math.sqrt(shots):.3g} for an executor with "
                f"shots={shots} (got {precision:g}, which needs {needed} shots per setting). Use "
                f"`AerExecutor(shots={needed})`, or `default_precision` of the EstimatorQNN."
            )
