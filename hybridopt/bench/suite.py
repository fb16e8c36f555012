"""The benchmark that `hybridopt bench` runs, and what it writes."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from hybridopt.bench.fit_overhead import TARGET, fit_overhead
from hybridopt.bench.memory_bridge import (
    QUICK_SIZES,
    SIZES,
    SYNTHESIS_TARGET,
    BridgeTimes,
    bridge_times,
    syntheses,
)
from hybridopt.bench.timing import Comparison
from hybridopt.files import output_folder, write_text, write_whole

SCHEMA = 1
PACKAGES = ("hybridopt-qiskit", "qiskit", "qiskit-aer", "torch", "numpy")


@dataclass(frozen=True)
class BenchOutcome:
    """All figures of one run on one machine.

    Attributes:
        fit: `fit` against a plain loop.
        syntheses: Gate chain against diagonal at 1,510 weights.
        bridge: Times of the memory bridge by number of weights.
    """

    fit: Comparison
    syntheses: Comparison
    bridge: list[BridgeTimes]


def run_benchmarks(
    *, quick: bool = False, report: Callable[[str], object] = lambda _: None
) -> BenchOutcome:
    """Measure; ``quick`` ends within a minute.

    Args:
        quick: Fewer repetitions, up to 100,000 weights.
        report: Told what is measured next.
    """
    repetitions = 3 if quick else 9
    report("fit against a plain torch loop")
    overhead = fit_overhead(repetitions=repetitions)
    report("memory bridge: gates against diagonal")
    ratio = syntheses(repetitions=repetitions)
    bridge = []
    for size in QUICK_SIZES if quick else SIZES:
        report(f"memory bridge: {size:,} weights")
        bridge.append(bridge_times(size, repetitions=repetitions))
    return BenchOutcome(overhead, ratio, bridge)


def table(outcome: BenchOutcome) -> tuple[list[str], list[list[str]]]:
    """Header and rows."""
    header = ["what", "time", "reference", "ratio", "to reach"]
    fit, chain = outcome.fit, outcome.syntheses
    rows = [
        ["fit, digits MLP, 5 epochs / plain torch loop", _ms(fit.seconds),
         _ms(fit.reference_seconds), f"{fit.ratio:.2f}", f"at most {TARGET}"],
        ["memory bridge, step at 1,510 weights: gates / diagonal", _ms(chain.seconds),
         _ms(chain.reference_seconds), f"{chain.ratio:.1f}", f"{SYNTHESIS_TARGET:.0f} or more"],
    ]  # fmt: skip
    for times in outcome.bridge:
        parts = f"encode {_ms(times.encode)}, step {_ms(times.step)}, decode {_ms(times.decode)}"
        label = f"memory bridge, {times.weights:,} weights: {parts}"
        rows.append([label, _ms(times.encode + times.step + times.decode), "", "",
                     f"{times.peak_gigabytes:.1f} GB peak"])  # fmt: skip
    return header, rows


def figure(outcome: BenchOutcome) -> Figure:
    """Time against weights, log axes."""
    picture = Figure(figsize=(6, 3.8), layout="constrained")
    axes = picture.subplots()
    weights = [times.weights for times in outcome.bridge]
    for part in ("encode", "step", "decode"):
        seconds = [getattr(times, part) for times in outcome.bridge]
        axes.loglog(weights, seconds, marker="o", label=part)
    axes.set(xlabel="weights", ylabel="seconds", title="memory bridge on Aer, diagonal synthesis")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#e4e7eb")
    axes.legend(frameon=False)
    return picture


def as_dict(outcome: BenchOutcome) -> dict[str, Any]:
    """The content of bench.json."""
    return {
        "schema": SCHEMA,
        **asdict(outcome),
        "versions": {package: version(package) for package in PACKAGES},
        "machine": {
            "processor": platform.machine(),
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "system": platform.system(),
        },
    }


def write_outcome(outcome: BenchOutcome, folder: str | Path) -> Path:
    """Write bench.json and memory_bridge.png; returns the folder."""
    target = output_folder(folder)
    write_whole(
        target / "memory_bridge.png", lambda stream: figure(outcome).savefig(stream, dpi=160)
    )
    write_text(target / "bench.json", json.dumps(as_dict(outcome), indent=2) + "\n")
    return target


def _ms(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{1e3 * seconds:.1f} ms"
