"""What a computation costs: settings, shots and runs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Cost:
    """Counts that can be added and subtracted.

    Attributes:
        settings: Circuits that hardware would have to run: one circuit, one set of angles, one
            input sample, one measurement basis.
        shots: Measurements, settings times shots a setting; 0 in exact simulation.
        runs: Circuits that the simulator executed.

    Example:
        >>> from hybridopt import Cost
        >>> Cost(settings=2, shots=200, runs=1) + Cost(settings=3, shots=300, runs=1)
        Cost(settings=5, shots=500, runs=2)
    """

    settings: int = 0
    shots: int = 0
    runs: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.settings + other.settings, self.shots + other.shots, self.runs + other.runs
        )

    def __sub__(self, other: Cost) -> Cost:
        return Cost(
            self.settings - other.settings, self.shots - other.shots, self.runs - other.runs
        )
