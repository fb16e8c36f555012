"""Timing of all competitors on one problem, after a check of their results."""

from __future__ import annotations

import gc
import math
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from importlib import import_module
from types import FrameType

import numpy as np

from hybridopt.bench.correctness import deviation_from_twin
from hybridopt.bench.dense_twin import Reference, reference
from hybridopt.bench.peers.competitor import Competitor, Duration, PreparedProblem
from hybridopt.bench.problem import Problem
from hybridopt.bench.row import NOT_RUN, SLOW, TIMED, WRONG, Row
from hybridopt.execution import Cost

MIN_REPETITIONS = 2  # even if they exceed the limit of a row
TURN_SECONDS = 0.05  # shorter calls are repeated: the first one of a turn runs with cold caches
TURN_CALLS = 16  # largest number of calls per turn, each with other angles
OUT_OF_TIME = "the time limit of the whole benchmark was reached"
PROBES = 3  # calls with one sample
COMPILE_SECONDS = 60.0  # limit for a first call that compiles
MARGIN = 2.0  # a batch can take less than the sum of its samples: skip clear cases only
SAME = ("family", "label", "shots", "noise")  # of easier problems
Angles = tuple[np.ndarray, np.ndarray]
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
    spent: float = 0.0  # timed calls [s]

    def call(self, x: np.ndarray, w: np.ndarray) -> tuple[Duration, Angles]:
        """Return the duration of one call, and its result."""
        assert self.prepared is not None
        cpu, wall = time.process_time(), time.perf_counter()
        result = self.prepared.gradient(x, w)
        took = Duration(time.perf_counter() - wall, time.process_time() - cpu)
        return self.prepared.duration() if self.prepared.duration else took, result


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
    """Compare every competitor with the dense twin, then time them in rounds.

    In a round, every competitor has one turn: one call, or several calls that fill 50 ms together.
    All competitors get the same angles in a round; no two calls of a competitor have the same.
    If the first call exceeds ``max_seconds``, only this call is reported. A competitor that
    exceeded it on an easier problem, in the rows ``earlier``, is not run. No measurement begins
    after ``ends``, on the clock of `time.perf_counter`.
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
                    _turn(lane, others[TURN_CALLS * number : TURN_CALLS * (number + 1)])
    return [lane.row for lane in lanes]


def _first_call(
    lane: Lane, twin: Reference, angles: Angles, max_seconds: float, earlier: Sequence[Row]
) -> None:
    row = lane.row
    if reason := lane.competitor.unavailable() or _too_slow_before(row, earlier, max_seconds):
        row.stop(NOT_RUN, reason)
        return
    limit = max(max_seconds, COMPILE_SECONDS) if lane.competitor.compiles else max_seconds
    try:
        began = time.perf_counter()
        prepared = lane.prepared = lane.competitor.prepare(lane.problem)
        row.prepare_seconds = time.perf_counter() - began
        row.note = prepared.note
        # torch imports it in a first call; a limit within an import leaves half a module
        import_module("torch._dynamo")
        if lane.competitor.one_by_one and _sample_takes_too_long(lane, angles, max_seconds):
            return
        # these run in threads, which no signal stops; one sample has shown that they end
        with nullcontext() if lane.competitor.one_by_one else timeout(limit):
            took, (values, gradient) = lane.call(*angles)
        row.first_seconds = took.wall
    except OvertimeError:
        row.first_seconds = limit
        row.stop(SLOW, f"the first call was stopped after {limit:g} s")
        return
    except Exception as error:  # noqa: BLE001  # a peer can fail in any way; the row has the reason
        row.stop(NOT_RUN, f"{type(error).__name__}: {error}"[:300])
        return
    found = deviation_from_twin(lane.competitor, lane.problem, twin, values, gradient)
    row.deviation = found.size if math.isfinite(found.size) else None
    row.allowed, row.deviation_unit = found.allowed, found.unit
    if not found.agrees:
        row.stop(WRONG, f"deviation from the dense twin {found.size:.1e} ({found.unit}), "
                 f"allowed {found.allowed:.0e}")  # fmt: skip
        return
    if row.first_seconds > limit:
        row.stop(SLOW, f"the first call took {row.first_seconds:.1f} s; the limit is "
                 f"{max_seconds:g} s")  # fmt: skip
        return
    row.status = TIMED


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


def _turn(lane: Lane, angles: list[Angles]) -> None:
    """Run one call, or several that fill the turn, and record their mean."""
    assert lane.prepared is not None
    calls, seconds, cpu = 0, 0.0, 0.0
    while calls < len(angles) and (not calls or seconds < TURN_SECONDS):
        before = lane.prepared.usage() if lane.prepared.usage else Cost()
        took, _ = lane.call(*angles[calls])
        seconds, cpu = seconds + took.wall, cpu + took.cpu
        calls += 1
    lane.row.seconds.append(seconds / calls)
    lane.row.cpu_seconds.append(cpu / calls)
    lane.row.calls += calls
    lane.spent += seconds
    if lane.prepared.usage:
        cost, row = lane.prepared.usage() - before, lane.row
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
