"""Studies: results of a comparison with tables, pictures, recommendations and files."""

from __future__ import annotations

import os
from dataclasses import fields
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hybridopt import _validation
from hybridopt._files import write_bytes, write_text
from hybridopt._pages import inlined, render
from hybridopt._plots import DATE, panels, png, rendered
from hybridopt._suggestions import missing_attribute
from hybridopt.compare import run_store
from hybridopt.compare.plots import (
    curves_figure,
    differences_figure,
    draw_metric,
    method_colors,
)
from hybridopt.compare.recommendation import Recommendation, recommendation
from hybridopt.compare.results import Results
from hybridopt.compare.statistics import percent
from hybridopt.compare.table import Table, counted, judging_notes, study_table
from hybridopt.errors import ArgumentTypeError, CheckpointError, MissingExtraError

GOALS = ("accuracy", "time", "shots")


class Study(Results):
    """Results of `hybridopt.compare` with tables, pictures, recommendations and files.

    Example:
        >>> import hybridopt as ho
        >>> study = ho.compare("mlp:4-3", "iris", methods=["adam", "gd"], budget="1 epoch",
        ...                    seeds=2, tuning=None)
        >>> print(study.table().to_markdown().splitlines()[0].split("|")[1].strip())
        method
    """

    if not TYPE_CHECKING:  # type checkers know the attributes

        def __getattr__(self, name: str) -> Any:
            raise missing_attribute(self, name)

    def table(self, *, reach: float | None = None) -> Table:
        """Return a table with one row per method: means and standard deviations over seeds.

        Args:
            reach: Test metric for the column "steps to"; None is that of the study.

        Returns:
            Table with ``to_csv`` and ``to_markdown``; ``str(table)`` is plain text.
        """
        return study_table(self, reach)

    def recommend(self, goal: str = "accuracy", *, at_least: float | None = None) -> Recommendation:
        """Recommend a method, with the reason.

        Args:
            goal: ``"accuracy"`` for the best test metric, ``"time"`` for the shortest training, or
                ``"shots"`` for the fewest shots among the methods with shots. Time and shots
                compare methods that reach ``at_least``; without it, methods whose difference to
                the best one is not significant.
            at_least: Test metric that each seed must reach; time and shots are those until then.
                For ``"accuracy"``, the mean must reach it.

        Returns:
            Method and reason. Methods with failed runs are considered only if all methods have
            some. The result is undecided if the corrected interval of the difference contains 0.

        Raises:
            UnknownNameError: If the goal is unknown.
            ArgumentError: If no run finished, or the goal is shots and no method has any.
        """
        _validation.choice("goal", goal, GOALS)
        _validation.optional_real("at_least", at_least)
        return recommendation(self, goal, at_least)

    def plot(self, path: str | os.PathLike[str] | None = None, *, ax: Any = None) -> Any:
        """Plot test metric and training loss against steps, seconds and settings.

        Args:
            path: File to write, SVG or PDF by its suffix, otherwise PNG. None writes no file, and
                draws on a new figure of pyplot, for ``plt.show()`` and ``plt.savefig(path)``.
            ax: Matplotlib axes, on which only the test metric is drawn, against steps.

        Returns:
            ``ax``, or an array of the new axes.

        Raises:
            ArgumentTypeError: If ``ax`` is not matplotlib axes.
            OutputError: If the file cannot be written.
        """
        target = None if path is None else _validation.path("path", path)
        if ax is None:
            figure, axes = curves_figure(self, window=target is None)
        else:
            if not hasattr(ax, "transAxes"):
                raise ArgumentTypeError(
                    f"`ax` must be matplotlib axes (got {ax!r}). Pass one of `plt.subplots()`."
                )
            draw_metric(ax, self)
            figure, axes = ax.figure, ax
        if target is not None:
            kind = target.suffix.removeprefix(".").lower()
            write_bytes(target, rendered(figure, kind) if kind in DATE else png(figure))
        return axes

    def to_html(self, path: str | os.PathLike[str]) -> Path:
        """Write the study with its recommendations to one self-contained HTML file.

        Raises:
            OutputError: If the file cannot be written.
        """
        path = _validation.path("path", path)
        goals = [goal for goal in GOALS if goal != "shots" or any(run.shots for run in self.runs)]
        advice = {goal: self.recommend(goal) for goal in goals} if self.ranked() else {}
        drawings = {
            f"{name}_{number}": picture
            for name, figure in (
                ("curves", curves_figure(self)[0]), ("differences", differences_figure(self)),
            )
            for number, picture in enumerate(panels(figure))
        }  # fmt: skip
        page = render(
            files("hybridopt.compare").joinpath("templates/study.html").read_text("utf-8"),
            results=self, table=self.table(), recommendations=advice, label=self.label,
            pictures=inlined(drawings), colors=method_colors(self),
            rates=_rates(self), details=self.details, confidence=percent(self.confidence),
            fraction=percent(self.tuning["validation_fraction"]), counted=counted,
            notes=judging_notes(self), target=self.target(),
            quantum=any(run.settings for run in self.runs),
        )  # fmt: skip
        return write_text(path, page)

    def to_frame(self) -> Any:
        """Return the runs as a pandas ``DataFrame`` without curves and trials.

        Raises:
            MissingExtraError: If pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise MissingExtraError(
                "`Study.to_frame()` needs pandas. Install it with `pip install pandas`."
            ) from error
        rows = [run.to_dict() for run in self.runs]
        kept = [name for name in rows[0] if name not in {"curve", "trials", "rates"}]
        return pd.DataFrame([{name: row[name] for name in kept} for row in rows])

    def to_dict(self) -> dict[str, Any]:
        """Return the study in plain types."""
        content = {one.name: getattr(self, one.name) for one in fields(self)}
        return {**run_store.head("study"), **content, "runs": [run.to_dict() for run in self.runs]}

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the study to a JSON file; `hybridopt.load_study` reads it.

        Raises:
            OutputError: If the file cannot be written.
        """
        return run_store.write_content(path, "study", self.to_dict())

    def __str__(self) -> str:
        return str(self.table())

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


def load_study(path: str | os.PathLike[str]) -> Study:
    """Read a study from a file of `Study.save`; no code is executed.

    Args:
        path: File, or ``output`` folder of `hybridopt.compare`.

    Raises:
        ArgumentTypeError: If the path has another type.
        CheckpointError: If the file is missing or damaged, or has another kind or schema.

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
    with run_store.damage_reported(file, "study"):
        file = file / "study.json" if file.is_dir() else file
        if not file.is_file():
            raise CheckpointError(f"Study {file} does not exist. Write it with `Study.save(path)`.")
        content = run_store.read_content(file, "study")
        study = Study(**run_store.results_of(content))
        run_store.check_digest(content)
        return study


def _rates(study: Study) -> list[dict[str, Any]]:
    """Return the rows of the page's table of budgets and learning rates."""
    rows, stages = [], study.details.get("stages", {})
    for method in study.methods:
        chosen = [", ".join(f"{rate:.3g}" for rate in run.rates) for run in study.runs_of(method)]
        trials = [trial for run in study.runs if run.method == method for trial in run.trials]
        lost = sum(trial.metric is None for trial in trials)
        tried = f"{len(trials)} ({lost} failed)" if lost else str(len(trials))
        row = {"method": method, "chosen": " · ".join(chosen), "tried": tried}
        rows.append({**row, "budgets": [stage["budget"] for stage in stages.get(method, ())]})
    return rows
