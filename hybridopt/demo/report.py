"""What the main job leaves behind: a page, pictures, numbers, the network and the circuit."""

from __future__ import annotations

import json
import shlex
from dataclasses import asdict, fields
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from qiskit import qasm3, qpy

from hybridopt._environment import made_with
from hybridopt._files import output_folder, write_bytes, write_text, write_whole
from hybridopt._pages import inlined, render
from hybridopt._plots import png
from hybridopt.demo import figures
from hybridopt.demo.job import Result, RunOutcome, RunSettings

SCHEMA = 1


def write_report(outcome: RunOutcome, folder: str | Path) -> Path:
    """Write report.html, pictures, results.json, network.pt, circuit.qpy and circuit.qasm.

    All of it is made in memory first, so that an interruption leaves the folder as it was; then
    each file is written whole.

    Args:
        outcome: Of `run_main_job`.
        folder: Is made if it is missing; other files in it are left alone.

    Returns:
        The path of report.html.

    Raises:
        OutputError: If the folder cannot be written.
    """
    target = output_folder(folder)
    pictures = {
        "training.png": png(figures.training_figure(outcome)),
        "comparison.png": png(figures.comparison_figure(outcome)),
        "weights.png": png(figures.weights_figure(outcome)),
        "circuit.png": png(figures.circuit_figure(outcome.circuit)),
    }
    results = results_dict(outcome)
    page = _page(outcome, results, pictures)
    gates = qasm3.dumps(outcome.circuit)
    for name, content in pictures.items():
        write_bytes(target / name, content)
    state = outcome.network.state_dict()
    write_whole(target / "network.pt", lambda stream: torch.save(state, stream))
    write_whole(target / "circuit.qpy", lambda stream: qpy.dump(outcome.circuit, stream))
    write_text(target / "circuit.qasm", gates)
    write_text(target / "results.json", json.dumps(results, indent=2) + "\n")
    return write_text(target / "report.html", page)


def results_dict(outcome: RunOutcome) -> dict[str, Any]:
    """The content of results.json."""
    name = metric_key(outcome)
    return {
        "schema": SCHEMA,
        "data": outcome.data.name,
        "task": outcome.data.task,
        "settings": asdict(outcome.settings),
        "stages": [_result_dict(result, name) for result in outcome.stages],
        "controls": [_result_dict(result, name) for result in outcome.controls],
        "circuit": {
            "num_qubits": outcome.circuit.num_qubits,
            "form": "full",
            "scales": outcome.circuit_scales,
        },
        "seconds": outcome.seconds,
        **made_with(),
    }


def command(settings: RunSettings) -> str:
    """The command line that asks for these settings; what is as by default is left out."""
    words = ["hybridopt", "run"]
    for option in fields(settings):
        value = getattr(settings, option.name)
        if value != option.default:
            words += [f"--{option.name.replace('_', '-')}", str(value)]
    return shlex.join(words)


def metric_key(outcome: RunOutcome) -> str:
    """Key of the metric in results.json."""
    return f"test_{outcome.metric_name}"


def table_rows(outcome: RunOutcome) -> tuple[list[str], list[list[str]]]:
    """Header and rows of the table that terminal and page show."""
    header = [
        "stage",
        f"{figures.metric_label(outcome)}",
        "train s",
        "infer ms",
        "settings",
        "shots",
        "numbers",
        "change",
    ]
    rows = []
    for result in (*outcome.stages, *outcome.controls):
        change = result.conversion_change
        rows.append(
            [
                result.name,
                f"{result.test_metric:.3f}",
                f"{result.training_seconds:.2f}",
                f"{1e3 * result.inference_seconds:.1f}",
                f"{result.cost.settings:,}",
                f"{result.cost.shots:,}",
                f"{result.trainable:,}",
                "" if change is None else f"{change:.1e}" if change else "0",
            ]
        )
    return header, rows


def _result_dict(result: Result, metric: str) -> dict[str, Any]:
    content = {
        "name": result.name,
        metric: result.test_metric,
        "training_seconds": result.training_seconds,
        "inference_seconds": result.inference_seconds,
        "steps": result.steps,
        **asdict(result.cost),
        "trainable": result.trainable,
        "largest_change_at_conversion": result.conversion_change,
        "history": result.history.to_dict(),
    }
    if result.test_metric_before_fine_tuning is not None:
        content[f"{metric}_before_fine_tuning"] = result.test_metric_before_fine_tuning
    return content


def _page(outcome: RunOutcome, results: dict[str, Any], pictures: dict[str, bytes]) -> str:
    header, rows = table_rows(outcome)
    return render(
        files("hybridopt.demo").joinpath("templates/report.html").read_text("utf-8"),
        outcome=outcome,
        results=results,
        header=header,
        rows=rows,
        command=command(outcome.settings),
        num_stages=len(outcome.stages),
        metric=figures.metric_label(outcome),
        pictures=inlined(pictures),
    )
