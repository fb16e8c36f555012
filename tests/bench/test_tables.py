"""Tests of the tables of a benchmark, from made-up rows."""

from __future__ import annotations

from hybridopt.bench.peers import PennyLane
from hybridopt.bench.peers.competitor import Hybridopt
from hybridopt.bench.problem import ladder
from hybridopt.bench.row import FAILED, NOT_RUN, TIMED, Row
from hybridopt.bench.tables import left_out, markdown, problem_tables

PEER = PennyLane("lightning.qubit", "adjoint")


def row(competitor, wall=None, cpu=None, status=TIMED, reason="") -> Row:
    made = Row.of(competitor, ladder(3, 6, 4))
    made.status, made.reason = status, reason
    if wall is not None:
        made.seconds, made.cpu_seconds = [wall], [cpu]
    return made


def test_clearly_different_ratios_of_cpu_times_are_shown():
    ours = row(Hybridopt("adjoint"), 1.0, 1.0)
    for wall, cpu, shown in [
        (4.0, 2.0, "lightning.qubit, adjoint is 2.0 times slower"),  # 4 times by wall time
        (4.0, 3.9, ""),
        (2.0, 4.0, ""),  # two threads
    ]:
        (table,) = problem_tables([ours, row(PEER, wall, cpu)])
        assert [shown in remark for remark in table.remarks] == [True] * bool(shown)
        assert table.rows[1][6] == f"{wall:.1f} times slower"


def test_failed_rows_are_in_the_table_and_missing_ones_below():
    rows = [row(Hybridopt("adjoint"), 1.0, 1.0), row(PEER, status=FAILED, reason="boom")]
    (table,) = problem_tables(rows)
    assert [cells[2] for cells in table.rows] == ["1 s", "failed"]
    assert table.remarks == ["PennyLane lightning.qubit, adjoint: boom"]
    assert left_out(rows) == []
    text = markdown(rows, [], [])
    assert "Observables: ZZZ" in text
    assert "boom" in text
    missing = row(PEER, status=NOT_RUN, reason="not installed")
    assert [len(one.rows) for one in problem_tables([missing])] == []
    assert "not installed" in left_out([missing])[0]
