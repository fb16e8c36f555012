"""Tests of competitors in processes of their own, with made-up packages."""

from __future__ import annotations

import importlib
import sys
from textwrap import dedent

import numpy as np
import pytest

from hybridopt.bench.measure import OvertimeError, measure, timeout
from hybridopt.bench.peers import PEERS
from hybridopt.bench.peers.process import InProcess, Worker
from hybridopt.bench.problem import ladder
from hybridopt.bench.row import NOT_RUN, TIMED, WRONG
from hybridopt.errors import ExecutionError, UnsupportedError

PEER = """
    import os, time

    class Prepared:
        note = "as given"

        def __init__(self, problem):
            self.problem = problem

        def gradient(self, x, w):
            if w == "fail":
                raise ZeroDivisionError("by zero")
            if w == "refuse":
                from hybridopt.errors import UnsupportedError
                raise UnsupportedError("no such gate")
            if w == "end":
                print("last words", flush=True)
                os._exit(3)
            if w == "wait":
                time.sleep(60)
            if w == "work":
                end = time.process_time() + 0.05
                while time.process_time() < end:
                    pass
            import only_here
            print("prints do not disturb")
            return self.problem, only_here.NUMBER, x, os.environ["OMP_NUM_THREADS"]

    class Peer:
        def __init__(self, *arguments):
            self.arguments = arguments

        def prepare(self, problem):
            return Prepared((*self.arguments, problem))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    target = tmp_path_factory.mktemp("packages")
    (target / "only_here.py").write_text("NUMBER = 7\n")
    (target / "made_up_peer.py").write_text(dedent(PEER))
    return target


@pytest.fixture
def worker(folder):
    made = Worker(folder, 3, ("made_up_peer", "Peer", ("a", 2)))
    yield made
    made.close()


def test_calls_run_in_the_process_with_its_packages_and_threads(worker):
    assert worker.call("prepare", "p") == (0, "as given")
    assert worker.call("prepare", "q") == (1, "as given")
    result, wall, cpu = worker.call("gradient", 0, np.arange(3), "work")
    assert result[:2] == (("a", 2, "p"), 7)
    assert result[2].tolist() == [0, 1, 2]
    assert result[3] == "3"
    assert wall > 0
    assert cpu >= 0.05
    assert worker.call("gradient", 1, 0, None)[0][0] == ("a", 2, "q")
    assert "only_here" not in sys.modules


def test_an_error_is_raised_here_and_the_process_goes_on(worker):
    worker.call("prepare", "p")
    with pytest.raises(ExecutionError, match="ZeroDivisionError: by zero"):
        worker.call("gradient", 0, None, "fail")
    with pytest.raises(UnsupportedError, match=r"^no such gate"):
        worker.call("gradient", 0, None, "refuse")
    assert worker.call("gradient", 0, 5, None)[0][2] == 5


def test_an_ended_process_is_reported_with_its_last_words(worker):
    worker.call("prepare", "p")
    with pytest.raises(ExecutionError, match=r"ended with status 3\. last words"):
        worker.call("gradient", 0, None, "end")
    assert not worker.is_open


def test_a_late_answer_is_never_read(worker):
    worker.call("prepare", "p")
    with pytest.raises(OvertimeError), timeout(0.1):
        worker.call("gradient", 0, None, "wait")
    assert not worker.is_open


def test_a_peer_that_cannot_be_created_is_an_error(folder):
    with pytest.raises(ExecutionError, match="No module named 'nowhere'"):
        Worker(folder, 1, ("nowhere", "Peer", ()))


TWIN = """
    import time
    from hybridopt.bench import Competitor, PreparedProblem
    from hybridopt.bench.dense_twin import reference

    class Twin(Competitor):
        key = name = library = "twin"
        rule = "adjoint"

        def __init__(self, seconds=0.0):
            self.seconds, self.calls = seconds, 0

        def prepare(self, problem):
            def gradient(x, w):
                end = time.process_time() + self.seconds
                while time.process_time() < end:
                    pass
                twin, self.calls = reference(problem, x, w), self.calls + 1
                return twin.values, twin.gradient + (self.calls > 4)

            return PreparedProblem(gradient, note="in a process")
"""


def test_a_row_has_the_times_of_the_process(tmp_path, monkeypatch):
    (tmp_path / "twin_peer.py").write_text(dedent(TWIN))
    monkeypatch.syspath_prepend(tmp_path)
    twin = importlib.import_module("twin_peer").Twin()
    peer = InProcess(twin, (0.1,), folder=tmp_path, install="pip install it")
    try:
        (row,) = measure(ladder(2, 2, 2), [peer], repetitions=2, max_seconds=60, seed=0)
        assert (row.status, row.note, row.label) == (TIMED, "in a process", "twin, adjoint")
        assert min(row.cpu_seconds) >= 0.1
        assert len(row.cpu_seconds) == len(row.seconds) == 2
        (row,) = measure(ladder(2, 2, 2), [peer], repetitions=1, max_seconds=60, seed=0)
        assert (row.status, row.seconds) == (WRONG, [])  # in its fifth call
        assert row.reason.startswith("correct in the first call, wrong in the last")
    finally:
        peer.close()
    peer.close()  # again, without effect


def test_a_missing_folder_gives_a_row_with_the_command(tmp_path):
    for peer in PEERS:
        if isinstance(peer, InProcess):
            gone = InProcess(peer, (), folder=tmp_path / "none", install=peer.install)
            (row,) = measure(ladder(2, 2, 2), [gone], repetitions=1, max_seconds=9, seed=0)
            assert row.status == NOT_RUN
            assert "`make peers`" in row.reason
            assert "pip install --no-deps --target" in row.reason
            assert "mindquantum==" in row.reason
