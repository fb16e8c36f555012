"""What a recommendation is."""

from __future__ import annotations

from dataclasses import dataclass

from hybridopt.compare.statistics import Interval


@dataclass(frozen=True)
class Recommendation:
    """Which method, and why.

    Attributes:
        method: Its name; None if the runs do not decide, or no method will do.
        reason: In words, with the intervals behind it.
        decided: Whether the difference is more than noise.
        candidates: Methods that the runs do not tell apart, the best mean first.
        interval: Of the difference to the nearest other method; None if there is none.
        sources: Where rules come from; empty where runs decide.
    """

    method: str | None
    reason: str
    decided: bool = True
    candidates: tuple[str, ...] = ()
    interval: Interval | None = None
    sources: tuple[str, ...] = ()

    def __str__(self) -> str:
        head = (
            self.method if self.method is not None else "undecided" if not self.decided else "none"
        )
        text = f"{head}: {self.reason}"
        return f"{text} Sources: {'; '.join(self.sources)}." if self.sources else text
