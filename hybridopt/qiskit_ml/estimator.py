"""Qiskit's estimator primitive on an executor of hybridopt."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from jaxtyping import Float64
from qiskit.primitives import BaseEstimatorV2, DataBin, PrimitiveJob, PrimitiveResult, PubResult
from qiskit.primitives.containers.estimator_pub import EstimatorPub
from qiskit.primitives.containers.observables_array import ObservablesArray
from qiskit.providers import Options

from hybridopt import _validation
from hybridopt._suggestions import explain_arguments
from hybridopt.errors import ArgumentError
from hybridopt.execution import AerExecutor, Executor, check_executor
from hybridopt.execution.job import MAX_SHOTS, shots_of_precision
from hybridopt.qiskit_ml.compiled_circuits import (
    CompiledCircuits,
    Terms,
    refuse_padding,
    table_of,
)
from hybridopt.qiskit_ml.observables import with_layout
from hybridopt.qiskit_ml.requests import PubLike, Request, start_job, tables_of


class AerEstimator(BaseEstimatorV2):  # type: ignore[misc]
    r"""Estimator that runs all parameter sets and observables of a circuit as one job.

    The forward pass of ``EstimatorQNN(estimator=AerEstimator())`` is one job per batch; Qiskit's
    reference estimators simulate sample by sample.

    An executor without shots meets every precision exactly: values have no noise and standard
    errors are 0. With shots, a precision :math:`\epsilon` takes
    :math:`\lceil 1 / \epsilon^2 \rceil` shots per setting, as in Qiskit's `BackendEstimatorV2`. The
    precision of a pub takes the place of that of `run`, and this that of ``default_precision``. (An
    EstimatorQNN sets its own ``default_precision`` of 1/64, which is 4,096 shots.)

    Observables at the same parameter values share their shots, as in `CircuitLayer`. The standard
    error is that of the sum of Pauli strings: it includes the covariances of strings in one
    measurement basis. (`BackendEstimatorV2` adds the errors of all strings.) No two calls share
    shot noise, also with a seed.

    Args:
        executor: Executor of the circuits; None for `AerExecutor()`, which is exact.
        default_precision: Precision of calls and pubs without one. If None, it is 0 for an
            executor without shots, and 1 / sqrt(shots) otherwise.
        normalize: True divides amplitudes by their norm; False refuses another norm than 1.
        pad_with: Must be None, because a pub has a value for every amplitude.

    Raises:
        ArgumentTypeError: If ``executor`` is of another type.
        ArgumentError: If ``default_precision`` is 0 for an executor with shots.

    Example:
        >>> from hybridopt.qiskit_ml import AerEstimator
        >>> from qiskit import QuantumCircuit
        >>> circuit = QuantumCircuit(3)
        >>> _ = circuit.h(0), circuit.cx(0, 1), circuit.cx(1, 2)
        >>> result = AerEstimator().run([(circuit, ["ZZI", "XXX", "IIZ"])]).result()[0]
        >>> result.data.evs.round(12).tolist()
        [1.0, 1.0, 0.0]
    """

    @explain_arguments
    def __init__(
        self,
        executor: Executor | None = None,
        *,
        default_precision: float | None = None,
        normalize: bool = False,
        pad_with: float | None = None,
    ) -> None:
        self.executor = AerExecutor() if executor is None else check_executor(executor)
        shots = self.executor.shots
        self.default_precision = 0.0 if shots is None else 1 / math.sqrt(shots)
        if default_precision is not None:
            given = _validation.real("default_precision", default_precision, minimum=0)
            self.default_precision = given
            self._shots("default_precision", given)
        self.options = Options(shots=shots, default_precision=self.default_precision)
        self.normalize = _validation.boolean("normalize", normalize)
        refuse_padding(pad_with)
        self._circuits = CompiledCircuits(normalize=normalize)

    def run(
        self, pubs: Iterable[PubLike], *, precision: float | None = None
    ) -> PrimitiveJob[PrimitiveResult[PubResult]]:
        """Start a job.

        Args:
            pubs: Circuits, observables, parameter values and precisions.
            precision: Precision of pubs without one; None for ``default_precision``.

        Raises:
            CircuitError: If a circuit cannot be lowered.
            ArgumentError: If a precision is 0 or needs too many shots, for an executor with shots.
        """
        wanted = _validation.optional_real("precision", precision, minimum=0)
        wanted = self.default_precision if wanted is None else wanted
        coerced = [EstimatorPub.coerce(with_layout(pub), wanted) for pub in pubs]
        shots = [self._shots("precision", pub.precision) for pub in coerced]
        requests = [
            Request(pub, self._circuits.of(pub.circuit, self.executor), own)
            for pub, own in zip(coerced, shots, strict=True)
        ]
        return start_job(requests, self._together)

    def _together(self, requests: Sequence[Request[EstimatorPub]]) -> list[PubResult]:
        """Run requests of one circuit with equal shots."""
        places: dict[Terms, int] = {}
        rows: list[np.ndarray] = []
        outputs: list[int] = []
        for pub in (request.pub for request in requests):
            numbers = [places.setdefault(terms, len(places)) for terms in _sums(pub.observables)]
            values = table_of(pub.parameter_values, pub.circuit)
            row, output = np.broadcast_arrays(
                np.arange(len(values)).reshape(pub.parameter_values.shape),
                np.array(numbers, dtype=int).reshape(pub.observables.shape),
            )
            rows += list(values[row.ravel()])
            outputs += output.ravel().tolist()
        values, errors = self._numbers(requests[0], list(places), rows, outputs)
        results, start = [], 0
        for request in requests:
            shape, part = request.pub.shape, slice(start, start + math.prod(request.pub.shape))
            evs, stds = values[part].reshape(shape), errors[part].reshape(shape)
            metadata = _metadata(request)
            results.append(PubResult(DataBin(evs=evs, stds=stds, shape=shape), metadata=metadata))
            start = part.stop
        return results

    def _numbers(
        self,
        request: Request[EstimatorPub],
        sums: Sequence[Terms],
        rows: Sequence[np.ndarray],
        outputs: Sequence[int],
    ) -> tuple[Float64[np.ndarray, " requests"], Float64[np.ndarray, " requests"]]:
        """Return expectation values and their standard errors."""
        values, errors = np.empty(len(rows)), np.zeros(len(rows))
        compiled, shots = request.compiled, request.shots
        for table in tables_of(rows, outputs, exact=shots is None):
            chosen = tuple(sums[output] for output in table.outputs)
            result = compiled.run(compiled.sums(chosen), table.values, shots)
            number, row, output = table.requests.T
            values[number] = result.values[0, row, output]
            if result.variances is not None:
                errors[number] = np.sqrt(result.variances[0, row, output])
        return values, errors

    def _shots(self, name: str, precision: float) -> int | None:
        """Return the shots per setting for a precision; None without shots."""
        own = self.executor.shots
        if own is None:
            return None
        if precision < 1 / math.sqrt(MAX_SHOTS):
            raise ArgumentError(
                f"`{name}` must be at least {1 / math.sqrt(MAX_SHOTS):.3g} for an executor with "
                f"shots={own} (got {precision:g}). Use `AerEstimator(AerExecutor())`, which is "
                "exact."
            )
        return shots_of_precision(precision)


def _sums(observables: ObservablesArray) -> Iterator[Terms]:
    """Yield the terms of each observable."""
    indices = itertools.product(*map(range, observables.shape))
    return (tuple(sorted(observables[index].items())) for index in indices)


def _metadata(request: Request[EstimatorPub]) -> dict[str, object]:
    """Return the metadata of Qiskit's estimators: those with shots name them."""
    shots = {} if request.shots is None else {"shots": request.shots}
    circuit_metadata = request.pub.circuit.metadata
    precision = float(request.pub.precision)
    return {"target_precision": precision, **shots, "circuit_metadata": circuit_metadata}
