"""One small comparison for all tests of what comes out of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from hybridopt.compare import Study, compare

METHODS = ["adam", "memory+adam", "twin+adam", "adam:1 > memory+adam:1", "newton"]
QUICK = {"network": "mlp:4-3", "data": "iris", "budget": 1, "seeds": 2, "tuning": None}


def quick(**change: object) -> Study:
    """Compare two optimizers for an epoch, but for the changes."""
    return compare(**{**QUICK, "methods": ["adam", "sgd"], **change})


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the comparison is kept."""
    return tmp_path_factory.mktemp("compare") / "deep" / "iris"


@pytest.fixture(scope="session")
def study(folder: Path) -> Study:
    """A linear network on iris: five methods, three seeds, two epochs, two trials."""
    return compare(
        "mlp:4-3", "iris", methods=METHODS, budget="2 epochs", seeds=3, tuning=2, output=folder
    )


@pytest.fixture
def no_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages take longer than all else in a small comparison; test_report looks at them."""
    monkeypatch.setattr(Study, "to_html", lambda study, path: path)
