"""Results of one run of the benchmark, and their files."""

from __future__ import annotations

import csv
import io
import json
import os
import platform
import subprocess
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch

from hybridopt._environment import versions
from hybridopt._files import output_folder, write_bytes, write_text
from hybridopt._pages import inlined, render
from hybridopt._plots import panels, png
from hybridopt.bench import tables
from hybridopt.bench.cluster_suite import HEADER as CLUSTER_HEADER
from hybridopt.bench.cluster_suite import ClusterRow, cluster_rows
from hybridopt.bench.figures import bridge_figure, series, time_figure
from hybridopt.bench.gpu_suite import HEADER as GPU_HEADER
from hybridopt.bench.gpu_suite import GpuRow, gpu_rows, gpu_summary
from hybridopt.bench.row import Row
from hybridopt.bench.simulators import MEASURED, SimulatorOutcome
from hybridopt.bench.training_suite import TrainingOutcome, training_rows

SCHEMA = 3
PACKAGES = (
    "hybridopt-qiskit", "qiskit", "qiskit-aer", "qiskit-machine-learning", "torch", "numpy",
    "scipy", "pennylane", "pennylane-lightning", "tensorcircuit-ng", "jax", "pyqtorch", "qulacs",
    "dask", "distributed",
)  # fmt: skip


def machine() -> dict[str, object]:
    """Return processor, cores, load of the last minute, threads, memory, system and Python."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "usable_cores": usable,
        "load_average": os.getloadavg()[0],
        "torch_threads": torch.get_num_threads(),
        "omp": {name: value for name, value in os.environ.items() if name.startswith("OMP_")},
        "memory_gigabytes": round(memory / 1e9, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "accelerator": torch.cuda.get_device_name(0) if torch.cuda.is_available() else None,
    }


def commit() -> str | None:
    """Return the commit of the checkout that hybridopt was imported from, or None."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    with suppress(OSError, subprocess.SubprocessError):
        return subprocess.check_output(  # noqa: S603
            command, cwd=Path(__file__).parent, stderr=subprocess.DEVNULL, text=True, timeout=10
        ).strip()
    return None


def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


@dataclass(frozen=True)
class BenchOutcome:
    """Results of one run, and the machine and versions that it used.

    Attributes:
        simulators: Results of the suite of simulators, or None.
        training: Results of the suite of training, or None.
        cluster: Rows of the suite of clusters, or None.
        gpu: Rows of the suite of GPUs, or None.
        versions: Versions of the packages.
        machine: Processor, cores, memory, system and Python.
        commit: Commit of the checkout, or None.
        date: Date and time of the end in UTC.
    """

    simulators: SimulatorOutcome | None = None
    training: TrainingOutcome | None = None
    cluster: list[ClusterRow] | None = None
    gpu: list[GpuRow] | None = None
    versions: dict[str, str] = field(default_factory=lambda: versions(PACKAGES))
    machine: dict[str, object] = field(default_factory=machine)
    commit: str | None = field(default_factory=commit)
    date: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))

    def as_dict(self) -> dict[str, Any]:
        """Return the content of bench.json; a suite that was not run has no key."""
        names = ("date", "commit", "versions", "machine")
        content = {"schema": SCHEMA, **{name: getattr(self, name) for name in names}}
        if self.simulators is not None:
            content["simulators"] = self.simulators.as_dict()
        if self.training is not None:
            content["training"] = asdict(self.training)
        if self.cluster is not None:
            content["cluster"] = [row.as_dict() for row in self.cluster]
        if self.gpu is not None:
            content["gpu"] = [row.as_dict() for row in self.gpu]
        return content


def write_csv(rows: Iterable[Row], path: str | Path) -> Path:
    """Write one line per row, with the names of its fields in the first line.

    Args:
        rows: Measured rows. The times of single turns are left out; bench.json has them.
        path: File to write; it is replaced if it exists.

    Returns:
        The path.

    Raises:
        OutputError: If the file is not writable.
    """
    lines = [
        {name: value for name, value in row.as_dict().items() if not isinstance(value, list)}
        for row in rows
    ]
    text = io.StringIO()
    names = lines[0] if lines else ()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return write_text(Path(path), text.getvalue())


def write_outcome(outcome: BenchOutcome, folder: str | Path) -> Path:
    """Write bench.json, bench.html, pictures, and table.md for simulators.

    Args:
        outcome: Results of one run.
        folder: Folder for the files; it is created if it is missing.

    Returns:
        Path of bench.html.

    Raises:
        OutputError: If the folder is not writable.
    """
    target, found = output_folder(folder), outcome.simulators
    rows = found.rows if found else ()
    figures = {}
    for axis in ("qubits", "weights"):
        if longest := series(rows, axis):
            figures[f"time_by_{axis}"] = time_figure(longest, axis)
    if outcome.training is not None:
        figures["memory_bridge"] = bridge_figure(outcome.training.bridge)
    pictures = {f"{name}.png": png(figure) for name, figure in figures.items()}
    drawings = {
        f"{name}_{n}": one
        for name, figure in figures.items()
        for n, one in enumerate(panels(figure))
    }
    page = render(
        files("hybridopt.bench").joinpath("templates/bench.html").read_text("utf-8"),
        outcome=outcome,
        measured=MEASURED,
        header=tables.HEADER,
        groups=tables.problem_tables(rows),
        goal_header=tables.GOAL_HEADER,
        goals=tables.goal_rows(found.findings) if found else [],
        notes=[*(found.notes if found else ()), *tables.left_out(rows)],
        training=training_rows(outcome.training) if outcome.training else None,
        cluster=(CLUSTER_HEADER, cluster_rows(outcome.cluster)) if outcome.cluster else None,
        gpu=(GPU_HEADER, gpu_rows(outcome.gpu), gpu_summary(outcome.gpu)) if outcome.gpu else None,
        pictures=inlined(drawings),
    )
    for name, content in pictures.items():
        write_bytes(target / name, content)
    if found is not None:
        write_text(target / "table.md", tables.markdown(rows, found.findings, found.notes))
    write_text(target / "bench.json", json.dumps(outcome.as_dict(), indent=2) + "\n")
    return write_text(target / "bench.html", page)
