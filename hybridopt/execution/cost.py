"""Cost of computations, in the units of hardware and of simulators."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, repr=False)
class Cost:
    """Cost of a computation; costs can be added and subtracted.

    Attributes:
        settings: Number of circuits with bound angles and one measurement basis, as hardware
            would run them.
        shots: Number of shots, settings times shots per setting; 0 in exact simulation.
        runs: Number of circuits that the simulator executed.
        jobs: Number of jobs that were sent to a service; 0 for local simulators.
        seconds: Time that the service reported for these jobs [s].

    Example:
        >>> from hybridopt import Cost
        >>> Cost(settings=2, shots=200, runs=1) + Cost(settings=3, shots=300, runs=1)
        Cost(settings=5, shots=500, runs=2)
    """

    settings: int = 0
    shots: int = 0
    runs: int = 0
    jobs: int = 0
    seconds: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.settings + other.settings,
            self.shots + other.shots,
            self.runs + other.runs,
            self.jobs + other.jobs,
            self.seconds + other.seconds,
        )

    def __sub__(self, other: Cost) -> Cost:
        return self + other * -1

    def __mul__(self, factor: int) -> Cost:
        counts = factor * self.settings, factor * self.shots, factor * self.runs
        return Cost(*counts, factor * self.jobs, factor * self.seconds)

    def __repr__(self) -> str:
        """Return the fields, without those of a service if there was none."""
        of_service = {"jobs", "seconds"}
        shown = {one.name: getattr(self, one.name) for one in fields(self)}
        pairs = (f"{k}={v}" for k, v in shown.items() if v or k not in of_service)
        return f"Cost({', '.join(pairs)})"
