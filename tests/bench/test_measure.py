"""Tests of the timing: complete rows, no wrong result timed, no slow one hidden."""

from __future__ import annotations

import gc
import json
import math
import re
import time
from dataclasses import dataclass, field

import numpy as np
import pytest

from hybridopt.bench.dense_twin import reference
from hybridopt.bench.measure import OUT_OF_TIME, OvertimeError, measure, timeout
from hybridopt.bench.peers.competitor import Competitor, Hybridopt, PreparedProblem
from hybridopt.bench.problem import ladder
from hybridopt.bench.row import FAILED, NOT_RUN, SLOW, TIMED, WRONG
from hybridopt.errors import UnsupportedError

PROBLEM = ladder(3, 6, 4)


@dataclass(eq=False)
class Scripted(Competitor):
    """Competitor with the results of the dense twin, made slow, wrong or failing."""

    name: str = "scripted"
    seconds: float = 0.0
    first: float = 0.0  # seconds that the first call takes longer
    error: float = 0.0
    fails: BaseException | None = None
    later: dict = field(default_factory=dict)  # attributes from the third call on
    one_by_one: bool = False
    compiles: bool = False
    library: str = "tests"
    rule: str = "adjoint"
    seen: list = field(default_factory=list)
    turns: list = field(default_factory=list)

    def prepare(self, problem):
        if self.fails:
            raise self.fails

        def gradient(x, w):
            self.seen.append((x.copy(), w.copy()))
            if len(self.seen) > 2:
                self.__dict__.update(self.later)
                if self.fails:
                    raise self.fails
            self.turns.append(self.name)
            seconds = self.seconds * (len(x) if self.one_by_one else 1)
            end = time.perf_counter() + seconds + self.first * (len(self.seen) == 1)
            while time.perf_counter() < end:
                pass
            twin = reference(problem, x, w)
            x[:], w[:] = 0, 0  # as a library may that computes in place
            return twin.values, twin.gradient + self.error

        return PreparedProblem(gradient)


def run(*competitors, **options):
    problem = options.pop("problem", PROBLEM)
    given = {"repetitions": 3, "max_seconds": 60.0, "seed": 0, **options}
    return measure(problem, competitors, **given)


def test_rows_are_complete_and_circuits_really_run(aer_calls):
    shift, adjoint = run(Hybridopt("parameter-shift"), Hybridopt("adjoint"))
    assert sum(aer_calls) >= 2 * 4  # a first call and three more, each with two runs
    assert {shift.status, adjoint.status} == {TIMED}
    assert (shift.qubits, shift.weights, shift.inputs) == (3, 6, 3)
    assert (shift.outputs, shift.batch) == (1, 4)
    assert len(shift.seconds) == 3
    assert min(shift.seconds) > 0
    assert len(shift.cpu_seconds) == 3
    assert shift.cpu_median > 0
    assert shift.settings == 4 * (1 + 2 * 6)  # per sample: values, and two shifts per weight
    assert (shift.spent_shots, adjoint.runs) == (0, 2)
    assert shift.deviation < 1e-12
    assert (shift.method, shift.device, shift.precision) == ("automatic", "CPU", "double")
    content = shift.as_dict()
    assert content["repetitions"] == 3
    assert content["min_seconds"] <= content["median_seconds"] <= content["max_seconds"]


def test_angles_are_equal_in_a_round_and_new_in_every_call():
    order: list[str] = []
    first, second = (Scripted(name, seconds=0.06, turns=order) for name in "ab")
    run(first, second)
    assert order == ["a", "b"] * 4
    for ours, theirs in zip(first.seen, second.seen, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))
    weights = [tuple(w) for _, w in first.seen]
    inputs = [tuple(x.ravel()) for x, _ in first.seen]
    assert len(set(weights)) == len(set(inputs)) == 4


def test_a_turn_repeats_short_calls_and_records_their_mean(monkeypatch):
    monkeypatch.setattr("hybridopt.bench.measure.TURN_CALLS", 3)
    monkeypatch.setattr("hybridopt.bench.measure.TURN_SECONDS", 100.0)
    order: list[str] = []
    first, second = (Scripted(name, seconds=0.02, turns=order) for name in "ab")
    row, _ = run(first, second, repetitions=2)
    assert order == ["a", "b", *["a"] * 3, *["b"] * 3, *["a"] * 3, *["b"] * 3]
    assert (len(row.seconds), row.calls) == (2, 6)
    assert min(row.seconds) >= 0.02
    assert len({tuple(w) for _, w in first.seen}) == 7


def test_a_wrong_result_is_never_timed():
    wrong = Scripted(error=1e-6)
    row, nan = run(wrong, Scripted(error=float("nan")))
    assert (row.status, row.seconds, len(wrong.seen)) == (WRONG, [], 1)
    assert row.deviation == pytest.approx(1e-6)
    assert row.reason == (
        "the outputs agree, but the gradient deviates from the dense twin by 1.0e-06 (relative), "
        "allowed 1e-09"
    )
    assert (nan.status, nan.deviation) == (WRONG, None)
    assert nan.reason == "the gradient contains NaN"
    json.dumps(nan.as_dict(), allow_nan=False)


