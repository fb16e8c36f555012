"""Connection to a Dask cluster: workers with equal versions, set threads, and data that is kept."""

from __future__ import annotations

import os
import platform
import queue
import sys
import threading
import time
import warnings
from collections.abc import Callable, Generator, Iterable, Mapping
from importlib import import_module, metadata
from typing import Any

from hybridopt import _validation
from hybridopt.errors import ArgumentError, ExecutionError, MissingExtraError
from hybridopt.execution.aer.simulator import limit_threads

TIMEOUT = 60.0  # [s]
SECONDS_BETWEEN_CHECKS = 1.0  # of a cluster that sends no result
MUST_AGREE = ("python", "hybridopt", "qiskit", "qiskit-aer", "numpy")  # or numbers may differ
Finished = tuple[Any, Any, Exception | None]  # future, result, error
_SETUP = threading.Lock()
_PREPARED: list[int] = []  # number of threads, in a worker whose threads are set


class TaskLostError(ExecutionError):
    """Error for a task without a result, because the scheduler forgot it or its workers ended."""


class Cluster:
    """Checked connection to the workers of a Dask client.

    Args:
        client: A connected `distributed.Client`.
        timeout: Longest time without any worker before an error is raised [s].

    Raises:
        MissingExtraError: If the package distributed is not installed.
        ArgumentTypeError: If ``client`` is not a client.
        ArgumentError: If ``client`` is asynchronous, or ``timeout`` is negative.
        ExecutionError: If ``client`` is closed.
    """

    def __init__(self, client: object, timeout: float = TIMEOUT) -> None:
        self._dask = _distributed()
        expected = "a distributed.Client, such as Client('tcp://scheduler:8786')"
        self.client = _validation.instance("client", client, self._dask.Client, expected)
        self.timeout = _validation.real("timeout", timeout, minimum=0.0)
        if self.client.asynchronous:
            raise ArgumentError(
                "`client` must be synchronous (got an asynchronous client). Create it with "
                "`Client(address)`."
            )
        self._process = os.getpid()
        self._checked: set[str] = set()
        self.check_open()

    @property
    def address(self) -> str:
        """Address of the scheduler."""
        return str(getattr(self.client.scheduler, "address", "unknown"))

    def workers(self) -> dict[str, int]:
        """Return the number of threads of each worker by its address, without waiting."""
        self.check_open()
        try:
            return dict(self.client.nthreads())
        except OSError as error:
            raise ExecutionError(
                f"The scheduler at {self.address} does not answer ({error}). Start it again, and "
                "create a new client."
            ) from error

    def check_open(self) -> None:
        """Raise ExecutionError if the client is closed or belongs to another process."""
        if os.getpid() != self._process:
            raise ExecutionError(
                "A Dask client must be used in the process that created it (got a forked process). "
                "Create client and executor there, or use no forked workers."
            )
        if self.client.status not in {"running", "connecting"}:
            raise ExecutionError(
                "`client` must be connected (got a closed client of the scheduler "
                f"at {self.address}). Create a new client, and a new executor with it."
            )

    def ready(self) -> dict[str, int]:
        """Wait for a worker, check and prepare all new ones; return the threads of each.

        Raises:
            ExecutionError: If no worker comes within the timeout, if a worker cannot import
                hybridopt, or if it has other versions of the packages that affect numbers.
        """
        began = time.monotonic()
        while True:
            threads = self.workers()
            self._check_new([address for address in threads if address not in self._checked])
            checked = {one: count for one, count in threads.items() if one in self._checked}
            if checked:
                return checked
            if time.monotonic() - began >= self.timeout:
                raise self._no_workers()
            time.sleep(0.05)

    def _check_new(self, workers: list[str]) -> None:
        if not workers:
            return
        arguments = prepare_worker, this_process()
        for address, found in self.client.run(
            *arguments, workers=workers, on_error="return"
        ).items():
            if isinstance(found, OSError):  # the worker has just ended
                continue
            _check_versions(address, found)
            self._checked.add(address)

    def keep(self, value: object) -> Any:
        """Return a future of the value, which is sent once and sent again if its worker dies.

        The value is the result of a task. In contrast to scattered data, the scheduler computes it
        again if it is lost with all workers that have it.
        """
        try:
            packed = self._dask.protocol.pickle.dumps(value)
        except Exception as error:  # including errors of the user's classes
            raise ArgumentError(
                f"{type(value).__name__} must be picklable for a cluster (got "
                f"{type(error).__name__}: {error}). Define it at the top level of a module."
            ) from error
        return self.submit(_unpack, packed)

    def submit(self, function: Callable[..., Any], *args: Any) -> Any:
        """Return the future of a call on a worker; arguments may be futures."""
        self.check_open()
        size = {"distributed.admin.large-graph-warning-threshold": "1 TiB"}  # tables may be large
        with import_module("dask").config.set(size):
            return self.client.submit(function, *args, pure=False)

    def finished(self, futures: Iterable[Any]) -> Generator[Finished, None, None]:
        """Yield each future with its result or its error, in the order in which they end.

        An end of the generator cancels the tasks that have not ended.

        Raises:
            ExecutionError: If the client is closed, or no worker is left for the timeout.
        """
        ended: queue.SimpleQueue[Any] = queue.SimpleQueue()
        waiting = {future.key: future for future in futures}
        for future in waiting.values():
            future.add_done_callback(ended.put)
        try:
            while waiting:
                future = self._watch(lambda: ended.get(timeout=SECONDS_BETWEEN_CHECKS))
                outcome = self._outcome(future)
                del waiting[future.key]
                yield future, *outcome
        finally:
            if waiting and self.client.status == "running":
                self.client.cancel(list(waiting.values()))

    def _outcome(self, future: Any) -> tuple[Any, Exception | None]:
        if future.status == "cancelled":
            self.check_open()
            return None, TaskLostError(
                f"The scheduler at {self.address} must keep tasks until they end (got a lost "
                "task, as after a restart). Run the job again."
            )
        try:
            return self._watch(lambda: future.result(timeout=SECONDS_BETWEEN_CHECKS)), None
        except self._dask.CancelledError:
            return self._outcome(future)
        except self._dask.KilledWorker as error:
            return None, TaskLostError(
                f"A task must not end its worker, but {error.allowed_failures + 1} workers ended "
                f"with it, the last at {error.last_worker.address}. Usually memory is missing: "
                "lower `max_memory` of the executor (per worker), or give workers more memory."
            )
        except Exception as error:  # noqa: BLE001  # of the task; the caller raises it
            return None, error

    def _watch(self, wait: Callable[[], Any]) -> Any:
        """Return the result of a wait; while it times out, check that workers are there."""
        last_seen = time.monotonic()
        while True:
            try:
                return wait()
            except (queue.Empty, TimeoutError, self._dask.TimeoutError):
                if self.workers():
                    last_seen = time.monotonic()
                elif time.monotonic() - last_seen > self.timeout:
                    raise self._no_workers() from None

    def _no_workers(self) -> ExecutionError:
        return ExecutionError(
            f"The scheduler at {self.address} must have at least 1 worker (got none for "
            f"{self.timeout:g} s). Start workers with `dask worker {self.address}`, or raise "
            "`timeout`."
        )


