"""Times of a CPU and of a GPU by number of qubits, which show where the GPU begins to pay.

Each size runs on the CPU, on the GPU, and on the GPU in single precision. The first call is not
timed. Its result on the GPU is compared with that of the CPU.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from hybridopt.bench.measure import Report
from hybridopt.bench.peers.competitor import DOUBLE, EXACT, Hybridopt
from hybridopt.bench.problem import BATCH, ladder
from hybridopt.errors import ExecutionError, ResourceError
from hybridopt.execution import AerExecutor

QUBITS = (12, 14, 16, 18, 20, 22, 24, 26, 28)
QUICK_QUBITS = (12, 16, 20)
LAYERS = 2
AMPLITUDES = 1 << 24  # of all samples, so that wide circuits end in time
TASKS = ("values", "gradient")
LANES = (("CPU", "double"), ("GPU", "double"), ("GPU", "single"))
CALLS = 3  # timed calls per lane
SLOW_CALL = 10.0  # [s]; a lane ends after a longer call
WHOLE = 300.0  # [s]; no lane begins later
HEADER = [
    "task", "qubits", "weights", "batch", "CPU", "GPU", "GPU, single", "CPU / GPU", "deviation",
    "note",
]  # fmt: skip


@dataclass(frozen=True)
class GpuRow:
    """Wall times of one task on a CPU and on a GPU [s per call]; None if not measured."""

    task: str
    qubits: int
    weights: int
    batch: int
    cpu: float | None
    gpu: float | None
    gpu_single: float | None
    deviation: float | None  # largest difference between GPU and CPU in double precision
    note: str = ""  # reasons of missing times

    @property
    def ratio(self) -> float | None:
        """Time of the CPU divided by that of the GPU; None without two equal results."""
        if self.cpu is None or self.gpu is None or self.deviation is None:
            return None
        return self.cpu / self.gpu if self.deviation <= DOUBLE else None

    def as_dict(self) -> dict[str, Any]:
        """Return times and ratio as plain types."""
        return {**asdict(self), "ratio": self.ratio}


def run_gpu(
    *, quick: bool = False, report: Report = lambda _: None, qubits: Iterable[int] | None = None
) -> list[GpuRow]:
    """Time values and gradients on the CPU and on the GPU.

    Args:
        quick: True for three sizes up to 20 qubits.
        report: Callback that receives the name of each measurement before it begins.
        qubits: Numbers of qubits, in rising order; None for 12 to 28.

    Raises:
        DeviceError: If Aer finds no GPU.
    """
    AerExecutor("GPU")
    sizes = tuple(qubits or (QUICK_QUBITS if quick else QUBITS))
    ends = time.perf_counter() + WHOLE
    rows = []
    for task in TASKS:
        too_slow: dict[tuple[str, str], str] = {}
        for size in sizes:
            report(f"{task}, {size} qubits")
            rows.append(_row(task, size, too_slow, ends))
    return rows


def pays_from(rows: Sequence[GpuRow], task: str) -> int | None:
    """Return the number of qubits from which the GPU is faster at every compared size."""
    first = None
    for row in rows:
        if row.task == task and row.ratio is not None:
            first = (first or row.qubits) if row.ratio > 1 else None
    return first


def gpu_rows(rows: Sequence[GpuRow]) -> list[list[str]]:
    """Return the cells under `HEADER`; times in milliseconds."""
    return [
        [
            row.task, str(row.qubits), str(row.weights), str(row.batch),
            *(_in_milliseconds(seconds) for seconds in (row.cpu, row.gpu, row.gpu_single)),
            "" if row.ratio is None else f"{row.ratio:.2f}",
            "" if row.deviation is None else f"{row.deviation:.0e}", row.note,
        ]
        for row in rows
    ]  # fmt: skip


def gpu_summary(rows: Sequence[GpuRow]) -> list[str]:
    """Return one sentence per task on where the GPU begins to pay."""
    sentences = []
    for task in TASKS:
        first = pays_from(rows, task)
        where = "at no size, or not at the largest one" if first is None else f"from {first} qubits"
        sentences.append(f"{task}: the GPU takes less time than the CPU {where}.")
    return sentences


def _in_milliseconds(seconds: float | None) -> str:
    return "" if seconds is None else f"{1000 * seconds:.1f} ms"


def _row(task: str, size: int, too_slow: dict[tuple[str, str], str], ends: float) -> GpuRow:
    """Measure all lanes at one size; ``too_slow`` receives the lanes that end here."""
    problem = ladder(size, LAYERS * size, max(1, min(BATCH, AMPLITUDES >> size)))
    angles = problem.angles(np.random.default_rng(size))
    times: list[float | None] = []
    results: list[np.ndarray | None] = []
    notes = []
    for lane in LANES:
        name = " ".join(lane)
        seconds = result = None
        reason = too_slow.get(lane) or ("time is up" if time.perf_counter() > ends else "")
        if not reason:
            try:
                layer = Hybridopt(EXACT, device=lane[0], precision=lane[1]).layer(problem)
                layer.weight.data.copy_(torch.from_numpy(angles[1]))
                seconds, result = _timed(_call(task, layer, torch.from_numpy(angles[0])))
            except (ExecutionError, ResourceError) as error:
                reason = str(error)
        if reason:
            notes.append(f"{name}: {reason}")
        if seconds is not None and seconds > SLOW_CALL:
            too_slow[lane] = f"{size} qubits took {seconds:.0f} s"
        times.append(seconds)
        results.append(result)
    cpu, gpu, _ = results
    deviation = None if cpu is None or gpu is None else float(np.abs(cpu - gpu).max())
    if deviation is not None and not deviation <= DOUBLE:
        notes.append(f"the GPU deviates by more than {DOUBLE:g}")
    on_cpu, on_gpu, single = times
    return GpuRow(
        task, size, len(problem.weights), problem.batch, on_cpu, on_gpu, single, deviation,
        "; ".join(notes),
    )  # fmt: skip


def _call(task: str, layer: torch.nn.Module, x: torch.Tensor) -> Callable[[], np.ndarray]:
    """Return a function that runs the task once and returns its numbers."""

    def values() -> np.ndarray:
        with torch.no_grad():
            return np.asarray(layer(x).numpy())

    def gradient() -> np.ndarray:
        layer.zero_grad()
        layer(x).sum(-1).mean().backward()
        return np.concatenate([p.grad.numpy() for p in layer.parameters() if p.grad is not None])

    return {"values": values, "gradient": gradient}[task]


def _timed(call: Callable[[], np.ndarray]) -> tuple[float, np.ndarray]:
    """Return the median time of some calls after a first one [s], and the result of that."""
    began = time.perf_counter()
    result = call()
    first = time.perf_counter() - began
    if first > SLOW_CALL:
        return first, result
    seconds: list[float] = []
    while len(seconds) < CALLS and math.fsum(seconds) < SLOW_CALL:
        began = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds), result
