"""The table of a study: a row a method."""

from __future__ import annotations

import math

from hybridopt.compare.formatting import counted
from hybridopt.compare.results import Difference, Results, Summary
from hybridopt.compare.statistics import percent
from hybridopt.compare.table import Table

LABELS = {"accuracy": "accuracy", "r2": "R²"}
NOT_KNOWN = "-"


def study_table(results: Results, reach: float | None) -> Table:
    """Everything that is reported of the methods, as mean ± standard deviation over seeds."""
    target = results.target(reach)
    label = LABELS[results.metric_name]
    header = [
        "method", f"test {label}", f"minus {results.control}", "train s", "infer ms", "steps",
        "settings", "shots", "numbers",
    ]  # fmt: skip
    if target is not None:
        header.append(f"steps to {target:g}")
    if results.failures:
        header.append("runs")
    differences = {one.method: one for one in results.differences()}
    rows = []
    for method in results.methods:
        summary = results.summary(method, reach=reach)
        row = [method, *_cells(summary, differences.get(method))]
        if target is not None:
            row.append(_reached(summary))
        if results.failures:
            row.append(f"{summary.done} of {summary.done + summary.failed}")
        rows.append(tuple(row))
    return Table(tuple(header), tuple(rows), tuple(notes(results)))


def notes(results: Results) -> list[str]:
    """How to read the table, in sentences."""
    seeds, methods = len(results.seeds), len(results.methods)
    trials = results.tuning["trials"]
    tuned = (
        f"learning rates tuned by {trials} trials each on a validation part of the training part"
        if trials > 1
        else "learning rates not tuned"
    )
    lines = [
        f"{results.data}, {counted(seeds, 'seed')}, {results.budget} for each method; {tuned}."
    ]
    if methods > 1:
        lines.append(
            f"Mean ± standard deviation over seeds; the difference in pairs, with "
            f"{percent(results.confidence)} t intervals that hold together "
            f"(Bonferroni, {methods - 1} of them)."
        )
    lines += [f"Failed: {run.method}, seed {run.seed}: {run.error}" for run in results.failures]
    return lines


def _cells(summary: Summary, difference: Difference | None) -> list[str]:
    values = summary.values
    seconds, deviation = values["inference_seconds"]
    milliseconds = None if deviation is None else 1e3 * deviation
    return [
        _spread(*values["test_metric"], ".3f"),
        difference_text(difference),
        _spread(*values["training_seconds"], ".2g"),
        _spread(1e3 * seconds, milliseconds, ".2g"),
        *(_count(*values[name]) for name in ("steps", "settings", "shots", "trainable")),
    ]


def difference_text(difference: Difference | None) -> str:
    """``+0.012 [-0.004, +0.028]``."""
    if difference is None:
        return ""
    found = difference.interval
    if found is None:
        return NOT_KNOWN
    return f"{found.mean:+.3f} [{found.low:+.3f}, {found.high:+.3f}]"


def _spread(mean: float, deviation: float | None, form: str) -> str:
    if math.isnan(mean):
        return NOT_KNOWN
    if form.endswith("g") and abs(mean) >= 100:  # no powers of ten
        form = ",.0f"
    if deviation is None:
        return f"{mean:{form}}"
    digits = form.replace("2g", "1g")  # a deviation over few seeds has one digit at most
    return f"{mean:{form}} ± {deviation:{digits}}"


def _count(mean: float, deviation: float | None) -> str:
    """Counts are the same in every seed, but where time is the budget."""
    if math.isnan(mean):
        return NOT_KNOWN
    return f"{mean:,.0f}" if not deviation else f"{mean:,.0f} ± {deviation:,.0f}"


def _reached(summary: Summary) -> str:
    reached = summary.reached
    if not reached or not reached["count"]:
        return "never"
    steps = f"{reached['steps']:,.0f}"
    count = int(reached["count"])
    return steps if count == summary.done else f"{steps} ({count} of {summary.done})"
