"""Shots of a sampler, or precision of an estimator."""

from __future__ import annotations

import math
from dataclasses import dataclass

from hybridopt import _validation
from hybridopt.errors import ArgumentError
from hybridopt.execution.job import MAX_SHOTS, Job, shots_of_precision
from hybridopt.execution.primitive.client import Client


@dataclass(frozen=True)
class Effort:
    """Effort per setting, as the user or the options of the primitive set it.

    Attributes:
        shots: Number of shots per setting; for an estimator 1 / precision^2.
        precision: Standard error that an estimator aims at; None for a sampler.
        asked: Precision that the user gave; None if the options of the estimator set it.
    """

    shots: int
    precision: float | None = None
    asked: float | None = None

    @classmethod
    def checked(cls, client: Client, shots: object, precision: object) -> Effort:
        """Return the effort of arguments of the user.

        Raises:
            ArgumentTypeError: If an argument has the wrong type.
            ArgumentError: If a number is out of range, does not fit the primitive, or is missing.
        """
        given = _validation.optional_integer("shots", shots, minimum=1, maximum=MAX_SHOTS)
        asked = _validation.optional_real("precision", precision, minimum=0, strict=True)
        if client.is_sampler:
            if asked is not None:
                raise ArgumentError(
                    f"`precision` must be None for a sampler (got {asked:g}). Give `shots`, about "
                    "1 / precision**2."
                )
            return cls(given or client.default_shots)
        if given is not None:
            raise ArgumentError(
                f"`shots` must be None for an estimator (got {given}). Give `precision`, about "
                "1 / sqrt(shots)."
            )
        resolved = asked or client.default_precision
        if resolved == 0:
            raise ArgumentError(
                "`precision` must be greater than 0 (got 0, the default of "
                f"{type(client.primitive).__name__}). Give it. For exact values use AerExecutor()."
            )
        return cls(shots_of_precision(resolved), resolved, asked)

    def of(self, job: Job) -> Effort:
        """Return the effort of a job, whose own shots or precision take the place of these."""
        shots = job.shots_for(None)
        if shots is None:
            return self
        if self.precision is None:
            return Effort(shots)
        precision = 1 / math.sqrt(shots) if job.precision is None else job.precision
        return Effort(shots, precision, precision)

    def __str__(self) -> str:
        if self.precision is None:
            return f"{self.shots:,} shots per setting"
        return f"precision {self.precision:.3g}"