def test_failing_and_slow_peers_have_a_reason_and_the_others_are_timed():
    failed, slow, fine = run(
        Scripted(fails=ZeroDivisionError("by zero")), Scripted("slow", seconds=30), Scripted(),
        max_seconds=0.5,
    )  # fmt: skip
    assert (failed.status, failed.reason) == (FAILED, "ZeroDivisionError: by zero")
    assert (slow.status, slow.seconds, slow.first_seconds) == (SLOW, [], 0.5)
    assert slow.reason == "the first call was stopped after 0.5 s"
    assert fine.status == TIMED
    assert (gc.isenabled(), gc.get_freeze_count()) == (True, 0)  # restored


@pytest.mark.parametrize(
    ("later", "options", "status", "reason"),
    [
        ({"error": 1e-3}, {}, WRONG, r"correct in the first call, wrong in the last: the outputs "),
        ({"error": math.nan}, {}, WRONG, "wrong in the last: the gradient contains NaN"),
        ({"fails": OSError("disk")}, {}, FAILED, "OSError: disk"),
        ({"seconds": 30}, {"max_seconds": 0.5}, SLOW, "a later call was stopped after 1 s"),
    ],
)
def test_a_peer_that_changes_after_the_first_call_is_not_timed(later, options, status, reason):
    changed, fine = run(Scripted(later=later), Scripted("fine"), **options)
    assert (changed.status, changed.seconds, changed.cpu_seconds) == (status, [], [])
    assert re.search(reason, changed.reason)
    assert (changed.median, fine.status, len(fine.seconds)) == (None, TIMED, 3)


def test_a_problem_that_a_library_cannot_express_is_no_failure():
    (row,) = run(Scripted(fails=UnsupportedError("no such gate")))
    assert (row.status, row.reason) == (NOT_RUN, "UnsupportedError: no such gate")


@pytest.mark.parametrize("result", [None, 3.0, ([[1.0], [2.0, 3.0]], [1.0])])
def test_results_that_are_no_arrays_are_failures(result, monkeypatch):
    monkeypatch.setattr(Scripted, "prepare", lambda *_: PreparedProblem(lambda *_: result))
    (row,) = run(Scripted())
    assert (row.status, row.first_seconds) == (FAILED, None)
    assert row.reason


def test_compilation_may_take_longer_than_a_call():
    (row,) = run(Scripted(first=0.6, compiles=True), max_seconds=0.4)
    assert (row.status, len(row.seconds) > 1) == (TIMED, True)
    assert row.first_seconds > 0.6 > min(row.seconds)
    assert run(Scripted(first=0.6), max_seconds=0.4)[0].status == SLOW


def test_one_sample_predicts_the_time_of_a_batch():
    slow = Scripted(seconds=0.3, one_by_one=True)
    (row,) = run(slow, max_seconds=0.5)
    assert row.status == SLOW
    assert re.search(r"so 4 samples take about \d s", row.reason)
    assert {len(x) for x, _ in slow.seen} == {1}
    doubtful = Scripted(seconds=0.3, one_by_one=True)  # 1.2 s are predicted, within the margin
    (row,) = run(doubtful, max_seconds=1.0)
    assert row.status == SLOW
    assert row.reason.startswith("the first call took ")
    assert row.first_seconds > 1.0


def test_a_competitor_too_slow_for_an_easier_problem_is_not_run():
    (slow,) = run(Scripted(seconds=30), max_seconds=0.3)
    again = Scripted(seconds=30)
    (row,) = run(again, problem=ladder(4, 8, 4), max_seconds=0.3, earlier=[slow])
    assert (row.status, again.seen) == (NOT_RUN, [])
    assert row.reason.startswith("ladder:3-6-4 already took more than 0.3 s")
    (easier,) = run(Scripted(), problem=ladder(2, 2, 4), earlier=[slow])
    assert easier.status == TIMED


def test_the_time_of_a_row_is_limited():
    (row,) = run(Scripted(seconds=0.2), repetitions=50, max_seconds=1.0)
    assert row.status == TIMED
    assert 2 <= len(row.seconds) <= 5
    assert row.calls == len(row.seconds)


def test_no_measurement_begins_after_the_limit():
    late = Scripted()
    (row,) = run(late, ends=time.perf_counter() - 1)
    assert (row.status, late.seen) == (NOT_RUN, [])
    assert row.reason == OUT_OF_TIME


def test_a_timeout_stops_late_blocks_only_and_is_reset():
    with timeout(0.2):
        pass
    with pytest.raises(OvertimeError), timeout(0.05):
        time.sleep(10)
    time.sleep(0.3)  # the alarm is off
