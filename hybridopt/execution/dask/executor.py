"""Executor that runs jobs on the workers of a Dask cluster."""

from __future__ import annotations

import pickle
from contextlib import closing
from dataclasses import replace
from threading import Lock
from typing import Any, ClassVar, Literal, NoReturn, cast

from qiskit import QuantumCircuit

from hybridopt import _validation
from hybridopt.circuits.physical import PhysicalCircuit
from hybridopt.circuits.program import Program
from hybridopt.errors import ArgumentTypeError, UnsupportedError
from hybridopt.execution.aer.executor import AerExecutor
from hybridopt.execution.cost import Cost
from hybridopt.execution.dask.cluster import TIMEOUT, Cluster, TaskLostError, this_process
from hybridopt.execution.dask.cutting import Cut, Piece, Sizes, cut, work_of
from hybridopt.execution.dask.pieces import Collected, PerObject, PieceJob, run_piece
from hybridopt.execution.executor import Executor
from hybridopt.execution.job import Job, Stream
from hybridopt.execution.readout import Readout
from hybridopt.execution.result import Result

ROUNDS = 2  # in which lost pieces are sent


class DaskExecutor(Executor):
    """Executor that cuts jobs into pieces and runs them on the workers of a Dask cluster.

    Random numbers depend on the position of a setting in the job, not on the cut. Values with
    shots, gate noise or trajectories are therefore equal, bit by bit, to those of ``executor`` in
    this process. Exact values agree to rounding (1e-12). Settings and shots do not depend on the
    cut; runs do.

    Jobs are cut along samples, angles and settings by their estimated time, which earlier jobs of
    the same circuit correct. A piece takes at least 50 ms. Smaller jobs run in this process;
    `explain` names the cut.

    If a worker ends, its pieces run again on others. Each worker runs one piece at a time, with as
    many threads of Aer as the worker has. Start workers with one thread for circuits of up to 16
    qubits.

    Copies (`copy.deepcopy`) are the same executor. It cannot be pickled. The adjoint rule needs
    states in this process; use ``gradient="parameter-shift"``.

    Args:
        client: A connected `distributed.Client` of any cluster.
        executor: Executor of the pieces, an `AerExecutor`; None for an exact one. Its
            ``max_memory`` is a limit per worker.
        timeout: Longest time without any worker before an error is raised [s].

    Raises:
        MissingExtraError: If the package distributed is not installed.
        ArgumentTypeError: If ``client`` or ``executor`` has the wrong type.
        ArgumentError: If ``client`` is asynchronous, or ``executor`` cannot be pickled.
        UnsupportedError: If ``executor`` is a `DaskExecutor`.
        ExecutionError: If ``client`` is closed.

    Example:
        >>> import hybridopt as ho
        >>> def layer_on_cluster(client, circuit):  # client = distributed.Client(address)
        ...     executor = ho.DaskExecutor(client, ho.AerExecutor(shots=1000, seed=7))
        ...     return ho.CircuitLayer(*circuit, executor=executor)
    """

    changeable: ClassVar[frozenset[str]] = AerExecutor.changeable

    def __init__(
        self, client: object, executor: AerExecutor | None = None, *, timeout: float = TIMEOUT
    ) -> None:
        self._cluster = Cluster(client, timeout)
        self.executor = _checked(executor)
        self.shots = self.executor.shots
        self.seed = self.executor.seed
        self._usage = Cost()  # of workers
        self._lock = Lock()
        self._start()

    def _start(self) -> None:
        self._kept = PerObject(self._cluster.keep)
        # measured time by estimated time, per program and strategy
        self._factors = PerObject[dict[str, float]](lambda _: {})

    @property
    def usage(self) -> Cost:
        """Cost of ``executor`` and of the pieces on workers."""
        with self._lock:
            return self.executor.usage + self._usage

    @property
    def has_noise(self) -> bool:
        """Whether gates have errors, so that states are not pure."""
        return self.executor.has_noise

    @property
    def lowering(self) -> Literal["whole", "elementary"]:
        """Gates of lowered circuits, as those of ``executor``."""
        return self.executor.lowering

    @property
    def discarded_weight(self) -> NoReturn:
        """Truncated weight; not available, as workers do not report it."""
        raise UnsupportedError(
            "`discarded_weight` needs an executor in this process (got a DaskExecutor). Run one "
            "job on its `executor`, and read `executor.discarded_weight`."
        )

    def place(self, circuit: QuantumCircuit) -> PhysicalCircuit:
        """Return the circuit on the qubits and in the gates of its runs, as `AerExecutor.place`."""
        return self.executor.place(circuit)

    def check(self, program: Program, readout: Readout) -> None:
        """Raise the errors of `AerExecutor.check`; run nothing."""
        self.executor.check(program, readout)

    def run(self, job: Job) -> Result:
        """Run every combination of shared angles and rows, in pieces on the cluster.

        Raises:
            ExecutionError: If the client is closed, if no worker comes within the timeout, if a
                worker has other versions, or if a piece ends several workers.
            HybridOptError: The errors of `AerExecutor.run`, also from workers.
        """
        self.executor._checked_shape(job)
        self._cluster.check_open()
        stream = job.stream or Stream(self.executor._next_call())
        entropy = int(self.executor.state_dict()["entropy"], 16)
        job = replace(job, stream=replace(stream, entropy=entropy))
        plan = self._cut(job, 1)
        if plan.count > 1:
            plan = self._cut(job, len(self._cluster.ready()))
        if plan.count == 1:
            return self._run_here(job, plan)
        return self._run_pieces(job, plan)

    def explain(self, job: Job) -> str:
        """Return the cut and the strategy of its pieces; raise the errors of `run`."""
        self.executor._check_job(job)
        workers = self._cluster.workers()
        plan = self._cut(job, max(1, len(workers)))
        if plan.count == 1:
            return (
                f"In this process, because the estimated {plan.seconds:.2g} s are not worth two "
                f"pieces on the cluster at {self._cluster.address}. {self.executor.explain(job)}"
            )
        first = next(iter(plan.pieces())).of(job)
        names = "shared angles", "samples", "settings"
        along = [f"{n} of {name}" for n, name in zip(plan.parts, names, strict=True) if n > 1]
        return (
            f"{plan.count} pieces ({' x '.join(along)}) for {len(workers)} workers of "
            f"{self._cluster.address}, about {plan.seconds / plan.count:.2g} s each. A piece: "
            f"{self.executor.explain(first)}"
        )

    def num_pieces(self, job: Job) -> int:
        """Return the number of pieces of a job on the present workers; 1 if it runs here."""
        return self._cut(job, max(1, len(self._cluster.workers()))).count

    def settings(self) -> dict[str, Any]:
        """Return class and settings of ``executor``, as the numbers are those of one process."""
        return {"class": type(self.executor).__name__, **self.executor.settings()}

    def state_dict(self) -> dict[str, Any]:
        """Return the position in the random stream of ``executor``."""
        return self.executor.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue the random stream at a position from `state_dict`."""
        self.executor.load_state_dict(state)

    def __repr__(self) -> str:
        return f"DaskExecutor({self.executor!r})"  # without the cluster, which is of one session

    def __copy__(self) -> DaskExecutor:
        own = object.__new__(DaskExecutor)
        own.__dict__.update(self.__dict__, _lock=Lock())
        own.executor = pickle.loads(pickle.dumps(self.executor))  # noqa: S301  # our own bytes
        own._start()
        return own

    def __getstate__(self) -> NoReturn:
        raise ArgumentTypeError(
            "A DaskExecutor must stay in the process of its client (got a request to pickle it). "
            "Pickle its `executor`, and create DaskExecutor(client, executor) in the other process."
        )

    def _cut(self, job: Job, workers: int) -> Cut:
        if job.readout.is_constant or not len(job.rows) * len(job.shared):
            return Cut((1, 1, 1), (1, 1, 1), 0.0)
        work = work_of(job, self.executor)
        factor = self._factors.of(job.program).get(work.strategy, 1.0)
        settings = job.readout.num_settings if work.can_cut_settings else 1
        return cut((len(job.shared), len(job.rows), settings), work, factor, workers)

    def _run_here(self, job: Job, plan: Cut) -> Result:
        result = run_piece(
            self.executor, job.program, job.readout, PieceJob.of(job), this_process()
        )
        self._learn(job, plan, plan.sizes, result.seconds)
        return result.result

    def _run_pieces(self, job: Job, plan: Cut) -> Result:
        collected = Collected(job, plan, job.shots_for(self.shots))
        missing = list(plan.pieces())
        lost: TaskLostError | None = None
        for _ in range(ROUNDS):
            sent = {self._submit(job, piece): piece for piece in missing}
            missing, lost = [], None
            with closing(self._cluster.finished(sent)) as results:
                for future, result, error in results:
                    piece = sent[future]
                    if isinstance(error, TaskLostError):
                        missing.append(piece)
                        lost = error
                    elif error is not None:
                        raise error
                    else:
                        collected.add(piece, result.result)
                        with self._lock:
                            self._usage += result.result.cost
                        self._learn(job, plan, piece.sizes, result.seconds)
            if lost is None:
                return collected.result()
            self._kept.clear()
        assert lost is not None
        raise lost

    def _submit(self, job: Job, piece: Piece) -> Any:
        kept = [self._kept.of(one) for one in (self.executor, job.program, job.readout)]
        return self._cluster.submit(run_piece, *kept, PieceJob.of(job, piece), this_process())

    def _learn(self, job: Job, plan: Cut, sizes: Sizes, seconds: float) -> None:
        """Correct the estimate of the next jobs by the time of a piece [s].

        The first run of a circuit prepares it. Estimates therefore fall at once, and rise by half.
        """
        if plan.work is not None:
            with self._lock:
                factors = self._factors.of(job.program)
                new = max(seconds / plan.work.seconds(sizes), 1e-6)
                known = factors.get(plan.work.strategy, new)
                factors[plan.work.strategy] = min(new, (known + new) / 2)


def _checked(executor: object) -> AerExecutor:
    """Return an executor whose work can be sent to other processes."""
    if isinstance(executor, DaskExecutor):
        raise UnsupportedError(
            "`executor` must run circuits itself (got a DaskExecutor). Give its executor, as in "
            "DaskExecutor(client, other.executor)."
        )
    known = "an AerExecutor, because workers cannot share a session or a connection"
    given = AerExecutor() if executor is None else executor
    return cast(AerExecutor, _validation.instance("executor", given, AerExecutor, known))
