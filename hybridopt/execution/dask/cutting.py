r"""Rule that cuts a job into pieces for workers, along samples, angles and settings.

A job of S rows of shared angles, B samples and G settings takes about

.. math::
    T = f \, S B \, (c + G s)  \quad\text{or}\quad  T = f \, S B G \, (c + s)

seconds, if the settings of a circuit share one run or have their own. The model gives c for the
gates of a circuit and s for a setting. The factor f is measured: earlier jobs of the same program
and strategy give it. With W workers, the rule is:

1. The number of pieces is 4 W, or more if pieces would take longer than 10 s. It is lowered so
   that a piece takes at least 50 ms. A job of less than two such pieces is run in this process.
2. Samples and rows of angles are cut first, the longer of both before the other. If circuits begin
   with the same gates (checkpoints, in place), samples come first, because each piece runs the
   common circuit again. If samples share one state, a piece has at least :math:`2^{13}` amplitudes.
3. Settings are cut if pieces are still missing. If they share a run, pieces run the gates again;
   this may add at most a quarter to the work.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from hybridopt.circuits.program import CircuitProgram
from hybridopt.execution.aer.executor import AerExecutor
from hybridopt.execution.job import Job
from hybridopt.execution.readout import Expectations

SMALLEST_PIECE = 0.05  # [s]; sending a piece and its result takes about 5 ms of CPU
LARGEST_PIECE = 10.0  # [s]; a worker that ends loses at most this work
PIECES_PER_WORKER = 4  # so that all workers end at about the same time
REPEATED_WORK = 0.25  # largest share of gates that a cut along settings repeats
AMPLITUDES_OF_A_STACK = 1 << 13  # smaller states cost more per sample
# Constants of the model on one core [s]; the measured factor corrects them.
PER_GATE = 3e-6
PER_AMPLITUDE = 2e-9  # per gate
PER_OUTCOME = 2e-8  # of a setting: its probability, and its share of the shots
PER_SETTING = 3e-5
PER_BYTE = 2e-9  # of a program that builds its own circuits
PER_MATRIX_GATE = 3e-5  # of a matrix product state of small bonds
Sizes = tuple[int, int, int]  # rows of shared angles S, samples B, settings G
STACKS = frozenset({"in-place", "stacked", "checkpoints", "saved-states"})
COMMON_STARTS = frozenset({"in-place", "checkpoints"})  # gates run once for all rows of angles
# one run for all settings
WHOLE_READOUTS = frozenset({"gpu-expectations", "saved-states", "saved-expectations"})


@dataclass(frozen=True)
class Work:
    """Estimated work of a job.

    Attributes:
        strategy: Name of the strategy that would run it.
        circuit: Time for the gates of one circuit [s].
        setting: Time for one setting of a circuit [s].
        own_runs: Whether every setting runs the gates again.
        can_cut_settings: Whether pieces may have different settings.
        rows_per_piece: Smallest number of samples per piece.
        settings_at_once: Largest number of settings whose probabilities fit into memory.
    """

    strategy: str
    circuit: float
    setting: float
    own_runs: bool
    can_cut_settings: bool
    rows_per_piece: int
    settings_at_once: int

    def seconds(self, sizes: Sizes) -> float:
        """Return the time of a job or a piece [s]."""
        num_shared, num_rows, settings = sizes
        runs = settings if self.own_runs else 1
        return num_shared * num_rows * (runs * self.circuit + settings * self.setting)

    def parts_of_settings(self, settings: int, wanted: int) -> int:
        """Return the number of parts, at most ``wanted``, into which settings may be cut."""
        if not self.can_cut_settings:
            return 1
        parts = min(settings, wanted)
        if not self.own_runs:
            repeated = REPEATED_WORK * self.seconds((1, 1, settings)) / self.circuit
            parts = min(parts, 1 + int(repeated))
        return 1 if parts == 1 else max(parts, -(-settings // self.settings_at_once))


@dataclass(frozen=True)
class Piece:
    """Part of a job: ranges of its rows of shared angles, of its samples, and of its settings."""

    shared: slice
    rows: slice
    settings: slice
    has_all_settings: bool

    @property
    def sizes(self) -> Sizes:
        """Numbers of rows of shared angles, of samples and of settings."""
        num_shared, num_rows, settings = (
            one.stop - one.start for one in (self.shared, self.rows, self.settings)
        )
        return num_shared, num_rows, settings

    def of(self, job: Job) -> Job:
        """Return this part of a job, at its position in the random stream."""
        readout, first = job.readout, self.settings.start
        if isinstance(readout, Expectations) and not self.has_all_settings:
            readout = readout.between(first, self.settings.stop)
        stream = job.stream and job.stream.moved(self.shared.start, self.rows.start, first)
        rows, shared = job.rows[self.rows], job.shared[self.shared]
        return replace(job, readout=readout, rows=rows, shared=shared, stream=stream)


@dataclass(frozen=True)
class Cut:
    """Numbers of parts of a job along shared angles, samples and settings.

    Attributes:
        sizes: Number of rows of shared angles, of samples and of settings.
        parts: Number of parts along each of them; one piece is not sent.
        seconds: Estimated time of the whole job [s].
        work: Estimate behind it; None if nothing runs.
    """

    sizes: Sizes
    parts: Sizes
    seconds: float
    work: Work | None = None

    @property
    def count(self) -> int:
        """Number of pieces."""
        return math.prod(self.parts)

    def pieces(self) -> Iterator[Piece]:
        """Yield the pieces of a job."""
        ranges = [_ranges(*pair) for pair in zip(self.sizes, self.parts, strict=True)]
        return (Piece(s, b, g, self.parts[2] == 1) for s, b, g in itertools.product(*ranges))


def cut(sizes: Sizes, work: Work, factor: float, workers: int) -> Cut:
    """Return the cut of a job for some workers, by the rule of this module."""
    num_shared, num_rows, settings = sizes
    seconds = factor * work.seconds(sizes)
    most = int(seconds / SMALLEST_PIECE)
    wanted = min(most, max(PIECES_PER_WORKER * workers, math.ceil(seconds / LARGEST_PIECE)))
    if wanted < 2:
        return Cut(sizes, (1, 1, 1), seconds, work)
    largest = num_shared, max(1, num_rows // work.rows_per_piece)
    rows_first = work.strategy in COMMON_STARTS or largest[1] > largest[0]
    first, second = largest[::-1] if rows_first else largest
    along_first = min(first, wanted)
    along_second = min(second, math.ceil(wanted / along_first))
    if along_first * along_second > most:
        along_second = max(1, most // along_first)
    parts = (along_second, along_first) if rows_first else (along_first, along_second)
    left = max(1, wanted // (along_first * along_second))
    return Cut(sizes, (*parts, work.parts_of_settings(settings, left)), seconds, work)


def work_of(job: Job, executor: AerExecutor) -> Work:
    """Return the estimated work of a job on one core."""
    strategy, method, _ = executor._strategies.choose(job)
    program, shots = job.program, job.shots_for(executor.shots)
    amplitudes = 1 << min(program.num_qubits, 60)
    per_gate = PER_GATE + PER_AMPLITUDE * amplitudes
    if method == "density_matrix":
        per_gate = PER_GATE + PER_AMPLITUDE * amplitudes**2
    elif method == "matrix_product_state":
        per_gate = PER_MATRIX_GATE
    noisy = executor.has_noise
    if strategy.name == "measured" and noisy:
        per_gate *= shots or 1  # one state per shot
    if isinstance(program, CircuitProgram):
        circuit = per_gate * len(program.steps)
    else:
        circuit = PER_BYTE * program.working_memory()
    outcomes = 1 << min(program.num_qubits, 20)
    in_stacks = strategy.name in STACKS
    return Work(
        strategy.name,
        circuit,
        PER_SETTING + PER_OUTCOME * outcomes,
        own_runs=noisy or strategy.name == "measured",
        can_cut_settings=strategy.name not in WHOLE_READOUTS,
        rows_per_piece=max(1, AMPLITUDES_OF_A_STACK // amplitudes) if in_stacks else 1,
        settings_at_once=executor._strategies.settings_at_once(job),
    )


def _ranges(size: int, parts: int) -> list[slice]:
    """Return ranges of equal size, up to one, that cover ``size`` items in order."""
    ends = np.linspace(0, size, parts + 1).round().astype(int).tolist()
    return [slice(start, end) for start, end in itertools.pairwise(ends)]
