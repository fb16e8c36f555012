"""Timing of all competitors on one problem, after a check of their results."""

from __future__ import annotations

import gc
import math
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from importlib import import_module
from types import FrameType

import numpy as np

from hybridopt.bench.correctness import deviation_from_twin
from hybridopt.bench.dense_twin import Reference, reference
from hybridopt.bench.peers.competitor import Competitor, Duration, Numbers, PreparedProblem
from hybridopt.bench.problem import Problem
from hybridopt.bench.row import FAILED, NOT_RUN, SLOW, TIMED, WRONG, Row
from hybridopt.circuits.errors import CircuitError
from hybridopt.errors import UnsupportedError
from hybridopt.execution import Cost

MIN_REPETITIONS = 2  # even if they exceed the limit of a row
TURN_SECONDS = 0.05  # shorter calls are repeated: the first one of a turn runs with cold caches
TURN_CALLS = 16  # largest number of calls per turn, each with other angles
REFUSALS = (UnsupportedError, CircuitError)  # of problems that a library cannot express
OUT_OF_TIME = "the time limit of the whole benchmark was reached"
PROBES = 3  # calls with one sample
COMPILE_SECONDS = 60.0  # limit for a first call that compiles
MARGIN = 2.0  # a batch can take less than the sum of its samples: skip clear cases only
LATER = 2.0  # a call after the first may take this times longer: the machine may be busier
SAME = ("family", "label", "shots", "noise")  # of easier problems
Angles = tuple[np.ndarray, np.ndarray]
Result = tuple[Numbers, Numbers]  # outputs and gradient, in the types of the library
Report = Callable[[str], object]  # receives the name of each measurement before it begins


class OvertimeError(BaseException):
    """Time limit reached; not an `Exception`, so that no library catches it."""


@dataclass
class Lane:
    """Competitor on a problem, with its translation and its row."""

    competitor: Competitor
    problem: Problem
    row: Row
    prepared: PreparedProblem | None = None
    limit: float = math.inf  # for the first call [s]
    spent: float = 0.0  # timed calls [s]
    last: tuple[int, np.ndarray, np.ndarray] | None = None  # timed call: angles, result

    def call(self, x: np.ndarray, w: np.ndarray) -> tuple[Duration, Result]:
        """Return the duration of one call, and its result."""
        assert self.prepared is not None
        x, w = x.copy(), w.copy()  # a competitor may overwrite them
        cpu, wall = time.process_time(), time.perf_counter()
        result = self.prepared.gradient(x, w)
        took = Duration(time.perf_counter() - wall, time.process_time() - cpu)
        return self.prepared.duration() if self.prepared.duration else took, result

    def limited(self, seconds: float) -> AbstractContextManager[None]:
        """Return a block with a time limit.

        Competitors that run sample by sample run in threads, which no signal stops. The time of
        one sample shows that they end.
        """
        return nullcontext() if self.competitor.one_by_one else timeout(seconds)


def measure(
    problem: Problem,
    competitors: Iterable[Competitor],
    *,
    repetitions: int,
    max_seconds: float,
    seed: int,
    ends: float = math.inf,
    earlier: Sequence[Row] = (),
    report: Report = lambda _: None,
) -> list[Row]:
    """Time competitors in rounds, and compare the first and the last call with the dense twin.

    In a round, every competitor has one turn: one call, or several calls that fill 50 ms together.
    All competitors get the same angles in a round; no two calls of a competitor have the same.
    If the first call exceeds ``max_seconds``, only this call is reported. A competitor that
    exceeded it on an easier problem, in the rows ``earlier``, is not run. No measurement begins
    after ``ends``, on the clock of `time.perf_counter`. A competitor that raises an error, or that
    is wrong in its last call, has a reason instead of times.
    """
    streams = np.random.SeedSequence(seed).spawn(1 + TURN_CALLS * repetitions)
    first, *others = (problem.angles(np.random.default_rng(stream)) for stream in streams)
    lanes = [Lane(one, problem, Row.of(one, problem)) for one in competitors]
    report(f"{problem.name}: the dense twin")
    twin = reference(problem, *first)
    with _without_collection():
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
                    _turn(lane, others, TURN_CALLS * number)
    report(f"{problem.name}: check of the last calls")
    _check_last_calls(lanes, others)
    return [lane.row for lane in lanes]


def _first_call(
    lane: Lane, twin: Reference, angles: Angles, max_seconds: float, earlier: Sequence[Row]
) -> None:
    row = lane.row
    if reason := lane.competitor.unavailable() or _too_slow_before(row, earlier, max_seconds):
        row.stop(NOT_RUN, reason)
        return
    lane.limit = max(max_seconds, COMPILE_SECONDS) if lane.competitor.compiles else max_seconds
    with _failures(row, "the first call", lane.limit):
        began = time.perf_counter()
        prepared = lane.prepared = lane.competitor.prepare(lane.problem)
        row.prepare_seconds = time.perf_counter() - began
        row.note = prepared.note
        # torch imports it in a first call; a limit within an import leaves half a module
        import_module("torch._dynamo")
        if lane.competitor.one_by_one and _sample_takes_too_long(lane, angles, max_seconds):
            return
        with lane.limited(lane.limit):
            took, result = lane.call(*angles)
        row.first_seconds = took.wall
        values, gradient = map(np.array, result)
    if row.reason:
        row.first_seconds = lane.limit if row.status == SLOW else None
    elif reason := _compare(lane, twin, values, gradient):
        row.stop(WRONG, reason)
    elif took.wall > lane.limit:
        row.stop(SLOW, f"the first call took {took.wall:.1f} s; the limit is "
                 f"{max_seconds:g} s")  # fmt: skip
    else:
        row.status = TIMED


