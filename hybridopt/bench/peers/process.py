"""Competitors in processes of their own, with their own packages and threads."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from multiprocessing import Pipe
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, TypeAlias

import numpy as np

from hybridopt.bench.peers import worker
from hybridopt.bench.peers.competitor import Competitor, Duration, PreparedProblem
from hybridopt.bench.problem import Problem
from hybridopt.circuits.errors import CircuitError
from hybridopt.errors import ExecutionError, UnsupportedError

Source: TypeAlias = tuple[str, str, tuple[Any, ...]]  # module, class, its arguments
REFUSALS = {one.__name__: one for one in (UnsupportedError, CircuitError)}
LAST_CHARACTERS = 500  # of the error output of a process that ended


class Worker:
    """Process that runs one competitor; the first call waits for its imports.

    Args:
        folder: Folder of packages; they come before those of this process.
        threads: Number of OpenMP threads.
        source: Module, class and arguments of the competitor.
    """

    def __init__(self, folder: Path, threads: int, source: Source) -> None:
        self._connection, other = Pipe()
        self._errors = TemporaryFile()  # noqa: SIM115  # closed by `close`
        with other:
            self._process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-P", worker.__file__, str(other.fileno())],
                env={**os.environ, "OMP_NUM_THREADS": str(threads)},
                pass_fds=[other.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=self._errors,
                stderr=self._errors,
            )
        try:
            self.call("load", [str(folder), *sys.path], *source)
        except BaseException:
            self.close()
            raise

    @property
    def is_open(self) -> bool:
        """Whether the process takes calls; it ends after an interrupted one."""
        return not self._connection.closed

    def call(self, name: str, *arguments: Any) -> Any:
        """Call a method of `worker.Server`.

        Raises:
            UnsupportedError, CircuitError: If the method raises it.
            ExecutionError: If the method raises another error, or the process ends.
        """
        try:
            self._connection.send_bytes(pickle.dumps((name, arguments)))
            result, error = pickle.loads(self._connection.recv_bytes())  # noqa: S301  # our process
        except (EOFError, OSError):
            raise ExecutionError(self._end()) from None
        except BaseException:  # as at a time limit: a late answer must not be read
            self.close()
            raise
        if error:
            name, text = error
            raise REFUSALS[name](text) if name in REFUSALS else ExecutionError(f"{name}: {text}")
        return result

    def close(self) -> None:
        """End the process."""
        if self.is_open:
            self._connection.close()
            self._process.kill()
            self._process.wait()
            self._errors.close()

    def _end(self) -> str:
        """Close after the process ended, and return its status and its last words."""
        status = self._process.wait()
        self._errors.seek(0)
        last = self._errors.read().decode("utf-8", "replace")[-LAST_CHARACTERS:].strip()
        self.close()
        return f"The process of a peer ended with status {status}. {last}".strip()


class InProcess(Competitor):
    """Competitor in a process of its own, which starts with its first problem.

    Times are those of that process, without the exchange of numbers with it.

    Args:
        competitor: Competitor with the names and properties of this one; it is created again in
            the process, by its class and ``arguments``.
        arguments: Arguments of its class.
        folder: Folder of packages that only the process imports.
        install: Command that fills the folder.
        threads: Number of OpenMP threads of the process.
    """

    def __init__(
        self,
        competitor: Competitor,
        arguments: tuple[Any, ...],
        *,
        folder: Path,
        install: str,
        threads: int = 1,
    ) -> None:
        self.key, self.name, self.library = competitor.key, competitor.name, competitor.library
        self.rule, self.kind = competitor.rule, competitor.kind
        self.exact, self.samples = competitor.exact, competitor.samples
        self.tolerance, self.compiles = competitor.tolerance, competitor.compiles
        self.folder, self.install, self.threads = folder, install, threads
        kind = type(competitor)
        self._source = kind.__module__, kind.__qualname__, arguments
        self._worker: Worker | None = None

    def unavailable(self) -> str:
        """Return the command that installs the packages; empty if the folder exists."""
        if self.folder.is_dir():
            return ""
        found = f"{self.library} is not installed. Run `make peers` in a checkout, or"
        return f"{found} `{self.install}`."

    def prepare(self, problem: Problem) -> PreparedProblem:
        """Translate a problem in the process."""
        if self._worker is None or not self._worker.is_open:
            self._worker = Worker(self.folder, self.threads, self._source)
        working = self._worker
        number, note = working.call("prepare", problem)
        last = Duration(0.0, 0.0)

        def gradient(x: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            nonlocal last
            result, wall, cpu = working.call("gradient", number, x, w)
            last = Duration(wall, cpu)
            values, by_weights = result
            return values, by_weights

        return PreparedProblem(gradient, note=note, duration=lambda: last)

    def close(self) -> None:
        """End the process."""
        if self._worker is not None:
            self._worker.close()
