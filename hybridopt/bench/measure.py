"""Timing of all competitors on one problem: checked first, then in turn."""

from __future__ import annotations

import gc
import math
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from types import FrameType

import numpy as np

from hybridopt.bench.correctness import Reference, deviation_from_twin, reference
from hybridopt.bench.peers.competitor import Competitor, PreparedProblem
from hybridopt.bench.problem import Problem
from hybridopt.bench.row import NOT_RUN, SLOW, TIMED, WRONG, Row
from hybridopt.execution import Cost

MIN_REPETITIONS = 2  # whatever the limit of a row
TURN_SECONDS = 0.05  # a turn repeats shorter calls: the first after others meets cold caches
TURN_CALLS = 16  # at most, each with angles of its own
OUT_OF_TIME = "the time for the whole benchmark was over"
PROBES = 3
COMPILE_SECONDS = 60.0  # for a first call that compiles, which the column of first calls shows
MARGIN = 2.0  # a batch may take less than so many samples, so only clear cases are left out
Angles = tuple[np.ndarray, np.ndarray]


class OvertimeError(BaseException):
    """The limit has passed; no `Exception`, so that no library takes it for one of its own."""


@dataclass
class Lane:
    """A competitor on a problem, in its own form once it is translated."""

    competitor: Competitor
    problem: Problem
    row: Row
    prepared: PreparedProblem | None = None
    spent: float = 0.0  # seconds of timed calls

    def call(self, x: np.ndarray, w: np.ndarray) -> tuple[float, Angles]:
        """Return the seconds of one call, and its result."""
        assert self.prepared is not None
        began = time.perf_counter()
        result = self.prepared.gradient(x, w)
        return time.perf_counter() - began, result


def measure(
    problem: Problem,
    competitors: Iterable[Competitor],
    *,
    repetitions: int,
    max_seconds: float,
    seed: int,
    ends: float = math.inf,
    earlier: Sequence[Row] = (),
    report: Callable[[str], object] = lambda _: None,
) -> list[Row]:
    """Check every competitor against the dense twin, then time them round by round.

    All of them get the same angles in a round, and no two calls of one have the same. In a round
    each has a turn: one call, or as many as fill a twentieth of a second, as in training.
    A competitor whose first call takes longer than ``max_seconds`` is reported with this call
    alone; one that took longer on an easier problem, in the rows ``earlier``, is not run. Nothing
    begins after ``ends``, on the clock of `time.perf_counter`.
    """
    streams = np.random.SeedSequence(seed).spawn(1 + TURN_CALLS * repetitions)
    first, *others = (problem.angles(np.random.default_rng(stream)) for stream in streams)
    lanes = [Lane(one, problem, Row.of(one, problem)) for one in competitors]
    report(f"{problem.name}: the dense twin")
    twin = reference(problem, *first)
    with _garbage_out_of_the_way():
        for lane in lanes:
            if time.perf_counter() > ends:
                lane.row.stop(NOT_RUN, OUT_OF_TIME)
                continue
            report(f"{problem.name}: {lane.row.label}, first call")
            _first_call(lane, twin, first, max_seconds, earlier)
        for number in range(repetitions):
            report(f"{problem.name}: round {number + 1} of {repetitions}")
            gc.collect()
            for lane in lanes:
                done = len(lane.row.seconds)
                late = done and time.perf_counter() > ends
                affordable = done < MIN_REPETITIONS or lane.spent * (done + 1) <= max_seconds * done
                if lane.row.status == TIMED and not late and affordable:
                    _turn(lane, others[TURN_CALLS * number : TURN_CALLS * (number + 1)])
    return [lane.row for lane in lanes]


