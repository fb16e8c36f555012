"""Tables of rows and findings as text."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from hybridopt.bench.correctness import EXACT_UNIT
from hybridopt.bench.row import NOT_RUN, Finding, Row
from hybridopt.bench.units import ratio_text, seconds_text

HEADER = (
    "simulator", "rule", "time", "CPU time", "min to max", "calls", "beside ours", "first call",
    "deviation", "settings", "shots", "runs",
)  # fmt: skip
NARROW = (0, 1, 2, 3, 6)  # columns for narrow terminals
WIDE = 175  # characters that all columns need
ONE_THREAD = 1.05  # largest ratio of CPU and wall time of one thread
CLEAR = 1.2  # ratios that differ by this factor are both shown
GOAL_HEADER = ("goal", "to reach", "measured", "reached")
Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class ProblemTable:
    """Rows of one problem."""

    problem: str
    observables: str
    rows: list[tuple[str, ...]]  # cells under HEADER
    ours: list[bool]  # True for a row of hybridopt
    best: list[bool]  # True for the fastest row of its kind of rule
    remarks: list[str]  # a reason for each row that was not timed, and ratios of CPU times


def problem_tables(rows: Iterable[Row]) -> list[ProblemTable]:
    """Return the rows that ran, grouped by problem, in the order of measurement."""
    ran = [row for row in rows if row.status != NOT_RUN]
    return [
        ProblemTable(
            problem,
            members[0].observables,
            [_cells(row, members) for row in members],
            [row.is_ours for row in members],
            [_is_best(row, members) for row in members],
            [*(f"{row.label}: {row.reason}" for row in members if row.reason), *_by_cpu(members)],
        )
        for problem, members in grouped(ran, lambda row: row.problem).items()
    ]


def left_out(rows: Iterable[Row]) -> list[str]:
    """Return one line per reason why rows were not run."""
    lines = []
    not_run = [row for row in rows if row.status == NOT_RUN]
    for reason, members in grouped(not_run, lambda row: row.reason).items():
        names = ", ".join(f"{row.label} ({row.problem})" for row in members[:3])
        more = f" and {len(members) - 3} more" if len(members) > 3 else ""
        lines.append(f"Not run: {names}{more}: {reason}")
    return lines


def goal_rows(findings: Iterable[Finding]) -> list[tuple[str, ...]]:
    """Return cells under `GOAL_HEADER`."""
    return [
        (one.text, f"{one.factor:.3g} times", f"{one.measured:.3g} times",
         "yes" if one.reached else "no")
        for one in findings
    ]  # fmt: skip


def markdown(rows: Iterable[Row], findings: Iterable[Finding], notes: Iterable[str]) -> str:
    """Return goals, rows and notes as a Markdown page."""
    members, found = list(rows), goal_rows(findings)
    lines = ["# hybridopt bench", ""]
    lines += [*_markdown_table(GOAL_HEADER, found), ""] if found else []
    for group in problem_tables(members):
        lines += [f"## {group.problem}", "", f"Observables: {group.observables}", ""]
        lines += [*_markdown_table(HEADER, group.rows), ""]
        lines += [f"- {remark}" for remark in group.remarks] + [""] * bool(group.remarks)
    lines += [f"- {note}" for note in (*notes, *left_out(members))]
    return "\n".join(lines).rstrip() + "\n"


def grouped(rows: Iterable[Row], key: Callable[[Row], Key]) -> dict[Key, list[Row]]:
    """Return the rows grouped by a key, in their order."""
    groups: dict[Key, list[Row]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return groups


def _cells(row: Row, members: Sequence[Row]) -> tuple[str, ...]:
    if row.median is None or row.cpu_median is None:
        return (row.competitor, row.rule, row.status, *[""] * 5, _deviation(row), *[""] * 3)
    low, high = (seconds_text(seconds) for seconds in (min(row.seconds), max(row.seconds)))
    ours = _ours(row, members)
    return (
        row.competitor,
        row.rule,
        seconds_text(row.median),
        seconds_text(row.cpu_median),
        f"{low} to {high}",
        str(row.calls),
        "" if ours is row or ours.median is None else ratio_text(row.median / ours.median),
        "" if row.first_seconds is None else seconds_text(row.first_seconds),
        _deviation(row),
        *("" if n is None else f"{n:,}" for n in (row.settings, row.spent_shots, row.runs)),
    )


def _ours(row: Row, members: Iterable[Row]) -> Row:
    """Return our first row of the same kind of rule; the row itself if there is none."""
    return next((one for one in members if one.is_ours and one.kind == row.kind), row)


def _by_cpu(members: Sequence[Row]) -> list[str]:
    """Return ratios of CPU times that differ much from those of the wall times.

    Both rows must use one thread: only then does the ratio compare the same thing.
    """
    found = []
    for row in members:
        ours = _ours(row, members)
        if ours is row or not (_uses_one_thread(ours) and _uses_one_thread(row)):
            continue
        cpu = (row.cpu_median or 0) / (ours.cpu_median or 1)
        if not 1 / CLEAR < cpu / ((row.median or 0) / (ours.median or 1)) < CLEAR:
            found.append(f"{row.label} is {ratio_text(cpu)}")
    return [
        f"By CPU time, {', '.join(found)}. The machine was busy, or a simulator waited."
    ] * bool(found)


def _uses_one_thread(row: Row) -> bool:
    return bool(row.median and row.cpu_median and row.cpu_median <= ONE_THREAD * row.median)


def _is_best(row: Row, members: Sequence[Row]) -> bool:
    times = [one.median for one in members if one.kind == row.kind and one.median is not None]
    return row.median is not None and len(times) > 1 and row.median == min(times)


def _deviation(row: Row) -> str:
    if row.deviation is None:
        return ""
    exact = row.deviation_unit == EXACT_UNIT
    return f"{row.deviation:.0e}" if exact else f"{row.deviation:.1f} se"  # standard errors


def _markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    rule = ["---", "---", *["---:"] * (len(header) - 2)]
    return [
        "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
        for cells in (header, rule, *rows)
    ]
