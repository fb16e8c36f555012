"""Client of a cluster that runs each task at once in this process, after it was pickled."""

from __future__ import annotations

import itertools
import pickle
from collections import Counter
from types import SimpleNamespace

from distributed import Client

ADDRESS = "tcp://fake:8786"


class FakeFuture:
    """Future of a task that has ended."""

    def __init__(self, key, status, value):
        self.key, self.status, self.value = key, status, value

    def add_done_callback(self, function):
        function(self)

    def result(self, timeout):
        if isinstance(self.value, Exception):
            raise self.value
        return pickle.loads(pickle.dumps(self.value))


class FakeClient(Client):
    """Client with the methods that a `Cluster` uses.

    Attributes:
        calls: Number of submitted calls by the name of their function.
        checked: Workers whose versions were asked for.
        lose: Number of the next pieces that are lost.
        cancelled: Number of cancelled tasks.
    """

    asynchronous = False
    status = "running"
    scheduler = SimpleNamespace(address=ADDRESS)

    def __init__(self, workers=2, versions=None):
        self.addresses = {f"tcp://worker:{number}": 1 for number in range(workers)}
        self.versions = versions or {}
        self.calls, self.checked, self.lose, self.cancelled = Counter(), [], 0, 0
        self._numbers = itertools.count()

    def __del__(self):
        """End without the connection that the base class closes."""

    def nthreads(self):
        return self.addresses

    def run(self, function, *args, workers=None, on_error="raise"):
        if workers is None:
            return {address: function(*args) for address in self.addresses}
        self.checked += workers
        found = {address: function(*args) for address in workers}
        if isinstance(self.versions, Exception):
            return dict.fromkeys(workers, self.versions)
        return {address: {**versions, **self.versions} for address, versions in found.items()}

    def submit(self, function, *args, pure):
        assert not pure  # equal calls draw different noise
        self.calls[function.__name__] += 1
        key = f"{function.__name__}-{next(self._numbers)}"
        if self.lose and function.__name__ == "run_piece":
            self.lose -= 1
            return FakeFuture(key, "cancelled", None)
        args = [one.value if isinstance(one, FakeFuture) else one for one in args]
        try:
            return FakeFuture(key, "finished", function(*args))
        except Exception as error:  # noqa: BLE001  # as a worker does
            return FakeFuture(key, "error", error)

    def cancel(self, futures):
        self.cancelled += len(futures)
