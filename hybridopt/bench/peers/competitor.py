"""What every simulator in the benchmark is asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Protocol, TypeAlias, runtime_checkable

from hybridopt.bench.problem import Problem
from hybridopt.execution import Cost

Numbers: TypeAlias = Any  # numpy float64; their shapes are checked where they are compared
Gradient: TypeAlias = Callable[[Numbers, Numbers], tuple[Numbers, Numbers]]

DOUBLE = 1e-9  # allowed deviation, relative to the largest value that the outputs can take
SINGLE = 1e-6  # numbers that pass through 32 bits once
SINGLE_STATES = 1e-5  # amplitudes of 32 bits, rounded by every one of some hundred gates
SHIFT, EXACT, RANDOM = "parameter-shift", "adjoint", "spsa"  # kinds of rules, named as ours are


@dataclass(frozen=True)
class Prepared:
    """A problem in a competitor's own form.

    Attributes:
        gradient: Takes inputs ``(B, I)`` and weights ``(P,)`` to the outputs ``(B, K)`` and the
            gradient ``(P,)`` of the mean over the samples of their sum.
        usage: What was spent so far, where the competitor counts it.
        note: How it is run.
    """

    gradient: Gradient
    usage: Callable[[], Cost] | None = None
    note: str = ""


@runtime_checkable
class Competitor(Protocol):
    """One simulator with one gradient rule."""

    @property
    def key(self) -> str:
        """By which ``--peer`` asks for it; several rules of one simulator share it."""
        ...

    @property
    def name(self) -> str:
        """As tables show it."""
        ...

    @property
    def library(self) -> str:
        """Whose it is."""
        ...

    @property
    def rule(self) -> str:
        """As its library calls it."""
        ...

    @property
    def kind(self) -> str:
        """Our rule that does the same.

        Parameter shift on circuits that hardware could run, or exact differentiation of the
        simulation.
        """
        ...

    @property
    def packages(self) -> tuple[str, ...]:
        """Distributions whose versions are recorded."""
        ...

    @property
    def exact(self) -> bool:
        """Whether it runs problems without shots."""
        ...

    @property
    def samples(self) -> bool:
        """Whether it runs problems with shots."""
        ...

    @property
    def tolerance(self) -> float:
        """Deviation that its floating point numbers explain, in exact simulation."""
        ...

    @property
    def one_by_one(self) -> bool:
        """Whether it takes the samples one by one: the time of one tells that of a batch."""
        ...

    @property
    def compiles(self) -> bool:
        """Whether the first call compiles, so that it tells nothing of the others."""
        ...

    def unavailable(self) -> str | None:
        """Why it cannot be used here, with the way out, or None."""
        ...

    def prepare(self, problem: Problem) -> Prepared:
        """Translate a problem; runs nothing of its circuit.

        Raises:
            CircuitError: If a gate has no translation.
            UnsupportedError: If it cannot run such a problem.
        """
        ...


def missing(modules: tuple[str, ...], extra: str) -> str | None:
    """What to install if one of the modules is not there, or None."""
    absent = [module for module in modules if find_spec(module) is None]
    if not absent:
        return None
    return (
        f"{', '.join(absent)} is not installed. Install it by "
        f'`pip install "hybridopt-qiskit[{extra}]"`, or in a checkout `pip install ".[{extra}]"`.'
    )
