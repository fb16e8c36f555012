"""Base classes of executors, which run circuits on simulators or hardware."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float64

from hybridopt.circuits.program import Program
from hybridopt.errors import ArgumentTypeError
from hybridopt.execution.aer.stack import StackRun
from hybridopt.execution.cost import Cost
from hybridopt.execution.job import Job
from hybridopt.execution.readout import Readout


class Metered(ABC):
    """Something that counts what it spends and draws from a random stream that can be resumed.

    Attributes:
        shots: Number of shots per setting; None for exact results.
    """

    shots: int | None

    @property
    @abstractmethod
    def usage(self) -> Cost:
        """Settings, shots and runs since construction."""

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """Return the position in the sampling stream; ``"calls"`` counts the draws."""

    @abstractmethod
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go to a position in the sampling stream."""


class Executor(Metered):
    """Base class of everything that runs jobs; it serves the forward pass and the gradient alike.

    An executor may also have a method ``place(circuit)``, which returns the `PhysicalCircuit` that
    it runs for a circuit. Without it, circuits stay on the qubits that they name.
    """

    @property
    @abstractmethod
    def has_noise(self) -> bool:
        """Whether gate noise is simulated; circuits are then decomposed to hardware gates."""

    @abstractmethod
    def check(self, program: Program, readout: Readout) -> None:
        """Raise an error if the job cannot be run; run nothing."""

    @abstractmethod
    def run(self, job: Job) -> Float64[np.ndarray, "S B K"]:
        """Return the readout of every combination of shared angles (S) and rows (B)."""

    @abstractmethod
    def explain(self, job: Job) -> str:
        """Return the strategy that would run the job, and the reason for it."""


class StateExecutor(Executor):
    """A simulator that returns state vectors.

    Attributes:
        max_memory: Bytes that states may take at one time.
    """

    max_memory: int

    @property
    @abstractmethod
    def holds_states(self) -> bool:
        """Whether the states are exact: no shots, no noise."""

    @property
    @abstractmethod
    def parallel_runs(self) -> int:
        """Number of runs side by side; larger runs are cut into so many pieces."""

    @abstractmethod
    def evolve(self, runs: Sequence[StackRun]) -> list[dict[str, np.ndarray]]:
        """Run stacks that save states or probabilities; return these by label, run by run."""


def check_executor(executor: object) -> Executor:
    """Return the executor if it is one.

    Raises:
        ArgumentTypeError: With the type that was given.
    """
    if not isinstance(executor, Executor):
        raise ArgumentTypeError(
            "Argument `executor` must be an executor such as AerExecutor(), but is of type "
            f"{type(executor).__name__}."
        )
    return executor
