"""Tests of the suite of GPUs that do not depend on the speed of a machine."""

from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from hybridopt.bench import BenchOutcome, GpuRow, gpu_suite, run_gpu, write_outcome
from hybridopt.bench.gpu_suite import TASKS, gpu_rows, gpu_summary, pays_from
from hybridopt.cli import app
from hybridopt.errors import DeviceError, ResourceError
from hybridopt.execution import available_devices


def row(task: str, qubits: int, cpu: float | None, gpu: float | None, deviation=1e-14) -> GpuRow:
    return GpuRow(task, qubits, 2 * qubits, 4, cpu, gpu, None, deviation, "")


ROWS = [
    row("values", 12, 1.0, 2.0), row("values", 16, 3.0, 2.0), row("values", 20, 9.0, 3.0),
    row("values", 24, None, 3.0, None),
    row("gradient", 12, 3.0, 2.0), row("gradient", 16, 1.0, 2.0),
]  # fmt: skip


def test_the_gpu_pays_from_the_size_after_which_it_stays_faster():
    assert [one.ratio for one in ROWS] == [0.5, 1.5, 3.0, None, 1.5, 0.5]
    assert (pays_from(ROWS, "values"), pays_from(ROWS, "gradient")) == (16, None)
    assert row("values", 12, 3.0, 2.0, deviation=1e-3).ratio is None
    assert row("values", 12, 3.0, 2.0, deviation=np.nan).ratio is None
    first, second = gpu_summary(ROWS)
    assert "from 16 qubits" in first
    assert "at no size" in second
    assert gpu_rows(ROWS)[0][4:9] == ["1000.0 ms", "2000.0 ms", "", "0.50", "1e-14"]


def test_every_size_is_compared_with_the_cpu(fake_gpu, monkeypatch):
    monkeypatch.setattr(gpu_suite, "AMPLITUDES", 1 << 6)
    names = []
    rows = run_gpu(qubits=(3, 5), report=names.append)
    assert [(one.task, one.qubits, one.batch) for one in rows] == [
        (task, size, batch) for task in TASKS for size, batch in ((3, 8), (5, 2))
    ]
    assert len(names) == len(rows)
    for one in rows:
        assert one.deviation <= 1e-13
        assert min(one.cpu, one.gpu, one.gpu_single, one.ratio) > 0
        assert one.note == ""
    assert {options["precision"] for options in fake_gpu.made_with} == {"double", "single"}


def test_missing_times_have_a_reason(fake_gpu, monkeypatch):
    monkeypatch.setattr(gpu_suite, "SLOW_CALL", 0.0)
    rows = run_gpu(qubits=(3, 4))
    assert rows[0].cpu is not None  # the first call, though it is slow
    assert rows[1].cpu is rows[1].ratio is None
    assert "CPU double: 3 qubits took 0 s" in rows[1].note
    monkeypatch.setattr(gpu_suite, "WHOLE", -1.0)
    assert "time is up" in run_gpu(qubits=(3,))[0].note


def test_refused_sizes_are_noted(fake_gpu, monkeypatch):
    def refuse(*_):
        raise ResourceError("`max_memory` must be larger.")

    monkeypatch.setattr(gpu_suite, "_timed", refuse)
    (first, *_) = run_gpu(qubits=(3,))
    assert first.note.count("`max_memory` must be larger.") == 3


def test_files_and_command(tmp_path, monkeypatch):
    write_outcome(BenchOutcome(gpu=ROWS), tmp_path)
    content = json.loads((tmp_path / "bench.json").read_text("utf-8"))
    assert content["gpu"] == [one.as_dict() for one in ROWS]
    page = (tmp_path / "bench.html").read_text("utf-8")
    assert "--suite gpu" in page
    assert "from 16 qubits" in page
    monkeypatch.setattr("hybridopt.bench.run_gpu", lambda **options: ROWS)
    arguments = ["bench", "--suite", "gpu", "--output", str(tmp_path)]
    result = CliRunner().invoke(app, arguments, env={"COLUMNS": "160"})
    assert result.exit_code == 0
    assert "a GPU beside the CPU" in result.output
    assert "1000.0 ms" in result.output


@pytest.mark.skipif("GPU" in available_devices(), reason="this machine has a GPU that Aer can use")
def test_without_a_gpu_nothing_is_measured(aer_calls):
    with pytest.raises(DeviceError, match="`device`"):
        run_gpu()
    assert aer_calls == []
