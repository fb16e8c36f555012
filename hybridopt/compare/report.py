"""A study as a page that stands alone."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from hybridopt._pages import inlined, render
from hybridopt._plots import png
from hybridopt.compare.plots import curves_figure, differences_figure
from hybridopt.compare.recommendation import Recommendation
from hybridopt.compare.results import Results
from hybridopt.compare.statistics import percent
from hybridopt.compare.table import counted, study_table


def study_page(results: Results, recommendations: dict[str, Recommendation]) -> str:
    """The page: what to take by goal, table, pictures, rates, failures, how it was made."""
    pictures = {
        "curves.png": png(curves_figure(results)),
        "tall.png": png(curves_figure(results, columns=1)),
        "differences.png": png(differences_figure(results)),
    }
    return render(
        files("hybridopt.compare").joinpath("templates/study.html").read_text("utf-8"),
        results=results,
        table=study_table(results),
        recommendations=recommendations,
        label=results.label,
        pictures=inlined(pictures),
        rates=_rates(results),
        details=results.details,
        confidence=percent(results.confidence),
        fraction=percent(results.tuning["validation_fraction"]),
        counted=counted,
        target=results.target(),
        quantum=any(run.settings for run in results.runs),
    )


def _rates(results: Results) -> list[dict[str, Any]]:
    """The learning rates that tuning chose, seed by seed."""
    rows, stages = [], results.details.get("stages", {})
    for method in results.methods:
        chosen = [", ".join(f"{rate:.3g}" for rate in run.rates) for run in results.runs_of(method)]
        trials = [trial for run in results.runs if run.method == method for trial in run.trials]
        lost = sum(trial.metric is None for trial in trials)
        row = {"method": method, "chosen": " · ".join(chosen), "tried": len(trials), "lost": lost}
        rows.append({**row, "budgets": [stage["budget"] for stage in stages.get(method, ())]})
    return rows
