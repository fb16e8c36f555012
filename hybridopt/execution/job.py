"""Jobs: tables of angles for a family of circuits, and the readout of each circuit."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from hybridopt import _validation
from hybridopt.circuits.program import CircuitProgram, Program
from hybridopt.errors import ArgumentError, ArgumentTypeError
from hybridopt.execution.readout import Readout

Rows = Float64[np.ndarray, "B R"]  # angles of B samples [rad]
Shared = Float64[np.ndarray, "S O"]  # S rows of angles that all samples share [rad]
Outputs = Float64[np.ndarray, "S B K"]  # K outputs per shared row and sample

MAX_SHOTS = 2**63 - 1  # largest number that numpy samples
ROUNDING = 1e-15  # of 1 / precision^2, so that the precision 1 / sqrt(shots) needs these shots
PERIOD = 4 * math.pi  # [rad]; rotations by 2 pi change the sign of amplitudes


@dataclass(frozen=True)
class Stream:
    """Position of a job in the random stream, so that parts of it draw the same shots.

    A job may be cut along samples, shared angles and settings. Its settings and shots do not
    change; the number of runs does. Exact values agree to 2e-15. With another size of stacks,
    this rounding error may change a single shot.

    Attributes:
        call: Index of the call of the executor.
        first_shared: Index of the first row of ``shared`` in the whole job.
        first_row: Index of the first row of ``rows`` in the whole job.
        first_setting: Index of the first setting of the readout in the whole job.
        entropy: Entropy of the stream, in a job for another process; None for that of the executor.
    """

    call: int
    first_shared: int = 0
    first_row: int = 0
    first_setting: int = 0
    entropy: int | None = None

    def moved(self, shared: int, rows: int, settings: int) -> Stream:
        """Return the position of a part of the job that begins at these indices."""
        first = self.first_shared + shared, self.first_row + rows, self.first_setting + settings
        return Stream(self.call, *first, self.entropy)


@dataclass(frozen=True)
class Job:
    """Table of circuits: each row of ``shared`` with each of ``rows``, in each measurement basis.

    Attributes:
        program: Family of circuits.
        readout: Readout of each circuit.
        rows: Angles of the samples, shape ``(B, R)`` [rad], reduced to one period of 4 pi.
        shared: Angles that all samples share, shape ``(S, O)`` [rad], reduced in the same way.
        stream: Position in the random stream; None for the next call of the executor.
        shots: Number of shots per setting; None for those of the executor.
        precision: Largest standard error of the expectation value of a Pauli string, in place of
            ``shots``: 1/precision^2 shots per setting. Estimators receive it unchanged.

    A job can be cut along samples, shared rows and settings. Settings, shots and the drawn outcomes
    are the same for all cuts; the number of runs is not. Exact values agree to 2e-15.

    Raises:
        ArgumentTypeError: If a table is not a numpy array of real numbers, or ``shots`` not an int.
        ArgumentError: If a table does not have 2 dimensions, ``shots`` is less than 1, or shots
            and precision are given.
    """

    program: Program
    readout: Readout
    rows: Rows
    shared: Shared
    stream: Stream | None = None
    shots: int | None = None
    precision: float | None = None

    def __post_init__(self) -> None:
        for name in ("rows", "shared"):
            object.__setattr__(self, name, _table(name, getattr(self, name)))
        if self.stream is not None:
            _validation.instance("stream", self.stream, Stream, "a Stream or None")
        _validation.optional_integer("shots", self.shots, minimum=1, maximum=MAX_SHOTS)
        if self.precision is None:
            return
        smallest = 1 / math.sqrt(MAX_SHOTS)
        _validation.real("precision", self.precision, minimum=smallest)
        if self.shots is not None:
            raise ArgumentError(
                f"`shots` or `precision` must be None (got {self.shots} and {self.precision:g})."
            )

    def shots_for(self, own: int | None) -> int | None:
        """Return the shots per setting on an executor with ``own`` shots; None if exact."""
        if self.precision is not None:
            return shots_of_precision(self.precision)
        return own if self.shots is None else self.shots

    def check(self) -> None:
        """Raise ArgumentError if the readout or a table does not fit the program."""
        self.readout.check(self.program)
        for name, width in (
            ("rows", self.program.num_row_angles),
            ("shared", self.program.num_shared_angles),
        ):
            table = getattr(self, name)
            if table.shape[1] != width:
                raise ArgumentError(
                    f"`{name}` must have {width} columns, one per angle of the program "
                    f"(got {table.shape[1]})."
                )
            if not np.isfinite(table).all():
                raise ArgumentError(_not_finite(self.program, name, table))


def shots_of_precision(precision: float) -> int:
    """Return the shots for a standard error of a Pauli string, as Qiskit's estimators do."""
    return min(MAX_SHOTS, max(1, math.ceil((1 - ROUNDING) / precision**2)))


def check_readable(program: object, readout: object) -> None:
    """Raise if program or readout are of another type, or do not fit; run nothing.

    Raises:
        ArgumentTypeError: If ``program`` is not a program, or ``readout`` not a readout.
        ArgumentError: If the circuit has no qubits, or the readout names other qubits.
    """
    lowered = "a program, such as hybridopt.circuits.lower(circuit)"
    checked = _validation.instance("program", program, Program, lowered)
    kinds = "Expectations((observable, ...)) or Probabilities()"
    read = _validation.instance("readout", readout, Readout, kinds)
    if checked.num_qubits == 0:
        raise ArgumentError("The circuit must have at least 1 qubit (got 0).")
    read.check(checked)


def _table(name: str, value: object) -> Float64[np.ndarray, "N A"]:
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiu":
        kind = getattr(value, "dtype", type(value).__name__)
        raise ArgumentTypeError(
            f"`{name}` must be a numpy array of real numbers (got {kind}). Convert the angles with "
            "`numpy.array(angles, dtype=float)`."
        )
    if value.ndim != 2:
        raise ArgumentError(f"`{name}` must have 2 dimensions (got shape {value.shape}).")
    return within_period(np.asarray(value, dtype=np.float64))


def within_period(angles: Float64[np.ndarray, "N A"]) -> Float64[np.ndarray, "N A"]:
    """Return the angles [rad] reduced to one period, so that sums of them stay exact."""
    sizes = np.abs(angles)
    if sizes.max(initial=0.0) <= PERIOD:
        return angles
    beyond = np.isfinite(angles) & (sizes > PERIOD)
    half = angles[beyond] / 2
    reduced = angles.copy()
    reduced[beyond] = 2 * np.arctan2(np.sin(half), np.cos(half))
    return reduced


def _not_finite(program: Program, name: str, table: Float64[np.ndarray, "N A"]) -> str:
    row, column = np.argwhere(~np.isfinite(table))[0].tolist()
    angle = f"{column} of `{name}`"
    if isinstance(program, CircuitProgram):
        kinds = {"rows": program.row_expressions, "shared": program.shared_expressions}
        angle = f"`{kinds[name][column]}`"
    sample = f" of sample {row}" if name == "rows" else ""
    return (
        f"Angle {angle}{sample} must be finite (got {table[row, column]}). Check the inputs and "
        "the weights. If the weights are not finite, lower the learning rate."
    )