def _first_call(
    lane: Lane, twin: Reference, angles: Angles, max_seconds: float, earlier: Sequence[Row]
) -> None:
    row = lane.row
    slower = _too_slow_before(row, earlier, max_seconds)
    if slower:
        row.stop(NOT_RUN, slower)
        return
    limit = max(max_seconds, COMPILE_SECONDS) if lane.competitor.compiles else max_seconds
    try:
        began = time.perf_counter()
        prepared = lane.prepared = lane.competitor.prepare(lane.problem)
        row.prepare_seconds = time.perf_counter() - began
        row.note = prepared.note
        if lane.competitor.one_by_one and _one_sample_says_too_long(lane, angles, max_seconds):
            return
        # theirs run in threads, which no signal stops, and one sample has shown that they will end
        with nullcontext() if lane.competitor.one_by_one else timeout(limit):
            row.first_seconds, (values, gradient) = lane.call(*angles)
    except OvertimeError:
        row.first_seconds = limit
        row.stop(SLOW, f"the first call was stopped after {limit:g} s")
        return
    except Exception as error:  # noqa: BLE001  # a peer may fail in any way; the row says how
        row.stop(NOT_RUN, f"{type(error).__name__}: {error}"[:300])
        return
    found = deviation_from_twin(lane.competitor, lane.problem, twin, values, gradient)
    row.deviation = found.size if math.isfinite(found.size) else None
    row.allowed, row.deviation_unit = found.allowed, found.unit
    if not found.agrees:
        row.stop(WRONG, f"deviates from the dense twin by {found.size:.1e} ({found.unit}); "
                 f"{found.allowed:.0e} is allowed")  # fmt: skip
        return
    if row.first_seconds > limit:
        row.stop(SLOW, f"the first call took {row.first_seconds:.1f} s, more than "
                 f"{max_seconds:g} s")  # fmt: skip
        return
    row.status = TIMED


def _too_slow_before(row: Row, earlier: Sequence[Row], max_seconds: float) -> str | None:
    """Why there is no hope, if an easier problem of the same family already took too long."""
    size = row.qubits, row.weights, row.batch
    for past in earlier:
        smaller = past.qubits, past.weights, past.batch
        easier = smaller != size and all(a <= b for a, b in zip(smaller, size, strict=True))
        same = (past.family, past.label, past.shots) == (row.family, row.label, row.shots)
        if easier and same and past.status == SLOW:
            return f"already {past.problem} took more than {max_seconds:g} s: {past.reason}"
    return None


def _one_sample_says_too_long(lane: Lane, angles: Angles, max_seconds: float) -> bool:
    """Time one sample of the batch where the others take as long each."""
    x, w = angles
    if len(x) == 1:
        return False
    seconds = math.inf
    for _ in range(PROBES):  # the first may set something up, another meet a busy moment
        seconds = min(seconds, lane.call(x[:1], w)[0])
        if seconds * len(x) <= MARGIN * max_seconds:
            return False
        if seconds > max_seconds:
            break
    lane.row.stop(SLOW, f"one sample took {seconds:.2f} s, so that {len(x)} one by one take about "
                  f"{seconds * len(x):.0f} s, more than {max_seconds:g} s")  # fmt: skip
    return True


def _turn(lane: Lane, angles: list[Angles]) -> None:
    """One call, or as many as fill the turn; their mean is noted."""
    assert lane.prepared is not None
    calls, seconds = 0, 0.0
    while calls < len(angles) and (not calls or seconds < TURN_SECONDS):
        before = lane.prepared.usage() if lane.prepared.usage else Cost()
        seconds += lane.call(*angles[calls])[0]
        calls += 1
    lane.row.seconds.append(seconds / calls)
    lane.row.calls += calls
    lane.spent += seconds
    if lane.prepared.usage:
        cost, row = lane.prepared.usage() - before, lane.row
        row.settings, row.spent_shots, row.runs = cost.settings, cost.shots, cost.runs


@contextmanager
def timeout(seconds: float) -> Iterator[None]:
    """Interrupt the block by an `OvertimeError` after so many seconds, between steps of Python.

    Without POSIX timers or outside of the main thread, the block is left to end by itself.
    """
    in_main = threading.current_thread() is threading.main_thread()
    if not in_main or not hasattr(signal, "setitimer"):
        yield
        return

    def ring(_number: int, _frame: FrameType | None) -> None:
        raise OvertimeError

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def _garbage_out_of_the_way() -> Iterator[None]:
    """No collection within a call; what the libraries brought along is left out of those between.

    A collection that one competitor's objects make due would be charged to whoever runs then.
    """
    was_enabled = gc.isenabled()
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.unfreeze()
        if was_enabled:
            gc.enable()
