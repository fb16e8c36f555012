"""Table of a study with one row per method, and numbers as text."""

from __future__ import annotations

import csv
import io
import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hybridopt import _validation
from hybridopt._files import write_text
from hybridopt._pages import html_table
from hybridopt.compare.executors import NO_CIRCUIT
from hybridopt.compare.results import Results, Summary
from hybridopt.compare.statistics import percent

NOT_KNOWN = "-"
LATEX = {
    **{letter: f"\\{letter}" for letter in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "<": "$<$",
    ">": "$>$",
    "|": "$|$",
}
_MINUS = re.compile(r"(?<!\w)-(?=\d)")


@dataclass(frozen=True)
class Table:
    """Table of texts; ``str(table)`` is plain text in columns.

    Attributes:
        header: Names of the columns.
        rows: Texts of the rows, one per column.
        notes: Lines below the plain text.

    Example:
        >>> print(Table(("method", "steps"), (("adam", "10"),)))
        method  steps
        adam       10
    """

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()

    def to_markdown(self) -> str:
        """Return the table in GitHub's Markdown."""
        marks = ("---", *("---:" for _ in self.header[1:]))
        lines = (self.header, marks, *self.rows)
        escaped = ((cell.replace("|", "\\|") for cell in line) for line in lines)
        return "\n".join(f"| {' | '.join(line)} |" for line in escaped)

    def to_latex(self) -> str:
        """Return a ``tabular`` of LaTeX with the rules of the package booktabs."""
        head, *body = (" & ".join(map(_latex, line)) + r" \\" for line in (self.header, *self.rows))
        columns = "l" + "r" * (len(self.header) - 1)
        lines = [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", head, r"\midrule", *body]
        return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"])

    def to_csv(self, path: str | os.PathLike[str] | None = None) -> str | Path:
        """Return or write the table as comma-separated values.

        Args:
            path: File to write; None returns the text.

        Raises:
            OutputError: If the file cannot be written.
        """
        buffer = io.StringIO()
        csv.writer(buffer, lineterminator="\n").writerows((self.header, *self.rows))
        text = buffer.getvalue()
        if path is None:
            return text
        path = _validation.path("path", path)
        return write_text(path, text)

    def __str__(self) -> str:
        lines = (self.header, *self.rows)
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        text = []
        for line in lines:
            cells = [cell.rjust(width) for cell, width in zip(line, widths, strict=True)]
            cells[0] = line[0].ljust(widths[0])
            text.append("  ".join(cells).rstrip())
        return "\n".join([*text, *self.notes])

    def _repr_html_(self) -> str:
        return html_table(self.header, self.rows, self.notes)


def _latex(cell: str) -> str:
    """Return a cell with escaped letters, and minus signs before numbers."""
    parts = _MINUS.split(cell)
    return "$-$".join("".join(LATEX.get(letter, letter) for letter in part) for part in parts)


def study_table(results: Results, reach: float | None = None) -> Table:
    """Return the table of a study: means ± standard deviations over seeds."""
    target, judge = results.target(reach), results.details.get("judge")
    trained = trained_on(results)
    sampled = any(run.metric_error is not None for run in results.runs)
    header = [
        "method", *["trained on"] * bool(trained),
        f"test {results.label}" + (f" on {judge}" if judge else ""),
        *["standard error"] * sampled, *["as trained"] * bool(judge),
        f"minus {results.control}", "train s", "infer ms",
        "steps", "settings", "shots", "parameters",
        *([] if target is None else [f"steps to {target:g}"]), *["runs"] * bool(results.failures),
    ]  # fmt: skip
    shown = {one.method: str(one.interval or NOT_KNOWN) for one in results.differences()}
    rows = []
    for method in results.methods:
        summary = results.summary(method, reach=reach)
        seconds, deviation = summary.values["inference_seconds"]
        row = [
            method,
            *([trained[method]] if trained else []),
            _spread(*summary.values["test_metric"], ".3f"),
            *([_error(results, method)] if sampled else []),
            *([_spread(*summary.values["trained_metric"], ".3f")] if judge else []),
            shown.get(method, ""),
            _spread(*summary.values["training_seconds"], ".2g"),
            _spread(1e3 * seconds, None if deviation is None else 1e3 * deviation, ".2g"),
        ]
        for name in ("steps", "settings", "shots", "trainable"):
            mean, deviation = summary.values[name]
            row.append(_spread(mean, deviation or None, ",.0f"))  # often equal for all seeds
        if target is not None:
            row.append(_reached(summary))
        if results.failures:
            row.append(f"{summary.done} of {summary.done + summary.failed}")
        rows.append(tuple(row))
    return Table(tuple(header), tuple(rows), tuple(_notes(results)))


def trained_on(results: Results) -> dict[str, str]:
    """Return the executors of each method in training; empty if none was given for one method."""
    if not results.details.get("executors"):
        return {}
    stages = results.details.get("stages", {})
    return {
        method: ", then ".join(
            dict.fromkeys(str(stage.get("executor", NOT_KNOWN)) for stage in stages.get(method, ()))
        )
        or NOT_KNOWN
        for method in results.methods
    }


def _error(results: Results, method: str) -> str:
    """Return the root mean square of the standard errors of a method's runs."""
    errors = [run.metric_error for run in results.runs_of(method) if run.metric_error is not None]
    return f"{math.hypot(*errors) / math.sqrt(len(errors)):.3f}" if errors else NOT_KNOWN


def _notes(results: Results) -> list[str]:
    """Return the notes below the table."""
    others, trials = len(results.methods) - 1, results.tuning["trials"]
    how = f"tuned with {trials} trials on a validation part of the training data"
    tuned = f"learning rates {how if trials > 1 else 'not tuned'}"
    seeds = counted(len(results.seeds), "seed")
    lines = [f"{results.data}, {seeds}, {results.budget} per method; {tuned}."]
    if others:
        lines.append(
            "Mean ± standard deviation over seeds; paired differences with simultaneous "
            f"{percent(results.confidence)} t intervals "
            f"(Bonferroni, {counted(others, 'comparison')})."
        )
    lines += judging_notes(results)
    failed = [f"Failed: {one.method}, seed {one.seed}: {one.error}" for one in results.failures]
    return lines + failed


def judging_notes(results: Results) -> list[str]:
    """Return notes on the executors of training and of the judge."""
    details = results.details
    known = [f"{label}: {text}" for text, label in details.get("executors", {}).items()]
    lines = [f"Executors: {'; '.join(known)}."] if known else []
    if judge := details.get("judge"):
        bare = [name for name, label in details.get("judged", {}).items() if label == NO_CIRCUIT]
        settings, shots, seconds = (
            sum(getattr(run, f"judging_{unit}") for run in results.runs)
            for unit in ("settings", "shots", "seconds")
        )
        cost = f"{counted(settings, 'setting')}, {counted(shots, 'shot')}, {seconds:.2g} s"
        free = f" {listed(bare)}, without circuits at the end, as trained." if bare else ""
        lines.append(f"Judged on {judge}, which cost {cost} besides the training.{free}")
    return lines


def _spread(mean: float, deviation: float | None, form: str) -> str:
    if math.isnan(mean):
        return NOT_KNOWN
    if form.endswith("g") and abs(mean) >= 100:  # no powers of ten
        form = ",.0f"
    if deviation is None:
        return f"{mean:{form}}"
    digits = form.replace("2g", "1g")  # deviations over few seeds are accurate to one digit
    return f"{mean:{form}} ± {deviation:{digits}}"


def _reached(summary: Summary) -> str:
    reached = summary.reached
    if not reached or not reached["count"]:
        return "never"
    steps, count = f"{reached['steps']:,.0f}", int(reached["count"])
    return steps if count == summary.done else f"{steps} ({count} of {summary.done})"


def counted(number: int, noun: str) -> str:
    """Return a number with a noun in singular or plural."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def listed(names: Sequence[str]) -> str:
    """Return names as a list in English."""
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
