"""Base classes of executors, which run circuits on simulators or hardware."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal, cast

import numpy as np
from jaxtyping import Float64
from qiskit.primitives import BaseEstimatorV2, BaseSamplerV2
from qiskit.providers import BackendV2
from qiskit_aer.noise import NoiseModel

from hybridopt import _validation
from hybridopt.circuits.program import CircuitProgram, Program
from hybridopt.errors import UnsupportedError
from hybridopt.execution.cost import Cost
from hybridopt.execution.job import Job, Outputs, Rows, Shared
from hybridopt.execution.readout import Readout
from hybridopt.execution.result import FinishedResult, PendingResult, Result

Lowering = Literal["whole", "elementary"]


class Metered(ABC):
    """Base class of everything that counts its cost and draws from a resumable random stream.

    Attributes:
        shots: Number of shots per setting; None for exact simulation.
        changeable: Names of `settings` that may differ when a run is resumed, such as limits.
    """

    shots: int | None
    changeable: ClassVar[frozenset[str]] = frozenset({"seed"})  # the position is stored

    @property
    @abstractmethod
    def usage(self) -> Cost:
        """Cost since construction."""

    def settings(self) -> dict[str, Any]:
        """Return the settings as plain data: None, numbers, texts, lists, tuples and dicts.

        `hybridopt.save` and checkpoints store them, so they must not contain secrets. An executor
        with the numbers of another one, as on a cluster, gives that class as ``"class"``.
        """
        return {"shots": self.shots}

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """Return the position in the random stream; ``"calls"`` counts the draws."""

    @abstractmethod
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue the random stream at a position from `state_dict`."""


class Executor(Metered):
    """Base class of executors, which run the jobs of forward passes and of gradients.

    The shots or the precision of a job, if it has any, take the place of those of the executor.
    An executor may have a method ``place(circuit)``, which returns the `PhysicalCircuit` that it
    runs for a circuit. Without this method, circuits keep their qubits.

    Attributes:
        is_remote: Whether results take long to arrive. In training, the jobs of a forward pass and
            of its gradient are then submitted together, before either result is waited for. In
            evaluation (``network.eval()``), a gradient is run when it is asked for.
    """

    is_remote: bool = False

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return self  # copies of a network share their executor and its connections

    @property
    @abstractmethod
    def has_noise(self) -> bool:
        """Whether gates have errors, so that states are not pure."""

    @property
    def lowering(self) -> Lowering:
        """Gates of lowered circuits.

        ``"whole"`` keeps gates that only a simulator runs as one; ``"elementary"`` decomposes
        circuits to gates of hardware. The default is elementary with noise.
        """
        return "elementary" if self.has_noise else "whole"

    @abstractmethod
    def check(self, program: Program, readout: Readout) -> None:
        """Raise an error if the job cannot be run; run nothing."""

    @abstractmethod
    def run(self, job: Job) -> Result:
        """Return the result of every combination of shared angles (S) and rows (B)."""

    def submit(self, job: Job) -> PendingResult:
        """Send a job, and return its result to wait for; a local executor runs it at once."""
        return FinishedResult(self.run(job))

    @abstractmethod
    def explain(self, job: Job) -> str:
        """Return the strategy that would run the job, and the reason."""


class ForwardRecord(ABC):
    """Evaluation that keeps the states for its derivative."""

    @abstractmethod
    def values(self, rows: Rows, shared: Shared) -> Outputs:
        """Return the outputs at these angles [rad], and keep the states for `vjp`."""

    @abstractmethod
    def vjp(self, rows: Rows, shared: Shared, cotangent: Outputs) -> tuple[Rows, Shared]:
        """Return derivatives with respect to rows and shared angles; zeros if not needed."""

    def vjps(
        self, rows: Rows, shared: Shared, cotangents: Float64[np.ndarray, "E S B K"]
    ) -> tuple[Float64[np.ndarray, "E B R"], Float64[np.ndarray, "E S O"]]:
        """Return the derivatives of `vjp` for several cotangents, if possible in one pass."""
        each = [self.vjp(rows, shared, one) for one in cotangents]
        by_rows, by_shared = zip(*each, strict=True)
        return np.stack(by_rows), np.stack(by_shared)

    def explain(self) -> str:
        """Return peculiarities of both passes in words; empty for state vectors."""
        return ""


class StateExecutor(Executor):
    """Base class of simulators with exact states, which differentiate circuits by a backward run.

    Attributes:
        max_memory: Largest memory of states at one time [bytes].
    """

    max_memory: int

    @property
    @abstractmethod
    def holds_states(self) -> bool:
        """Whether exact states are available, without shots."""

    @abstractmethod
    def adjoint(
        self, program: CircuitProgram, readout: Readout, needs: tuple[bool, bool]
    ) -> ForwardRecord:
        """Return an evaluation with derivatives for (rows, shared angles), where needed."""

    def count_settings(self, program: CircuitProgram, readout: Readout, circuits: int) -> None:
        """Add settings to `usage` that hardware would run for a result of the states.

        Args:
            program: Family of circuits.
            readout: Readout, each of whose bases is one setting per circuit.
            circuits: Number of circuits; 0 only checks that the executor can count them.

        Raises:
            UnsupportedError: If the executor does not have this method, as by default.
        """
        raise UnsupportedError(
            f"`{type(self).__name__}` must have a method `count_settings` for "
            '`ParameterShift(simulate="sweep")`. Use `simulate="settings"`.'
        )


def check_executor(executor: object) -> Executor:
    """Return the executor; raise ArgumentTypeError if it is not one, with the way to one."""
    remedies = {
        NoiseModel: "Use AerExecutor(noise_model=...).",
        BackendV2: "Use AerExecutor(noise_model=...) for its noise, or wrap a sampler: "
        "PrimitiveExecutor(BackendSamplerV2(backend=...)).",
        BaseSamplerV2: "Wrap it: PrimitiveExecutor(...).",
        BaseEstimatorV2: "Wrap it: PrimitiveExecutor(...).",
    }
    remedy = next((text for kind, text in remedies.items() if isinstance(executor, kind)), "")
    known = "an executor such as AerExecutor()"
    return cast(Executor, _validation.instance("executor", executor, Executor, known, remedy))
