"""One small comparison for all tests of its results, and studies from artificial runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hybridopt.compare import Study, compare
from hybridopt.compare.results import Point, Run

METHODS = ["adam", "memory+adam", "twin+adam", "adam:1 > memory+adam:1", "newton"]
QUICK = {"network": "mlp:4-3", "data": "iris", "budget": 1, "seeds": 2, "tuning": None}


def quick(**change: object) -> Study:
    """Compare two optimizers for one epoch, with the given changes."""
    return compare(**{**QUICK, "methods": ["adam", "sgd"], **change})


def run(
    method: str, seed: int, metric: float, *, seconds: float = 1.0, shots: int = 0,
    reached_at: float = 1.0,
) -> Run:  # fmt: skip
    """Make a run that reaches its metric after a fraction of its seconds and shots."""
    points = [
        Point(0, 0, 0, 0.0, 0, 0, None, 1.0, 0.1),
        Point(0, 1, 10, seconds * reached_at, 0, round(shots * reached_at), 0.5, 0.5, metric),
        Point(0, 2, 20, seconds, 0, shots, 0.4, 0.4, metric),
    ]
    return Run(
        method, seed, test_metric=metric, training_seconds=seconds, inference_seconds=0.01,
        steps=20, shots=shots, trainable=5, num_test=100, curve=tuple(points),
    )  # fmt: skip


def runs(method: str, metrics: list[float], **options: Any) -> list[Run]:
    """Make one run per metric, with the seeds 0, 1, ..."""
    return [run(method, seed, metric, **options) for seed, metric in enumerate(metrics)]


def failed(method: str, *seeds: int) -> list[Run]:
    """Make failed runs."""
    return [Run(method, seed, "failed", "gone <b>") for seed in seeds]


def made_up(runs: list[Run], **options: Any) -> Study:
    """Make a study of artificial runs; the first run's method is the control."""
    methods = tuple(dict.fromkeys(one.method for one in runs))
    seeds = tuple(sorted({one.seed for one in runs}))
    tuning = {"trials": 1, "validation_fraction": 0.2, "step": 3.0}
    return Study(
        "toy", "classification", "accuracy", methods, methods[0], seeds, "2 epochs", tuning,
        tuple(runs), **options,
    )  # fmt: skip


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the output folder of the study."""
    return tmp_path_factory.mktemp("compare") / "deep" / "iris"


@pytest.fixture(scope="session")
def study(folder: Path) -> Study:
    """Compare five methods on iris: linear network, three seeds, two epochs, two trials."""
    return compare(
        "mlp:4-3", "iris", methods=METHODS, budget="2 epochs", seeds=3, tuning=2, output=folder
    )


@pytest.fixture
def no_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip the page, which takes longer than a small comparison; test_plots checks it."""
    monkeypatch.setattr(Study, "to_html", lambda study, path: path)
