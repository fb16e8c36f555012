"""Jobs at a service: sent once, found again after a crash, and waited for."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import RLock
from typing import Any

import numpy as np

from hybridopt.errors import ExecutionError
from hybridopt.execution.cost import Cost
from hybridopt.execution.job import Job
from hybridopt.execution.primitive.client import Client
from hybridopt.execution.primitive.connection import repeated
from hybridopt.execution.primitive.effort import Effort
from hybridopt.execution.primitive.journal import Arrays, Entry
from hybridopt.execution.primitive.pubs import Part
from hybridopt.execution.result import PendingResult, Result

TAG = "ho-"  # tags of IBM have few characters


@dataclass(eq=False)
class Ticket:
    """Part of a job that was sent, or whose result is in the journal."""

    part: Part
    entry: Entry
    handles: list[Any] = field(default_factory=list)  # jobs of the primitive
    arrays: Arrays | None = None  # of the result, once it has come


@dataclass(eq=False)
class Sender:
    """Sends parts of jobs to a primitive, and waits for them."""

    client: Client
    retrieve: Callable[[str], Any] | None
    one_pub: bool  # whether each pub is a job of its own

    def send(
        self,
        part: Part,
        entry: Entry,
        effort: Effort,
        seeds: Sequence[int] | None,
    ) -> Ticket:
        """Return the ticket of a part, which is sent unless the journal knows it."""
        ticket = Ticket(part, entry, arrays=entry.load())
        if ticket.arrays is not None:
            return ticket
        if not entry.is_new and (found := self._found(entry)) is not None:
            ticket.handles = [found]
            return ticket
        if entry.is_new:
            entry.write()
        groups = [[pub] for pub in part.pubs] if self.one_pub else [list(part.pubs)]
        for place, pubs in enumerate(groups):
            seed = None if seeds is None else seeds[place]
            ticket.handles.append(self._sent(pubs, entry, effort, seed))
        if self._keeps_jobs:
            entry.job_id = _job_id(ticket.handles[0])
            entry.write()
        return ticket

    def wait(self, ticket: Ticket, precision: float) -> Arrays:
        """Return the result of a ticket, and write it to the journal."""
        if ticket.arrays is None:
            results, seconds = [], 0.0
            for handle in ticket.handles:
                results += self._result(handle, ticket.entry)
                seconds += seconds_of(handle)
            if len(results) != len(ticket.part.pubs):
                raise ExecutionError(
                    f"{self.client.name} must return one result per pub (got {len(results)} for "
                    f"{len(ticket.part.pubs)} pubs). Report this to its authors."
                )
            is_sampler = self.client.is_sampler
            read = ticket.part.read(results, is_sampler=is_sampler, precision=precision)
            arrays = {"values": read[0], "variances": read[1], "seconds": np.array(seconds)}
            ticket.entry.save(arrays)
            ticket.arrays = arrays
            ticket.handles = []
        return ticket.arrays

    @property
    def _keeps_jobs(self) -> bool:
        """Whether jobs can be found after this process has ended."""
        return self.retrieve is not None or not self.client.is_local

    def _found(self, entry: Entry) -> Any:
        """Return the job of an entry that an earlier process wrote; None if it must be sent."""
        if not self._keeps_jobs:
            return None  # it ended with its process, and was not paid
        if entry.job_id is not None:
            found = self._retrieved(entry.job_id)
            if found is None:
                _warn_of_second_payment(f"job {entry.job_id} is not known any more")
            return found
        if not self.client.has_tags:
            _warn_of_second_payment("the program ended while a job was sent, and it has no tag")
            return None
        found = self._call(lambda: self.client.find(TAG + entry.key), "The search for a job")
        if found is not None:
            entry.job_id = _job_id(found)
            entry.write()
        return found

    def _retrieved(self, job_id: str) -> Any:
        retrieve = self.retrieve or getattr(self.client.service, "job", None)
        if retrieve is None:
            return None

        def call() -> Any:
            try:
                return retrieve(job_id)
            except Exception as error:
                if "NotFound" in type(error).__name__ or isinstance(error, KeyError):
                    return None
                raise

        return self._call(call, f"The search for job {job_id}")

    def _sent(self, pubs: Sequence[Any], entry: Entry, effort: Effort, seed: int | None) -> Any:
        tag = TAG + entry.key if self.client.has_tags else None
        attempts: list[None] = []

        def call() -> Any:
            if attempts and tag is not None and (found := self.client.find(tag)) is not None:
                return found
            if attempts and tag is None:
                _warn_of_second_payment("the connection was lost while a job was sent")
            attempts.append(None)
            return self.client.send(pubs, effort.shots, effort.asked, tag=tag, seed=seed)

        return self._call(call, "Sending a job")

    def _result(self, handle: Any, entry: Entry) -> list[Any]:
        attempts: list[None] = []

        def call() -> list[Any]:
            found = self._retrieved(_job_id(handle)) if attempts else None
            attempts.append(None)
            return list((handle if found is None else found).result())

        remedy = "" if entry.path is None else f" To send it again, delete {entry.path}."
        results: list[Any] = self._call(call, f"Job {_job_id(handle)}", remedy)
        return results

    def _call(self, call: Callable[[], Any], what: str, remedy: str = "") -> Any:
        """Return the value of a call of the service; explain closed sessions."""
        failure, cause = "", None
        secrets = None if self.client.is_local else list(self.client.secrets())
        try:
            return repeated(call, f"{what} on {self.client.name}", secrets)
        except ExecutionError as error:
            failure, cause = str(error), error.__cause__
        if self.client.is_closed() or "session is closed" in failure.lower():
            raise self.client.closed_error()
        raise ExecutionError(f"{failure}{remedy}") from cause


class Submission(PendingResult):
    """Result of a job whose parts were sent."""

    def __init__(
        self,
        job: Job,
        tickets: Sequence[Ticket],
        cost: Cost,
        wait: Callable[[Ticket], Arrays],
    ) -> None:
        self._job, self._tickets, self._cost, self._wait = job, tickets, cost, wait
        self._lock = RLock()
        self._done: Result | None = None

    def result(self) -> Result:
        """Return the result; wait for all jobs first."""
        with self._lock:
            if self._done is None:
                self._done = self._read()
            return self._done

    def _read(self) -> Result:
        job = self._job
        shape = len(job.shared), len(job.rows), job.readout.num_outputs(job.program)
        arrays = [self._wait(ticket) for ticket in self._tickets]
        if not arrays:  # no rows, or only multiples of the identity
            values = np.zeros(shape)
            if values.size:
                values[:] = job.readout.read(job.program, [])
            return Result(values, np.zeros(shape), self._cost)
        values, variances = (
            np.concatenate([one[name] for one in arrays]).reshape(shape)
            for name in ("values", "variances")
        )
        seconds = sum(float(one["seconds"]) for one in arrays)
        return Result(values, variances, self._cost + Cost(seconds=seconds))


def seconds_of(handle: Any) -> float:
    """Return the seconds of a job that the service reports; 0 if it reports none."""
    try:
        metrics = handle.metrics() if callable(getattr(handle, "metrics", None)) else {}
        usage = metrics.get("usage", {})
        for name in ("quantum_seconds", "qpu_charge_time_seconds", "seconds"):
            if isinstance(usage.get(name), int | float):
                return float(usage[name])
        found = handle.usage() if callable(getattr(handle, "usage", None)) else 0.0
        return float(found) if isinstance(found, int | float) else 0.0
    except Exception:  # noqa: BLE001 the result has come; only its price is not known
        return 0.0


def _job_id(handle: Any) -> str:
    found = getattr(handle, "job_id", None)
    return str(found() if callable(found) else found)


def _warn_of_second_payment(reason: str) -> None:
    warnings.warn(
        f"A job is sent again, because {reason}. It may be paid twice.", UserWarning, stacklevel=2
    )
