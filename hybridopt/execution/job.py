"""A table of circuits to run and what to read from each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from hybridopt.circuits.circuit_program import CircuitProgram
from hybridopt.circuits.program import Program
from hybridopt.errors import ArgumentError
from hybridopt.execution.readout import Readout


@dataclass(frozen=True)
class Stream:
    """Where a job stands in the sampling stream, so that its pieces draw what the whole would.

    Attributes:
        call: Number of the call of the executor.
        first_shared: Index of the first row of ``shared`` in the uncut job.
        first_row: Index of the first row of ``rows`` in the uncut job.
        first_setting: Index of the first setting of the readout in the uncut job.
    """

    call: int
    first_shared: int = 0
    first_row: int = 0
    first_setting: int = 0


@dataclass(frozen=True)
class Job:
    """Every combination of ``shared`` and ``rows`` is one setting a basis; picklable and cuttable.

    Attributes:
        program: The family of circuits.
        readout: What to read.
        rows: Angles of the samples, shape ``(B, R)`` [rad].
        shared: Angles that all samples share, shape ``(S, O)`` [rad].
        stream: None lets the executor number the call.
    """

    program: Program
    readout: Readout
    rows: Float64[np.ndarray, "B R"]
    shared: Float64[np.ndarray, "S O"]
    stream: Stream | None = None

    @property
    def num_outputs(self) -> int:
        """K."""
        return self.readout.num_outputs(self.program)

    def check(self) -> None:
        """Refuse tables that are not made for the program, before anything runs.

        Raises:
            ArgumentError: If a table has the wrong width, or holds NaN or infinite angles, or if
                the readout does not fit.
        """
        self.readout.check(self.program)
        widths = {
            "rows": self.program.num_row_angles,
            "shared": self.program.num_shared_angles,
        }
        for name, width in widths.items():
            table = getattr(self, name)
            if table.shape[1] != width:
                raise ArgumentError(
                    f"Table `{name}` must have {width} angles in a row, as the program has, but "
                    f"has {table.shape[1]}."
                )
            if not np.isfinite(table).all():
                raise ArgumentError(_not_finite(self.program, name, table))


def _not_finite(program: Program, name: str, table: Float64[np.ndarray, "N A"]) -> str:
    row, column = np.argwhere(~np.isfinite(table))[0].tolist()
    angle = str(column)
    if isinstance(program, CircuitProgram):
        of_rows = name == "rows"
        angle = f"`{(program.row_expressions if of_rows else program.shared_expressions)[column]}`"
    sample = f" of sample {row}" if name == "rows" else ""
    return (
        f"Angle {angle}{sample} is {table[row, column]} (in table `{name}`). Look for angles that "
        "are NaN or infinite in inputs and weights, and lower the learning rate if they came by "
        "training."
    )
