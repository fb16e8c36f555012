"""A study as a page that stands alone."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from hybridopt.pages import inlined, png, render
from hybridopt.study.comparison.recommendation import Recommendation
from hybridopt.study.comparison.results import Results
from hybridopt.study.comparison.statistics import percent
from hybridopt.study.comparison.study_figures import curves_figure, differences_figure
from hybridopt.study.comparison.study_table import LABELS, study_table
from hybridopt.study.comparison.wording import counted


def study_page(results: Results, recommendations: dict[str, Recommendation]) -> str:
    """The page: what to take, table, pictures, learning rates, failures, how it was made.

    Args:
        results: Of the study.
        recommendations: By goal.
    """
    pictures = {
        "curves.png": png(curves_figure(results)),
        "tall.png": png(curves_figure(results, columns=1)),
        "differences.png": png(differences_figure(results)),
    }
    return render(
        files("hybridopt.study").joinpath("templates/study.html").read_text("utf-8"),
        results=results,
        table=study_table(results, None),
        recommendations=recommendations,
        label=LABELS[results.metric_name],
        pictures=inlined(pictures),
        rates=_rates(results),
        details=results.details,
        confidence=percent(results.confidence),
        share=percent(results.tuning["share"]),
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
        rows.append(
            {
                "method": method,
                "chosen": " · ".join(chosen),
                "tried": len(trials),
                "lost": sum(trial.metric is None for trial in trials),
                "budgets": [stage["budget"] for stage in stages.get(method, ())],
            }
        )
    return rows
