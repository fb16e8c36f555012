"""A study: what a comparison found, and every way to show and keep it."""

from __future__ import annotations

import os
from dataclasses import fields
from importlib.resources import files
from pathlib import Path
from typing import Any

from hybridopt import _validation
from hybridopt._files import write_bytes, write_text
from hybridopt._pages import inlined, render
from hybridopt._plots import Figure, png
from hybridopt.compare import run_store
from hybridopt.compare.plots import curves_figure, differences_figure
from hybridopt.compare.recommendation import Recommendation, recommendation
from hybridopt.compare.results import Results
from hybridopt.compare.statistics import percent
from hybridopt.compare.table import Table, counted, study_table
from hybridopt.errors import CheckpointError, MissingExtraError

GOALS = ("accuracy", "time", "shots")


class Study(Results):
    """What `hybridopt.compare` found, in numbers, tables, pictures and words.

    Example:
        >>> import hybridopt as ho
        >>> study = ho.compare("mlp:4-3", "iris", methods=["adam", "gd"], budget="1 epoch",
        ...                    seeds=2, tuning=None)
        >>> print(study.table().to_markdown().splitlines()[0].split("|")[1].strip())
        method
    """

    def table(self, *, reach: float | None = None) -> Table:
        """Everything that is reported, a row a method: mean and standard deviation over seeds.

        Args:
            reach: Test metric for the column "steps to"; None is that of the study.

        Returns:
            A table; `str` gives text, ``to_csv`` and ``to_markdown`` other forms.
        """
        return study_table(self, reach)

    def recommend(self, goal: str = "accuracy", *, at_least: float | None = None) -> Recommendation:
        """Which method to take, and why, in words.

        Args:
            goal: ``"accuracy"`` is the best test metric; ``"time"`` the least training time and
                ``"shots"`` the fewest shots (of the methods that take any), among the methods that
                reach ``at_least``, or, without it, among those that the runs do not tell apart
                from the best.
            at_least: Test metric that must be reached, with every seed; time and shots are then
                counted up to there. For ``"accuracy"``, the mean must reach it.

        Returns:
            The recommendation. Methods with failed runs are named, and left aside as long as there
            are others without. It is undecided where the paired interval of the difference,
            corrected for the number of methods, holds 0: that difference is noise.

        Raises:
            UnknownNameError: For an unknown goal.
            ArgumentError: If no run came to its end, or none takes shots and shots are the goal.
        """
        _validation.choice("goal", goal, GOALS)
        _validation.optional_real("at_least", at_least)
        return recommendation(self, goal, at_least)

    def plot(self, path: str | os.PathLike[str] | None = None) -> Figure:
        """Test metric and training loss against steps, seconds and settings.

        Args:
            path: PNG file that is written, whole; None writes none.

        Returns:
            A matplotlib figure that belongs to no window.

        Raises:
            OutputError: If the file cannot be written.
        """
        target = None if path is None else _validation.path("path", path)
        figure = curves_figure(self)
        if target is not None:
            write_bytes(target, png(figure))
        return figure

    def to_html(self, path: str | os.PathLike[str]) -> Path:
        """Write the study as one page that stands alone, with its recommendations.

        Raises:
            OutputError: If the file cannot be written.
        """
        path = _validation.path("path", path)
        goals = [goal for goal in GOALS if goal != "shots" or any(run.shots for run in self.runs)]
        advice = {goal: self.recommend(goal) for goal in goals} if self.ranked() else {}
        figures = {"curves": curves_figure(self), "differences": differences_figure(self)}
        page = render(
            files("hybridopt.compare").joinpath("templates/study.html").read_text("utf-8"),
            results=self, table=self.table(), recommendations=advice, label=self.label,
            pictures=inlined({name: png(figure) for name, figure in figures.items()}),
            rates=_rates(self), details=self.details, confidence=percent(self.confidence),
            fraction=percent(self.tuning["validation_fraction"]), counted=counted,
            target=self.target(), quantum=any(run.settings for run in self.runs),
        )  # fmt: skip
        return write_text(path, page)

    def to_frame(self) -> Any:
        """The runs as a pandas ``DataFrame``, a row each, without their curves and trials.

        Raises:
            MissingExtraError: If pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise MissingExtraError("Study.to_frame() needs pandas: pip install pandas") from error
        rows = [run.to_dict() for run in self.runs]
        kept = [name for name in rows[0] if name not in {"curve", "trials", "rates"}]
        return pd.DataFrame([{name: row[name] for name in kept} for row in rows])

    def to_dict(self) -> dict[str, Any]:
        """Plain types only."""
        content = {one.name: getattr(self, one.name) for one in fields(self)}
        return {**run_store.head("study"), **content, "runs": [run.to_dict() for run in self.runs]}

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the study as JSON, whole or not at all; `hybridopt.load_study` reads it.

        Raises:
            OutputError: If the file cannot be written.
        """
        return run_store.write_content(path, "study", self.to_dict())

    def __str__(self) -> str:
        return str(self.table())


def load_study(path: str | os.PathLike[str]) -> Study:
    """Read a study that `Study.save` wrote; no code in it is run.

    Args:
        path: The file, or the folder that was the ``output`` of `hybridopt.compare`.

    Raises:
        ArgumentTypeError: If the path is none.
        CheckpointError: If the file is missing, damaged, or of another kind or version.

    Example:
        >>> from hybridopt import load_study
        >>> import tempfile, hybridopt as ho
        >>> study = ho.compare("mlp:4-3", "iris", methods=["adam", "gd"], budget="1 epoch",
        ...                    seeds=2, tuning=None)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     same = load_study(study.save(f"{folder}/study.json"))
        >>> same.methods
        ('adam', 'gd')
    """
    file = _validation.path("path", path)
    with run_store.damage_told(file, "study"):
        file = file / "study.json" if file.is_dir() else file
        if not file.is_file():
            raise CheckpointError(f"There is no study at {file}. `Study.save(path)` writes one.")
        return Study(**run_store.results_of(run_store.read_content(file, "study")))


def _rates(study: Study) -> list[dict[str, Any]]:
    """The learning rates that tuning chose, seed by seed."""
    rows, stages = [], study.details.get("stages", {})
    for method in study.methods:
        chosen = [", ".join(f"{rate:.3g}" for rate in run.rates) for run in study.runs_of(method)]
        trials = [trial for run in study.runs if run.method == method for trial in run.trials]
        lost = sum(trial.metric is None for trial in trials)
        row = {"method": method, "chosen": " · ".join(chosen), "tried": len(trials), "lost": lost}
        rows.append({**row, "budgets": [stage["budget"] for stage in stages.get(method, ())]})
    return rows
