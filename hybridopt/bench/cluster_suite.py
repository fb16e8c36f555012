"""Suite of Dask clusters: CPU and wall time of jobs on 1, 2 and 4 workers, and in this process.

On a busy machine, wall times say little. The efficiency of CPU time is the CPU time of one process
divided by that of client, scheduler and workers for the same job.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from importlib import import_module
from typing import Any

import numpy as np
from qiskit.quantum_info import SparsePauliOp
from qiskit_aer.noise import NoiseModel, depolarizing_error

from hybridopt.bench.measure import Report
from hybridopt.bench.problem import Problem, ladder
from hybridopt.circuits import lower
from hybridopt.errors import MissingExtraError
from hybridopt.execution import AerExecutor, DaskExecutor, Executor, Expectations, Job

WORKERS = (1, 2, 4)
QUICK_WORKERS = (1, 2)
CPU_TARGET = 0.8  # smallest acceptable efficiency for jobs of more than a second
LONG_JOB = 1.0  # [s] of CPU in one process
HEADER = [
    "job", "workers", "pieces", "one process", "client", "workers' CPU", "wall", "CPU efficiency",
    "wall efficiency", "to reach",
]  # fmt: skip


@dataclass(frozen=True)
class ClusterRow:
    """Times of one job in one process and on a cluster [s]; wall times are of this machine."""

    job: str
    workers: int
    pieces: int  # on workers; 1 if the job ran in this process
    one_cpu: float
    one_wall: float
    client_cpu: float  # with the scheduler, which is in the process of the client
    workers_cpu: float
    wall: float
    is_equal: bool  # whether all numbers are those of one process, bit by bit

    @property
    def cpu_efficiency(self) -> float:
        """CPU time of one process by that of the cluster."""
        return self.one_cpu / (self.client_cpu + self.workers_cpu)

    @property
    def wall_efficiency(self) -> float:
        """Speed-up by number of workers, of which no more than the cores can help."""
        return self.one_wall / self.wall / self.workers

    def as_dict(self) -> dict[str, Any]:
        """Return times and efficiencies as plain types."""
        efficiency = {"cpu": self.cpu_efficiency, "wall": self.wall_efficiency}
        return {**asdict(self), "efficiency": efficiency}


def run_cluster(*, quick: bool = False, report: Report = lambda _: None) -> list[ClusterRow]:
    """Time each job in this process and on local clusters.

    Args:
        quick: True for small jobs and at most 2 workers.
        report: Callback that receives the name of each measurement before it begins.

    Raises:
        MissingExtraError: If the package distributed is not installed.
    """
    try:
        distributed = import_module("distributed")
    except ImportError as error:
        raise MissingExtraError(
            "distributed must be installed for the suite of clusters. Run: "
            "pip install 'hybridopt-qiskit[dask]'"
        ) from error
    rows = []
    for count in QUICK_WORKERS if quick else WORKERS:
        report(f"start of {count} workers")
        with ExitStack() as stack:
            options = {"n_workers": count, "threads_per_worker": 1, "dashboard_address": ":0"}
            cluster = distributed.LocalCluster(**options, silence_logs=logging.CRITICAL)
            client = distributed.Client(stack.enter_context(cluster))
            stack.enter_context(client)
            for name, (make, job) in jobs(quick=quick).items():
                report(f"{name} on {count} workers")
                rows.append(cluster_row(name, make, job, client, count))
    return rows


def cluster_row(
    name: str, make: Callable[[], AerExecutor], job: Job, client: Any, workers: int
) -> ClusterRow:
    """Time a job in one process and on the workers of a client, after one run of each."""
    one, many = make(), DaskExecutor(client, make())

    def of_workers() -> float:
        return float(sum(client.run(time.process_time).values()))

    one.run(job)
    for _ in range(2):  # the first one may run here, to measure the job
        many.run(job)
    many.load_state_dict(one.state_dict())
    one_cpu, one_wall, expected = _timed(one, job)
    before = of_workers()
    client_cpu, wall, found = _timed(many, job)
    workers_cpu = of_workers() - before
    return ClusterRow(
        name, workers, many.num_pieces(job), one_cpu, one_wall, client_cpu, workers_cpu, wall,
        bool(np.array_equal(expected, found)),
    )  # fmt: skip


def jobs(*, quick: bool) -> dict[str, tuple[Callable[[], AerExecutor], Job]]:
    """Return jobs that take a few seconds each, or with ``quick`` a tenth of it."""
    scale = 1 if quick else 10
    noise = NoiseModel()
    noise.add_all_qubit_quantum_error(depolarizing_error(0.01, 2), ["cx"])
    return {
        "exact gradient, 10 qubits": (AerExecutor, _shifts(ladder(10, 20 * scale), 16)),
        "noise, 5 qubits": (
            lambda: AerExecutor(noise_model=noise),
            _shifts(ladder(5, 10), 2 * scale, whole=False),
        ),
        "trajectories, 6 qubits": (
            lambda: AerExecutor(noise_model=noise, method="statevector", shots=100, seed=0),
            _shifts(ladder(6, 12), scale, whole=False),
        ),
        "many settings, 12 qubits": (
            lambda: AerExecutor(shots=100, seed=0), _settings(ladder(12, 12), 20 * scale)
        ),
    }  # fmt: skip


def cluster_rows(rows: Sequence[ClusterRow]) -> list[list[str]]:
    """Return the cells under `HEADER`."""
    return [
        [
            row.job, str(row.workers), str(row.pieces), f"{row.one_cpu:.2f} s",
            f"{row.client_cpu:.2f} s", f"{row.workers_cpu:.2f} s", f"{row.wall:.2f} s",
            f"{row.cpu_efficiency:.2f}", f"{row.wall_efficiency:.2f}",
            f"at least {CPU_TARGET} of CPU" if row.one_cpu > LONG_JOB else "",
        ]
        for row in rows
    ]  # fmt: skip


def _timed(executor: Executor, job: Job) -> tuple[float, float, np.ndarray]:
    """Run a job; return CPU time of this process, wall time, and the values."""
    cpu, wall = time.process_time(), time.perf_counter()
    values = executor.run(job).values
    return time.process_time() - cpu, time.perf_counter() - wall, values


def _shifts(problem: Problem, batch: int, *, whole: bool = True) -> Job:
    """Return the table of a parameter-shift gradient."""
    program = lower(problem.circuit, problem.inputs, problem.weights, whole=whole)
    generator = np.random.default_rng(0)
    rows = generator.uniform(-3, 3, (batch, program.num_row_angles))
    weights = generator.uniform(-3, 3, program.num_shared_angles)
    steps = np.pi / 2 * np.eye(len(weights))
    return Job(
        program, Expectations(problem.observables), rows, weights + np.vstack([steps, -steps])
    )


def _settings(problem: Problem, strings: int) -> Job:
    """Return one circuit that is read with random Pauli strings, most with a basis of their own."""
    program = lower(problem.circuit, problem.inputs, problem.weights)
    generator = np.random.default_rng(1)
    letters = generator.choice([*"XYZ"], (strings, problem.num_qubits))
    observable = SparsePauliOp(["".join(row) for row in letters], generator.normal(size=strings))
    rows = generator.uniform(-3, 3, (1, program.num_row_angles))
    shared = generator.uniform(-3, 3, (1, program.num_shared_angles))
    return Job(program, Expectations((observable,)), rows, shared)