def _compare(lane: Lane, twin: Reference, values: np.ndarray, gradient: np.ndarray) -> str:
    """Set the largest deviation so far; return why the result is wrong, or an empty text."""
    row = lane.row
    found = deviation_from_twin(lane.competitor, lane.problem, twin, values, gradient)
    row.allowed, row.deviation_unit = found.allowed, found.unit
    row.deviation = max(row.deviation or 0.0, found.size) if math.isfinite(found.size) else None
    return found.reason


def _check_last_calls(lanes: Iterable[Lane], angles: Sequence[Angles]) -> None:
    """Compare the last timed calls with the twin, which runs once for equal angles."""
    twins: dict[int, Reference] = {}
    for lane in lanes:
        if lane.row.status != TIMED or lane.last is None:
            continue
        place, values, gradient = lane.last
        if place not in twins:
            twins[place] = reference(lane.problem, *angles[place])
        if reason := _compare(lane, twins[place], values, gradient):
            lane.row.stop(WRONG, f"correct in the first call, wrong in the last: {reason}")


@contextmanager
def _failures(row: Row, call: str, limit: float) -> Iterator[None]:
    """Give a row its status and reason if the block raises an error or exceeds its limit."""
    try:
        yield
    except OvertimeError:
        row.stop(SLOW, f"{call} was stopped after {limit:g} s")
    except (Exception, SystemExit) as error:  # noqa: BLE001  # a peer can fail in any way; the row has the reason
        status = NOT_RUN if isinstance(error, REFUSALS) else FAILED
        row.stop(status, f"{type(error).__name__}: {error}"[:300])


def _too_slow_before(row: Row, earlier: Sequence[Row], max_seconds: float) -> str | None:
    """Return a reason to skip the row, if an easier problem of its family took too long."""
    size = row.qubits, row.weights, row.batch
    for past in earlier:
        smaller = past.qubits, past.weights, past.batch
        easier = smaller != size and all(a <= b for a, b in zip(smaller, size, strict=True))
        same = all(getattr(past, name) == getattr(row, name) for name in SAME)
        if easier and same and past.status == SLOW:
            return f"{past.problem} already took more than {max_seconds:g} s: {past.reason}"
    return None


def _sample_takes_too_long(lane: Lane, angles: Angles, max_seconds: float) -> bool:
    """Return True if the time of one sample shows that the batch would take too long."""
    x, w = angles
    if len(x) == 1:
        return False
    seconds = math.inf
    for _ in range(PROBES):  # the first can include a setup, another a busy moment
        seconds = min(seconds, lane.call(x[:1], w)[0].wall)
        if seconds * len(x) <= MARGIN * max_seconds:
            return False
        if seconds > max_seconds:
            break
    lane.row.stop(SLOW, f"one sample took {seconds:.2f} s, so {len(x)} samples take about "
                  f"{seconds * len(x):.0f} s; the limit is {max_seconds:g} s")  # fmt: skip
    return True


def _turn(lane: Lane, angles: Sequence[Angles], first: int) -> None:
    """Run one call, or several that fill the turn, and record their mean."""
    assert lane.prepared is not None
    calls, seconds, cpu, row, limit = 0, 0.0, 0.0, lane.row, LATER * lane.limit
    with _failures(row, "a later call", limit), lane.limited(limit):
        while calls < TURN_CALLS and (not calls or seconds < TURN_SECONDS):
            before = lane.prepared.usage() if lane.prepared.usage else Cost()
            took, result = lane.call(*angles[first + calls])
            seconds, cpu = seconds + took.wall, cpu + took.cpu
            calls += 1
        values, gradient = map(np.array, result)
    if row.reason:
        return
    lane.last = first + calls - 1, values, gradient
    row.seconds.append(seconds / calls)
    row.cpu_seconds.append(cpu / calls)
    row.calls += calls
    lane.spent += seconds
    if lane.prepared.usage:
        cost = lane.prepared.usage() - before
        row.settings, row.spent_shots, row.runs = cost.settings, cost.shots, cost.runs


@contextmanager
def timeout(seconds: float) -> Iterator[None]:
    """Raise `OvertimeError` in the block after a time limit; without effect in other threads."""
    if threading.current_thread() is not threading.main_thread():
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
def _without_collection() -> Iterator[None]:
    """Disable garbage collection: it would be timed with the competitor that runs at the moment."""
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
