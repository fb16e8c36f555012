"""One small main job and its report for all tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from hybridopt.demo import RunOutcome, RunSettings, run_main_job, write_report


@pytest.fixture(scope="module")
def outcome() -> RunOutcome:
    """Run the job on iris, exactly, two epochs on the circuit."""
    return run_main_job(RunSettings(data="iris", epochs=2, fine_tuning_epochs=1, seed=4))


@pytest.fixture(scope="module")
def folder(outcome: RunOutcome, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the report into a folder with another file."""
    target = tmp_path_factory.mktemp("report") / "deep" / "run"
    target.mkdir(parents=True)
    (target / "notes.txt").write_text("mine")
    assert write_report(outcome, target) == target / "report.html"
    return target
