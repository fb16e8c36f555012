"""Tests of the cluster suite that do not depend on the speed of the machine."""

from __future__ import annotations

import json
import sys

import pytest
from typer.testing import CliRunner

from hybridopt.bench import BenchOutcome, cluster_suite, write_outcome
from hybridopt.bench.cluster_suite import ClusterRow, cluster_row, cluster_rows, jobs, run_cluster
from hybridopt.cli import app
from hybridopt.errors import MissingExtraError
from hybridopt.execution import AerExecutor
from hybridopt.execution.dask import cutting
from tests.execution.dask.fake_client import FakeClient
from tests.execution.jobs import job_of

ROW = ClusterRow("a job", 2, 8, 4.0, 6.0, 1.0, 4.0, 2.0, is_equal=True)


def test_efficiencies():
    assert (ROW.cpu_efficiency, ROW.wall_efficiency) == (0.8, 1.5)
    assert ROW.as_dict()["efficiency"] == {"cpu": 0.8, "wall": 1.5}
    (cells,) = cluster_rows([ROW])
    assert cells[-3:] == ["0.80", "1.50", "at least 0.8 of CPU"]


def test_row_of_a_job(monkeypatch):
    monkeypatch.setattr(cutting, "SMALLEST_PIECE", 1e-9)
    client = FakeClient(workers=1)
    job = job_of("pauli_rotations", 4, 4)
    row = cluster_row("tiny", lambda: AerExecutor(shots=10, seed=0), job, client, 1)
    assert row.is_equal
    assert (row.workers, row.pieces) == (1, 4)
    assert client.calls["run_piece"] == 3 * 4


def test_jobs_cover_all_kinds_of_work(monkeypatch):
    monkeypatch.setattr("hybridopt.execution.aer.in_place.circuit.usable_threads", lambda: 2)
    strategies = {}
    for name, (make, job) in jobs(quick=True).items():
        executor = make()
        executor.check(job.program, job.readout)
        strategies[name] = cutting.work_of(job, executor).strategy
    assert set(strategies.values()) == {"checkpoints", "measured", "in-place", "shared-ending"}


def test_files(tmp_path):
    write_outcome(BenchOutcome(cluster=[ROW]), tmp_path)
    content = json.loads((tmp_path / "bench.json").read_text("utf-8"))
    assert content["cluster"] == [ROW.as_dict()]
    page = (tmp_path / "bench.html").read_text("utf-8")
    assert "a job" in page
    assert "--suite cluster" in page


def test_command_prints_the_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(cluster_suite, "run_cluster", None)  # the command uses the public name
    monkeypatch.setattr("hybridopt.bench.run_cluster", lambda **options: [ROW])
    arguments = ["bench", "--suite", "cluster", "--output", str(tmp_path)]
    result = CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output
    assert "jobs on clusters" in result.output


def test_missing_package_names_the_install_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'hybridopt-qiskit\[dask\]'"):
        run_cluster(quick=True)
