"""Executor on any sampler or estimator of Qiskit."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from threading import RLock
from typing import Any, ClassVar, SupportsIndex

import numpy as np
from qiskit import QuantumCircuit

from hybridopt import _validation
from hybridopt.circuits.physical import PhysicalCircuit
from hybridopt.circuits.program import Program, template_of
from hybridopt.errors import ArgumentError, UnsupportedError
from hybridopt.execution.cost import Cost
from hybridopt.execution.executor import Executor, Lowering
from hybridopt.execution.job import Job, Stream, check_readable
from hybridopt.execution.primitive.client import Client
from hybridopt.execution.primitive.effort import Effort
from hybridopt.execution.primitive.isa_circuits import IsaCircuits
from hybridopt.execution.primitive.journal import Arrays, Entry, Journal, new_key
from hybridopt.execution.primitive.limits import SpendingLimits
from hybridopt.execution.primitive.pubs import Part, parts_of
from hybridopt.execution.primitive.readout_correction import ReadoutCorrection
from hybridopt.execution.primitive.seeding import seeding_of
from hybridopt.execution.primitive.submission import Sender, Submission, Ticket
from hybridopt.execution.random_stream import RandomStream
from hybridopt.execution.readout import Probabilities, Readout
from hybridopt.execution.result import Result

MAX_ROWS = 10_000  # default size of a pub
WIDEST_PROBABILITIES = 24  # qubits


class PrimitiveExecutor(RandomStream, Executor):
    """Executor on any SamplerV2 or EstimatorV2 of Qiskit, on simulators and on devices.

    A circuit is transpiled once, before its parameters get values. A job has one pub per
    measurement basis, with all rows of angles, for a sampler, or one pub with all observables for
    an estimator. All jobs of a forward pass and of its gradient are sent before one is waited for.

    Local primitives run as copies with seeds from the random stream of the executor, one per job.
    No two calls share noise, although a seeded primitive repeats its noise in every call. Error
    mitigation is that of the primitive: set the options of the estimator. `explain` names it.

    Args:
        primitive: Sampler or estimator of Qiskit, Aer, qiskit-ibm-runtime, or another package. A
            primitive of a session or a batch is used as it is.
        pass_manager: Pass manager that transpiles circuits without a layout. None for the preset of
            level 1 with seed 0 if the primitive has a backend, otherwise for no transpilation. A
            circuit that is transpiled before runs unchanged.
        shots: Number of shots per setting of a sampler; None for the default of the sampler.
        precision: Standard error per observable of an estimator; None for the default of the
            estimator. It must not be 0, as exact values are those of `AerExecutor`.
        journal: Folder of jobs. A program that was killed continues there: jobs that were sent are
            looked up and not paid again. None for no journal.
        retrieve: Function that returns the job of an id, for a journal; None for ``job`` of the
            service of the primitive. Without both, jobs in the journal are sent again.
        max_rows: Largest number of rows of angles per pub; None for 10,000. Longer jobs are cut.
        max_shots: Largest number of shots since construction; None for no limit. A job beyond a
            limit is refused before it is sent. `hybridopt.fit` then ends with its last weights.
        max_jobs: Largest number of jobs since construction; None for no limit.
        max_seconds: Seconds reported by the service after which nothing is sent; None for no limit.
        readout_mitigation: ``"inverse"`` to correct readout errors of a sampler by the inverse of
            their confusion matrices; None for no correction.
        confusion: Confusion matrices for `readout_mitigation`; None for those of the device.
        seed: Seed of the noise of local primitives, and of random gradient rules; None for the seed
            of the primitive or of the journal, or else for a random seed. Devices have none.

    Attributes:
        shots: Number of shots per setting; for an estimator 1 / precision^2.
        precision: Standard error that an estimator aims at; None for a sampler.

    Raises:
        ArgumentTypeError: If ``primitive`` or another argument has a wrong type.
        ArgumentError: If ``shots`` is given for an estimator, or ``precision`` for a sampler.
        CheckpointError: If the journal is damaged.
        UnsupportedError: If another process has the journal open.

    Example:
        >>> import torch, hybridopt as ho
        >>> from qiskit.primitives import StatevectorSampler
        >>> executor = ho.PrimitiveExecutor(StatevectorSampler(), shots=100, seed=1)
        >>> layer = ho.CircuitLayer(*ho.load_circuit("data_reuploading"), executor=executor)
        >>> with torch.no_grad():
        ...     _ = layer(torch.rand(5, layer.in_features))
        >>> executor.usage
        Cost(settings=5, shots=500, runs=5, jobs=1)
    """

    shots: int
    precision: float | None
    is_remote = True
    changeable: ClassVar[frozenset[str]] = frozenset(
        {"seed", "journal", "max_shots", "max_jobs", "max_seconds"}
    )

    def __init__(
        self,
        primitive: Any,
        *,
        pass_manager: Any = None,
        shots: int | None = None,
        precision: float | None = None,
        journal: str | os.PathLike[str] | None = None,
        retrieve: Callable[[str], Any] | None = None,
        max_rows: int | None = None,
        max_shots: int | None = None,
        max_jobs: int | None = None,
        max_seconds: float | None = None,
        readout_mitigation: str | None = None,
        confusion: object = None,
        seed: int | None = None,
    ) -> None:
        self._client = Client.of(primitive)
        self._effort = Effort.checked(self._client, shots, precision)
        self.shots, self.precision = self._effort.shots, self._effort.precision
        self.max_rows = _validation.optional_integer("max_rows", max_rows, minimum=1) or MAX_ROWS
        self.limits = SpendingLimits.checked(max_shots, max_jobs, max_seconds)
        self._seeding = seeding_of(primitive)
        own = self._seeding.own(primitive)
        self.seed = _validation.optional_integer("seed", seed, minimum=0)
        self._is_seeded = self._seeding.always or self.seed is not None or own is not None
        super().__init__(own if self.seed is None and isinstance(own, int) else self.seed)
        _check_callables(pass_manager, retrieve)
        self.readout_mitigation = readout_mitigation
        self._correction = ReadoutCorrection.of(self._client, readout_mitigation, confusion)
        ideal = self._client.is_ideal and self._client.backend is None
        self._circuits = IsaCircuits(self._client.backend, pass_manager, compact=ideal)
        one_pub = self._is_seeded and self._seeding.one_pub
        self._sender = Sender(self._client, retrieve, one_pub)
        self._usage, self._lock = Cost(), RLock()
        self._journal: Journal | None = None
        if journal is not None:
            self._journal = Journal.open(_validation.path("journal", journal))
            if self.seed is None and self._journal.entropy is not None:
                self._entropy = self._journal.entropy

    @property
    def usage(self) -> Cost:
        """Cost since construction, counted when jobs are sent, seconds when they are done."""
        with self._lock:
            return self._usage

    @property
    def has_noise(self) -> bool:
        """Whether gates may have errors; False for simulators without noise."""
        return not self._client.is_ideal

    @property
    def lowering(self) -> Lowering:
        """Gates to which circuits are lowered, those of hardware."""
        return "elementary"

    @property
    def mitigation(self) -> str:
        """Error mitigation, in words; empty without any."""
        own = "" if self._correction is None else "readout errors by inverse confusion matrices"
        return ", ".join(filter(None, [self._client.mitigation, own]))

    def settings(self) -> dict[str, Any]:
        """Return the settings as plain data, without tokens and instances of accounts."""
        effort = "shots" if self._client.is_sampler else "precision"
        folder = None if self._journal is None else str(self._journal.folder)
        return {
            "primitive": self._client.name,
            effort: getattr(self, effort),
            "mitigation": self.mitigation,
            "readout_mitigation": self.readout_mitigation,
            "confusion": self._correction and self._correction.fingerprint,
            "max_rows": self.max_rows,
            "seed": self.seed,
            "journal": folder,
            **asdict(self.limits),
        }

    def place(self, circuit: QuantumCircuit) -> PhysicalCircuit:
        """Return the circuit on the qubits and in the gates of the device, transpiled once.

        A circuit that was transpiled before (``circuit.layout`` is set) is not changed.

        Raises:
            CircuitError: If the pass manager cannot transpile the circuit.
            UnsupportedError: If the device has too few qubits, or lacks a gate of the circuit.
        """
        return self._circuits.place(circuit)

    def check(self, program: Program, readout: Readout) -> None:
        """Raise an error if the program or the readout cannot be run; send nothing."""
        check_readable(program, readout)
        self._circuits.check_width(program.num_qubits)
        self._client.check_open()
        if isinstance(readout, Probabilities):
            self._check_probabilities(program, readout)
        elif not readout.is_whole:
            raise UnsupportedError(
                "A PrimitiveExecutor must read whole observables (got some of their settings). It "
                "cuts long jobs itself (`max_rows`), so do not give it to a DaskExecutor."
            )
        if self._correction is not None:  # raises for qubits without a confusion matrix
            self._correction.readout(program, readout, self._circuits).settings(program)

    def run(self, job: Job) -> Result:
        """Send the job, and wait for its result."""
        return self.submit(job).result()

    def submit(self, job: Job) -> Submission:
        """Send the job; its result waits for it."""
        self._check_job(job)
        stream = job.stream or Stream(self._next_call())
        job = replace(self._corrected(job), stream=stream)
        effort = self._effort.of(job)
        parts = [] if job.readout.is_constant else list(self._parts(job))
        costs = [self._cost(part, effort.shots) for part in parts]
        total = sum(costs, Cost())
        tickets = []
        with self._lock:
            self.limits.check(self._usage, total)
            for number, (part, cost) in enumerate(zip(parts, costs, strict=True)):
                tickets.append(self._send(part, number, stream, effort))
                self._usage += cost
        return Submission(job, tickets, total, lambda ticket: self._wait(ticket, effort))

    def explain(self, job: Job) -> str:
        """Return what would be sent, in words; send nothing."""
        self._check_job(job)
        job = self._corrected(job)
        cells, bases = len(job.shared) * len(job.rows), job.readout.num_settings
        jobs = -(-cells // self._size(job))
        how = (
            "transpiled once, one pub per basis"
            if template_of(job.program) is not None
            else "one pub per row and basis, because the program binds its own circuits"
        )
        return (
            f"{_count(cells * bases, 'setting')} of {_count(job.program.num_qubits, 'qubit')} "
            f"({_count(cells, 'row')}, {_count(bases, 'basis', 'bases')}) in "
            f"{_count(jobs, 'job')} on "
            f"{self._client.name}, {self._effort.of(job)}; {how}.{self._explain_mitigation()}"
        )

    def __repr__(self) -> str:
        effort = f"shots={self.shots}" if self._client.is_sampler else f"precision={self.precision}"
        return f"PrimitiveExecutor({self._client.name}, {effort}, seed={self.seed})"

    def __copy__(self) -> PrimitiveExecutor:
        """Return an executor on the same primitive and journal, with its own position and cost."""
        clone: PrimitiveExecutor = type(self).__new__(type(self))
        clone.__setstate__(self.__getstate__())
        return clone

    def __reduce_ex__(self, protocol: SupportsIndex) -> Any:
        if self._journal is not None:
            raise UnsupportedError(
                "An executor with a `journal` must stay in its process, because two processes "
                "would send the same jobs. Create the executor again without `journal`."
            )
        if not self._client.is_local:
            raise UnsupportedError(
                f"An executor on {type(self._client.primitive).__name__} must stay in its "
                "process, because its pickle could hold the token of an account. Create it again."
            )
        return super().__reduce_ex__(protocol)

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=RLock())

    def _explain_mitigation(self) -> str:
        if not self.mitigation:
            return ""
        return f" Mitigated ({self.mitigation}): mitigated is not exact."

    def _corrected(self, job: Job) -> Job:
        """Return the job with a readout whose errors are corrected, if they are to be."""
        if self._correction is None:
            return job
        readout = self._correction.readout(job.program, job.readout, self._circuits)
        return replace(job, readout=readout)

    def _check_job(self, job: object) -> None:
        checked = _validation.instance(
            "job", job, Job, "a Job, such as Job(lower(circuit), Probabilities(), rows, shared)"
        )
        self.check(checked.program, checked.readout)
        checked.check()

    def _check_probabilities(self, program: Program, readout: Probabilities) -> None:
        if not self._client.is_sampler:
            raise UnsupportedError(
                "An estimator returns expectation values, not probabilities. Use a sampler, or "
                "give observables."
            )
        read = len(readout.settings(program)[0].qubits)
        if read > WIDEST_PROBABILITIES:
            raise UnsupportedError(
                f"Probabilities must be read from at most {WIDEST_PROBABILITIES} qubits (got "
                f"{read}). Read fewer qubits, or give observables."
            )

    def _size(self, job: Job) -> int:
        """Return the largest number of cells per job."""
        circuits: int | None = getattr(self._client.backend, "max_circuits", None)
        if circuits is None or not self._is_seeded:
            return self.max_rows
        # longer jobs are cut by the primitive, and the seed would repeat in each piece
        return max(1, min(self.max_rows, circuits // max(1, job.readout.num_settings)))

    def _parts(self, job: Job) -> Iterator[Part]:
        return parts_of(job, self._circuits, self._size(job), is_sampler=self._client.is_sampler)

    def _cost(self, part: Part, shots: int) -> Cost:
        settings = part.cells * part.job.readout.num_settings
        jobs = len(part.pubs) if self._sender.one_pub else 1
        return Cost(settings, settings * shots, settings, jobs)

    def _send(self, part: Part, number: int, stream: Stream, effort: Effort) -> Ticket:
        identity = {
            "kind": "sampler" if self._client.is_sampler else "estimator",
            "circuit": part.circuit + (self._correction.fingerprint if self._correction else ""),
            "shots": effort.shots if effort.precision is None else repr(effort.precision),
            "rows": part.cells,
            "angles": part.angles,
        }
        entry = (
            Entry(None, new_key(), identity)
            if self._journal is None
            else self._journal.entry(self._entropy, stream, identity)
        )
        seeds = None
        if self._is_seeded:
            place = stream.call, stream.first_shared, stream.first_row, stream.first_setting
            sequence = np.random.SeedSequence(self._entropy, spawn_key=(*place, number))
            seeds = (sequence.generate_state(len(part.pubs)) >> 1).tolist()
        return self._sender.send(part, entry, effort, seeds)

    def _wait(self, ticket: Ticket, effort: Effort) -> Arrays:
        arrays = self._sender.wait(ticket, effort.precision or 0.0)
        with self._lock:
            self._usage += Cost(seconds=float(arrays["seconds"]))
        return arrays


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


def _check_callables(pass_manager: Any, retrieve: object) -> None:
    if pass_manager is not None and not callable(getattr(pass_manager, "run", None)):
        raise ArgumentError(
            "`pass_manager` must be a PassManager, such as generate_preset_pass_manager(1, "
            f"backend=backend) (got {type(pass_manager).__name__})."
        )
    if retrieve is not None and not callable(retrieve):
        raise ArgumentError(
            "`retrieve` must be a function that returns the job of an id (got "
            f"{type(retrieve).__name__})."
        )
