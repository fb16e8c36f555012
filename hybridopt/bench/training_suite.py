"""The training suite: `fit` beside a plain loop, and the memory bridge by size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

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


@dataclass(frozen=True)
class TrainingOutcome:
    """All figures of one run on one machine.

    Attributes:
        fit: `fit` against a plain loop.
        syntheses: Gate chain against diagonal at 1,510 weights.
        bridge: Times of the memory bridge by number of weights.
    """

    fit: Comparison
    syntheses: Comparison
    bridge: list[BridgeTimes]

    def as_dict(self) -> dict[str, Any]:
        """For bench.json."""
        return asdict(self)


def run_training(
    *, quick: bool = False, report: Callable[[str], object] = lambda _: None
) -> TrainingOutcome:
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
    return TrainingOutcome(overhead, ratio, bridge)


def training_rows(outcome: TrainingOutcome) -> tuple[list[str], list[list[str]]]:
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


def _ms(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{1e3 * seconds:.1f} ms"
