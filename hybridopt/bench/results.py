"""All that one run of the benchmark found, and the files it leaves."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

from hybridopt._files import output_folder, write_text, write_whole
from hybridopt._pages import inlined, render
from hybridopt._plots import png
from hybridopt.bench import tables
from hybridopt.bench.figures import bridge_figure, series, time_figure
from hybridopt.bench.machine import commit, machine, versions
from hybridopt.bench.simulators import MEASURED, SimulatorOutcome
from hybridopt.bench.training_suite import TrainingOutcome, training_rows

SCHEMA = 2


@dataclass(frozen=True)
class BenchOutcome:
    """The suites that were run, and where.

    Attributes:
        simulators: Simulators on circuits, or None.
        training: `fit` and the memory bridge, or None.
        versions: Of the packages.
        machine: Processor, cores, memory, system, Python.
        commit: Of the checkout, or None.
        date: When it ended, UTC.
    """

    simulators: SimulatorOutcome | None = None
    training: TrainingOutcome | None = None
    versions: dict[str, str] = field(default_factory=versions)
    machine: dict[str, object] = field(default_factory=machine)
    commit: str | None = field(default_factory=commit)
    date: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))

    def as_dict(self) -> dict[str, Any]:
        """The content of bench.json; a suite that was not run has no key."""
        content: dict[str, Any] = {
            "schema": SCHEMA,
            "date": self.date,
            "commit": self.commit,
            "versions": self.versions,
            "machine": self.machine,
        }
        if self.simulators is not None:
            content["simulators"] = self.simulators.as_dict()
        if self.training is not None:
            content["training"] = self.training.as_dict()
        return content


def write_outcome(outcome: BenchOutcome, folder: str | Path) -> Path:
    """Write bench.json, bench.html, pictures, and table.md for simulators.

    Args:
        outcome: Of one run.
        folder: Is made if it is missing; other files in it are left alone.

    Returns:
        The path of bench.html.

    Raises:
        OutputError: If the folder cannot be written.
    """
    target = output_folder(folder)
    pictures = _pictures(outcome)
    page = _page(outcome, pictures)
    for name, content in pictures.items():
        write_whole(target / name, lambda stream, content=content: stream.write(content))  # type: ignore[misc]
    if outcome.simulators is not None:
        simulators = outcome.simulators
        text = tables.markdown(simulators.rows, simulators.findings, simulators.notes)
        write_text(target / "table.md", text)
    write_text(target / "bench.json", json.dumps(outcome.as_dict(), indent=2) + "\n")
    return write_text(target / "bench.html", page)


def _pictures(outcome: BenchOutcome) -> dict[str, bytes]:
    pictures = {}
    if outcome.simulators is not None:
        for axis in ("qubits", "weights"):
            if rows := series(outcome.simulators.rows, axis):
                pictures[f"time_by_{axis}.png"] = png(time_figure(rows, axis))
    if outcome.training is not None:
        pictures["memory_bridge.png"] = png(bridge_figure(outcome.training.bridge))
    return pictures


def _page(outcome: BenchOutcome, pictures: dict[str, bytes]) -> str:
    simulators = outcome.simulators
    rows = simulators.rows if simulators else ()
    return render(
        files("hybridopt.bench").joinpath("templates/bench.html").read_text("utf-8"),
        outcome=outcome,
        measured=MEASURED,
        header=tables.HEADER,
        groups=tables.groups(rows),
        goal_header=tables.GOAL_HEADER,
        goals=tables.goal_rows(simulators.findings) if simulators else [],
        notes=[*(simulators.notes if simulators else ()), *tables.left_out(rows)],
        training=training_rows(outcome.training) if outcome.training else None,
        pictures=inlined(pictures),
    )
