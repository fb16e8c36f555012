"""How long the memory bridge takes, by number of weights, and its two syntheses side by side."""

from __future__ import annotations

import resource
import sys
from dataclasses import dataclass

import torch
from torch import nn

from hybridopt._random import isolated
from hybridopt.bench.timing import Comparison, compare, median_seconds, stopwatch
from hybridopt.bridges import Memory, WeightNetwork, to_classical, to_quantum

SIZES = (1_510, 6_690, 100_000, 1_000_000)
QUICK_SIZES = SIZES[:3]
SYNTHESIS_TARGET = 20.0  # the diagonal shall be so many times faster at 1,510 weights
MEMORY_TARGET = 4.0  # [GB] for one million weights


@dataclass(frozen=True)
class BridgeTimes:
    """Wall seconds of the bridge for one number of weights.

    Attributes:
        weights: M.
        encode: `to_quantum`.
        step: One forward and backward pass on one sample.
        decode: `to_classical`.
        peak_gigabytes: Largest memory of the process so far, everything included.
    """

    weights: int
    encode: float
    step: float
    decode: float
    peak_gigabytes: float


def bridge_times(weights: int, *, repetitions: int = 5) -> BridgeTimes:
    """Time the three parts of the bridge with a linear layer of that many weights."""
    with isolated(0):
        network = nn.Linear(weights // 10, 10, bias=False)
    quantum = to_quantum(network)
    encode = stopwatch(lambda: to_quantum(network))
    sample = torch.ones(1, weights // 10)

    def step() -> None:
        quantum.zero_grad()
        quantum(sample).sum().backward()

    return BridgeTimes(
        weights=weights,
        encode=encode,
        step=median_seconds(step, repetitions=repetitions if weights < 500_000 else 1),
        decode=stopwatch(lambda: to_classical(quantum)),
        peak_gigabytes=peak_gigabytes(),
    )


def syntheses(*, weights: int = 1_510, repetitions: int = 5) -> Comparison:
    """Time a gradient step through the gate chain against one through the diagonal."""
    with isolated(0):
        network = nn.Linear(weights // 10, 10, bias=False)
    sample = torch.ones(1, weights // 10)

    def step(synthesis: str) -> None:
        networks[synthesis](sample).sum().backward()

    networks = {name: _carried(network, name) for name in ("gates", "diagonal")}
    return compare(lambda: step("gates"), lambda: step("diagonal"), repetitions=repetitions)


def peak_gigabytes() -> float:
    """Largest resident memory of this process so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e9 if sys.platform == "darwin" else 1e6)  # bytes there, kilobytes elsewhere


def _carried(network: nn.Module, synthesis: str) -> WeightNetwork:
    quantum = to_quantum(network, Memory(synthesis=synthesis))
    assert isinstance(quantum, WeightNetwork)
    return quantum