def this_process() -> tuple[str, int]:
    """Return an identification of this process."""
    return platform.node(), os.getpid()


def prepare_worker(client_process: tuple[str, int], dask_worker: Any = None) -> dict[str, str]:
    """Set the threads of this worker, and return its versions; Dask passes ``dask_worker``."""
    set_threads(client_process, dask_worker)
    return installed_versions()


def set_threads(client_process: tuple[str, int], worker: Any = None) -> None:
    """Set the threads of Aer and torch to those of this worker, once in its process.

    A worker in the process of the client keeps the settings of that process.
    """
    with _SETUP:
        if _PREPARED or this_process() == client_process:
            return
        count = (worker or _distributed().get_worker()).state.nthreads
        os.environ["OMP_NUM_THREADS"] = str(count)  # of libraries that are loaded later
        limit_threads(count)
        if torch := sys.modules.get("torch"):
            torch.set_num_threads(count)
        _PREPARED.append(count)


def installed_versions() -> dict[str, str]:
    """Return the versions on which numbers on a worker depend."""
    modules = {"hybridopt": "hybridopt", "qiskit": "qiskit", "qiskit-aer": "qiskit_aer"}
    modules["numpy"] = "numpy"
    versions = {name: import_module(module).__version__ for name, module in modules.items()}
    try:  # torch is not loaded for it
        versions["torch"] = metadata.version("torch").partition("+")[0]
    except metadata.PackageNotFoundError:
        versions["torch"] = "none"
    return {"python": ".".join(platform.python_version_tuple()[:2]), **versions}


def _check_versions(address: str, versions: object) -> None:
    """Refuse a worker with other versions, or without hybridopt; warn of another torch."""
    if not isinstance(versions, Mapping):
        raise ExecutionError(
            f"The worker at {address} must be able to import hybridopt "
            f"{installed_versions()['hybridopt']} (got {type(versions).__name__}: {versions}). "
            "Install the same packages on all workers."
        )
    for name, number in installed_versions().items():
        found = versions.get(name, "none")
        if found == number:
            continue
        text = f"The worker at {address} must have {name} {number}, as this process (got {found})."
        if name in MUST_AGREE:
            raise ExecutionError(f"{text} Install the same version on all workers.")
        remedy = "Circuits do not depend on it, but training on the worker may."
        warnings.warn(f"{text} {remedy}", UserWarning, stacklevel=2)


def _unpack(packed: bytes) -> Any:
    return _distributed().protocol.pickle.loads(packed)


def _distributed() -> Any:
    try:
        return import_module("distributed")
    except ImportError as error:
        raise MissingExtraError(
            "distributed must be installed for a Dask cluster. Run: "
            "pip install 'hybridopt-qiskit[dask]'"
        ) from error
