"""Suite of training: `fit` against a plain loop, and times of the memory bridge.

Alternatives are timed in turn. Medians and ratios are reliable on a shared machine, too.
"""

from __future__ import annotations

import copy
import resource
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from statistics import median
from timeit import timeit

import torch
from torch import nn
from torch.nn import functional

from hybridopt._random import isolated
from hybridopt.bench.measure import Report
from hybridopt.bench.units import seconds_text as text
from hybridopt.bridges import Memory, to_classical, to_quantum
from hybridopt.data import Dataset, load_dataset
from hybridopt.training import fit

BATCH_SIZE = 32
FIT_TARGET = 1.2  # largest acceptable ratio of the times of fit and of the plain loop
SIZES = (1_510, 6_690, 100_000, 1_000_000)
QUICK_SIZES = SIZES[:3]
SYNTHESIS_TARGET = 20.0  # smallest acceptable ratio of gates to multiplexer at 1,510 weights
stopwatch = partial(timeit, number=1)  # wall time of one call [s]


@dataclass(frozen=True)
class Comparison:
    """Median times of two alternatives, timed in turn."""

    seconds: float
    reference_seconds: float
    ratio: float  # median ratio of pairs, since a slow moment affects both times of a pair
    repetitions: int  # number of pairs


@dataclass(frozen=True)
class BridgeTimes:
    """Wall times of the memory bridge for one number of weights, in seconds."""

    weights: int
    encode: float  # to_quantum
    step: float  # forward and backward pass on one sample
    decode: float  # to_classical
    peak_gigabytes: float  # peak memory of the process so far


@dataclass(frozen=True)
class TrainingOutcome:
    """Results of the suite of training."""

    fit: Comparison  # with a plain loop
    syntheses: Comparison  # of gates with a multiplexer, at 1,510 weights
    bridge: list[BridgeTimes]  # one per number of weights


def run_training(*, quick: bool = False, report: Report = lambda _: None) -> TrainingOutcome:
    """Run all measurements of the suite.

    Args:
        quick: True to end within a minute: fewer repetitions, up to 100,000 weights.
        report: Callback that receives the name of each measurement before it begins.
    """
    repetitions = 3 if quick else 9
    report("fit against a plain torch loop")
    overhead = fit_overhead(repetitions=repetitions)
    report("memory bridge: gates against multiplexer")
    ratio = syntheses(repetitions=repetitions)
    bridge = []
    for size in QUICK_SIZES if quick else SIZES:
        report(f"memory bridge: {size:,} weights")
        bridge.append(bridge_times(size, repetitions=repetitions))
    return TrainingOutcome(overhead, ratio, bridge)


def training_rows(outcome: TrainingOutcome) -> tuple[list[str], list[list[str]]]:
    """Return header and rows of the table."""
    header = ["measurement", "time", "reference", "ratio", "to reach"]
    fit, chain = outcome.fit, outcome.syntheses
    rows = [
        ["fit, digits MLP, 5 epochs / plain torch loop", text(fit.seconds),
         text(fit.reference_seconds), f"{fit.ratio:.2f}", f"at most {FIT_TARGET}"],
        ["memory bridge, step at 1,510 weights: gates / multiplexer", text(chain.seconds),
         text(chain.reference_seconds), f"{chain.ratio:.1f}", f"at least {SYNTHESIS_TARGET:.0f}"],
    ]  # fmt: skip
    for times in outcome.bridge:
        parts = f"encode {text(times.encode)}, step {text(times.step)}, decode {text(times.decode)}"
        label = f"memory bridge, {times.weights:,} weights: {parts}"
        rows.append([label, text(times.encode + times.step + times.decode), "", "",
                     f"{times.peak_gigabytes:.1f} GB peak"])  # fmt: skip
    return header, rows


def fit_overhead(*, repetitions: int = 7, epochs: int = 5) -> Comparison:
    """Time `fit(progress=False)` against a plain loop: digits, MLP 64-20-10, Adam, batch 32."""
    data = load_dataset("digits", seed=0)
    with isolated(0):
        network = nn.Sequential(nn.Linear(64, 20), nn.Tanh(), nn.Linear(20, 10))
    return compare(
        lambda: fit(
            copy.deepcopy(network), data, epochs=epochs, batch_size=BATCH_SIZE, progress=False
        ),
        lambda: plain_loop(copy.deepcopy(network), data, epochs=epochs),
        repetitions=repetitions,
    )


def plain_loop(network: nn.Module, data: Dataset, *, epochs: int) -> list[float]:
    """Train by a plain loop: shuffle, step, record the loss, evaluate after each epoch."""
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    test = data.test
    assert test is not None
    losses = []
    for _ in range(epochs):
        network.train()
        total = 0.0
        for rows in torch.split(torch.randperm(len(data.train)), BATCH_SIZE):
            optimizer.zero_grad()
            loss = functional.cross_entropy(network(data.train.x[rows]), data.train.y[rows])
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            total += loss.item() * len(rows)
        network.eval()
        with torch.no_grad():
            functional.cross_entropy(network(test.x), test.y).item()
        losses.append(total / len(data.train))
    return losses


def bridge_times(weights: int, *, repetitions: int = 5) -> BridgeTimes:
    """Time the three parts of the bridge with a linear layer of given size."""
    with isolated(0):
        network = nn.Linear(weights // 10, 10, bias=False)
    quantum = to_quantum(network)
    encode = stopwatch(lambda: to_quantum(network))
    sample = torch.ones(1, weights // 10)

    def step() -> None:
        quantum.zero_grad()
        quantum(sample).sum().backward()

    step()  # the first one is not timed
    times = [stopwatch(step) for _ in range(repetitions if weights < 500_000 else 1)]
    decode = stopwatch(lambda: to_classical(quantum))
    unit = 1e9 if sys.platform == "darwin" else 1e6  # bytes, kilobytes
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
    return BridgeTimes(weights, encode, median(times), decode, peak)


def syntheses(*, weights: int = 1_510, repetitions: int = 5) -> Comparison:
    """Time a gradient step through gates against a step through a multiplexer."""
    with isolated(0):
        network = nn.Linear(weights // 10, 10, bias=False)
    sample = torch.ones(1, weights // 10)

    names = ("gates", "multiplexer")
    gates, multiplexer = (to_quantum(network, Memory(synthesis=name)) for name in names)
    return compare(
        lambda: gates(sample).sum().backward(), lambda: multiplexer(sample).sum().backward(),
        repetitions=repetitions,
    )  # fmt: skip


def compare(
    action: Callable[[], object], reference: Callable[[], object], *, repetitions: int
) -> Comparison:
    """Time two actions in turn, after one call of each that is not timed."""
    action()
    reference()
    pairs = [(stopwatch(action), stopwatch(reference)) for _ in range(repetitions)]
    ratio = median(first / second for first, second in pairs)
    seconds, reference_seconds = map(median, zip(*pairs, strict=True))
    return Comparison(seconds, reference_seconds, ratio, repetitions)
