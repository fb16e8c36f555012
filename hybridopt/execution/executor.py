"""What every executor can do, whatever it runs on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float64

from hybridopt.circuits.program import Program
from hybridopt.execution.aer.stack import StackRun
from hybridopt.execution.cost import Cost
from hybridopt.execution.job import Job
from hybridopt.execution.readout import Readout


@runtime_checkable
class Metered(Protocol):
    """What training asks of an executor: what it has spent, and where its random stream stands."""

    @property
    def shots(self) -> int | None:
        """Shots a setting; None is exact."""
        ...

    @property
    def usage(self) -> Cost:
        """Settings, shots and runs since construction."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Position in the sampling stream, plain types: ``"calls"`` counts what was drawn."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go to a position in the sampling stream."""
        ...


@runtime_checkable
class Executor(Metered, Protocol):
    """Runs jobs. One executor governs forward and gradient alike."""

    @property
    def has_noise(self) -> bool:
        """Whether gates go wrong: circuits are then lowered to the gates of hardware."""
        ...

    def check(self, program: Program, readout: Readout) -> None:
        """Raise if the job cannot be run; run nothing."""
        ...

    def run(self, job: Job) -> Float64[np.ndarray, "S B K"]:
        """The readout of every combination of shared angles and rows."""
        ...

    def explain(self, job: Job) -> str:
        """Which strategy would run the job, and why."""
        ...


@runtime_checkable
class StateExecutor(Executor, Protocol):
    """A simulator whose state vectors can be asked for."""

    @property
    def max_memory(self) -> int:
        """Bytes that states may take at one time."""
        ...

    @property
    def holds_states(self) -> bool:
        """Whether the states are exact: no shots, no noise."""
        ...

    @property
    def parallel_runs(self) -> int:
        """How many runs go side by side; larger ones are cut into so many."""
        ...

    def evolve(self, runs: Sequence[StackRun]) -> list[dict[str, np.ndarray]]:
        """Run stacks that save states, or probabilities; returns them by label, run by run."""
        ...
