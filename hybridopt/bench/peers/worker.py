"""Program of a process that runs one competitor, for `process.InProcess`.

It is started by its path, so that nothing is imported before the packages of its folder. Requests
and answers are pickles: ``(name, arguments)``, then ``(result, None)`` or ``(None, error)``. An
error is the name of its class, and its text.
"""

from __future__ import annotations

import gc
import pickle
import sys
import time
from importlib import import_module
from multiprocessing.connection import Connection
from typing import Any


class Server:
    """Methods that the other side calls by name."""

    def __init__(self) -> None:
        self.competitor: Any = None
        self.prepared: list[Any] = []

    def load(self, path: list[str], module: str, name: str, arguments: tuple[Any, ...]) -> None:
        """Create the competitor from its class, with these folders for imports."""
        sys.path[:] = path
        self.competitor = getattr(import_module(module), name)(*arguments)

    def prepare(self, problem: Any) -> tuple[int, str]:
        """Translate a problem; return its number and the note of the translation."""
        self.prepared.append(self.competitor.prepare(problem))
        gc.collect()
        gc.freeze()
        gc.disable()  # as in the process that measures
        return len(self.prepared) - 1, self.prepared[-1].note

    def gradient(self, number: int, x: Any, w: Any) -> tuple[Any, float, float]:
        """Return a result, and the wall and CPU seconds that it took here."""
        cpu, wall = time.process_time(), time.perf_counter()
        result = self.prepared[number].gradient(x, w)
        return result, time.perf_counter() - wall, time.process_time() - cpu


def serve(connection: Connection) -> None:
    """Answer requests until the other side closes the connection."""
    server = Server()
    while True:
        try:
            request = connection.recv_bytes()
        except EOFError:
            return
        try:
            name, arguments = pickle.loads(request)  # noqa: S301  # from our own process
            answer = pickle.dumps((getattr(server, name)(*arguments), None))
        except (Exception, SystemExit) as error:  # noqa: BLE001  # a peer can fail in any way; the row has the reason
            answer = pickle.dumps((None, (type(error).__name__, str(error))))
        connection.send_bytes(answer)


if __name__ == "__main__":
    with Connection(int(sys.argv[1])) as opened:
        serve(opened)
