"""One small run of the main job, for all tests of what comes out of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from hybridopt.demo import RunOutcome, RunSettings, run_main_job, write_report


@pytest.fixture(scope="module")
def outcome() -> RunOutcome:
    """Iris, exact, two epochs on the circuit."""
    return run_main_job(RunSettings(data="iris", epochs=2, fine_tuning_epochs=1, seed=4))


@pytest.fixture(scope="module")
def folder(outcome: RunOutcome, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of that run, in a folder that held a file before."""
    target = tmp_path_factory.mktemp("report") / "deep" / "run"
    target.mkdir(parents=True)
    (target / "notes.txt").write_text("mine")
    assert write_report(outcome, target) == target / "report.html"
    return target
