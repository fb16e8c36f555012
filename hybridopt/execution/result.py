"""Results of jobs: values, variances and cost."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from hybridopt.errors import ArgumentTypeError, ExecutionError
from hybridopt.execution.cost import Cost
from hybridopt.execution.job import Job, Outputs


class Result:
    """Result of a job.

    Args:
        values: Outputs of every combination of shared angles (S) and rows (B), shape ``(S, B, K)``.
        variances: Squared standard errors of the values, of the same shape; None where they are
            exact. Estimates from the shots of the job.
        cost: Cost of the job alone, or a function that computes it on request.

    Example:
        >>> import numpy as np
        >>> from hybridopt.execution import Result
        >>> result = Result(np.zeros((1, 2, 1)), variances=np.full((1, 2, 1), 0.01))
        >>> result.standard_errors.ravel().tolist()
        [0.1, 0.1]
    """

    def __init__(
        self,
        values: Outputs,
        variances: Outputs | None = None,
        cost: Cost | Callable[[], Cost] | None = None,
    ) -> None:
        self.values = values
        self.variances = variances
        self._cost = Cost() if cost is None else cost

    @property
    def cost(self) -> Cost:
        """Cost of the job alone."""
        if not isinstance(self._cost, Cost):
            self._cost = self._cost()
        return self._cost

    @property
    def standard_errors(self) -> Outputs | None:
        """Standard errors of the values; None where they are exact."""
        return None if self.variances is None else np.sqrt(self.variances)

    def __repr__(self) -> str:
        kind = "exact" if self.variances is None else "sampled"
        return f"Result({kind} values of shape {self.values.shape}, {self.cost})"

    def __getstate__(self) -> dict[str, Any]:
        return {"values": self.values, "variances": self.variances, "_cost": self.cost}


class PendingResult(ABC):
    """Result that may not have arrived yet."""

    @abstractmethod
    def result(self) -> Result:
        """Return the result; wait until it has arrived."""


@dataclass(frozen=True, eq=False)
class FinishedResult(PendingResult):
    """Result of a job that has already run."""

    finished: Result

    def result(self) -> Result:
        """Return the result."""
        return self.finished


def checked_result(executor: object, job: Job, result: object) -> Result:
    """Return the result of an executor, which may be the user's; raise if it does not fit.

    Raises:
        ArgumentTypeError: If it is not a `Result`.
        ExecutionError: If its values or variances are not float64 arrays of the job's shape.
    """
    name = type(executor).__name__
    if not isinstance(result, Result):
        raise ArgumentTypeError(
            f"`{name}.run` must return a Result (got a {type(result).__name__}). Return "
            "`hybridopt.execution.Result(values, variances, cost)`; earlier versions returned the "
            "values alone."
        )
    shape = (len(job.shared), len(job.rows), job.readout.num_outputs(job.program))
    for part in ("values", "variances"):
        array = getattr(result, part)
        if array is None and part == "variances":
            continue
        if not isinstance(array, np.ndarray) or array.dtype != np.float64:
            got = f"{type(array).__name__} {getattr(array, 'dtype', '')}".strip()
            raise ExecutionError(
                f"`{part}` of the Result of `{name}.run` must be a float64 array of numpy (got "
                f"{got}). Return `np.asarray({part}, dtype=np.float64)`."
            )
        if array.shape != shape:
            raise ExecutionError(
                f"`{part}` of the Result of `{name}.run` must have shape {shape} (got "
                f"{array.shape})."
            )
    return result


def received(executor: object, job: Job, pending: object) -> Result:
    """Return the result of a job that was submitted; wait for it.

    Raises:
        ArgumentTypeError: If ``submit`` did not return a `PendingResult`, or its result is not a
            `Result`.
        ExecutionError: If its values or variances are not float64 arrays of the job's shape.
    """
    if not isinstance(pending, PendingResult):
        raise ArgumentTypeError(
            f"`{type(executor).__name__}.submit` must return a PendingResult (got a "
            f"{type(pending).__name__}). Return an object of a class derived from "
            "`hybridopt.execution.PendingResult`."
        )
    return checked_result(executor, job, pending.result())
