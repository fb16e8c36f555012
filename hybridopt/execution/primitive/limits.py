"""Limits of the shots, jobs and seconds of an executor at a service."""

from __future__ import annotations

from dataclasses import dataclass

from hybridopt import _validation
from hybridopt.errors import LimitError
from hybridopt.execution.cost import Cost


@dataclass(frozen=True)
class SpendingLimits:
    """Largest numbers of shots, jobs and seconds of the service; None for no limit."""

    max_shots: int | None = None
    max_jobs: int | None = None
    max_seconds: float | None = None

    @classmethod
    def checked(cls, max_shots: object, max_jobs: object, max_seconds: object) -> SpendingLimits:
        """Return limits from arguments of the user."""
        return cls(
            _validation.optional_integer("max_shots", max_shots, minimum=1),
            _validation.optional_integer("max_jobs", max_jobs, minimum=1),
            _validation.optional_real("max_seconds", max_seconds, minimum=0.0, strict=True),
        )

    def check(self, spent: Cost, asked: Cost) -> None:
        """Raise LimitError if the cost of the next jobs would exceed a limit.

        The seconds of jobs are known when they are done. Nothing is sent once they are spent.
        """
        for name, limit, used, more in (
            ("max_shots", self.max_shots, spent.shots, asked.shots),
            ("max_jobs", self.max_jobs, spent.jobs, asked.jobs),
            ("max_seconds", self.max_seconds, spent.seconds, asked.seconds),
        ):
            if limit is None or (used + more <= limit and (name != "max_seconds" or used < limit)):
                continue
            what = name.removeprefix("max_")
            needs = f", and the next step needs {more:,} {what}" if more else ""
            raise LimitError(
                f"`{name}` must be greater to go on (got {limit:,}): {used:,} {what} are "
                f"spent{needs}. Nothing more was sent. Raise the limit to continue. "
                f"Spent: {spent}."
            )
