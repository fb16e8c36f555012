"""The program ends with complete files after signals, with closed pipes, and on ASCII terminals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

import hybridopt as ho
from hybridopt.cli.process import ending_signals, exit_code, is_signaled, uninterrupted

from .unlucky_programs import CASES, SIGNALS, output

SCRIPT = Path(__file__).with_name("unlucky_programs.py")
ENDING = [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else ())]


@contextmanager
def interrupts(number):
    """Let the caller's handlers raise, whatever started the tests."""
    before = {one: signal.signal(one, signal.SIG_DFL) for one in ENDING}
    try:
        with ending_signals():
            yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


@pytest.mark.parametrize("number", ENDING)
def test_signals_end_a_block_like_ctrl_c(number):
    before = signal.getsignal(number)
    with interrupts(number):
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
        assert exit_code() == 128 + number
        for follower in set(ENDING) - {signal.SIGINT}:  # a closed terminal sends several
            signal.raise_signal(follower)
        assert exit_code() == 128 + number
    assert signal.getsignal(number) is before


@pytest.mark.parametrize("number", ENDING)
def test_signals_wait_for_files(number):
    with interrupts(number):
        with uninterrupted():
            assert not is_signaled()
            signal.raise_signal(number)
            with pytest.raises(KeyboardInterrupt):  # a second Ctrl-C does not wait
                signal.raise_signal(signal.SIGINT)
        assert is_signaled()


def test_ignored_signals_stay_ignored():
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with ending_signals():
            signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)


def test_library_calls_install_no_handler(tmp_path):
    seen = []

    def note(*_):
        seen.append([signal.getsignal(number) for number in ENDING])

    note()
    data = ho.load_dataset("iris", seed=0)
    network = torch.nn.Linear(4, 3)
    ho.fit(network, data, epochs=1, callbacks=[note], checkpoint=tmp_path / "run", progress=True)
    ho.compare(network, data, methods=["adam", "gd"], budget="1 epoch", seeds=2, tuning=None)
    ho.save(ho.to_quantum(network), tmp_path / "network.ho")
    note()
    assert seen == seen[:1] * 3


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="needs fork and /dev/full")
def test_results_survive_signals_and_terminals(tmp_path):
    environment = {name: value for name, value in os.environ.items() if name != "HOME"}
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(tmp_path)], check=False, capture_output=True, text=True,
        timeout=240, env=environment | {"TERM": "dumb", "COLUMNS": "30"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert list(found) == list(CASES)
    numbers = {case: 128 + getattr(signal, case) for case in SIGNALS}
    for case, result in found.items():
        out, err = ((tmp_path / f"{case}.{name}").read_text("utf-8") for name in ("out", "err"))
        assert result["code"] == ({"full": 2} | numbers).get(case, 0), err
        assert result["files"] == ["history.json", "network.pt", "training.png"]
        assert "Traceback" not in err
        history = json.loads((output(case, tmp_path) / "history.json").read_text())["history"]
        assert history["status"] == ("interrupted" if case in SIGNALS else "epochs")
        assert ("The trained network is in" in err) == (case in SIGNALS)
        assert ("Written: " in out) == (case not in {"pipes", "closed", "full"})
        assert ("training" in err) == (case not in {"pipes", "closed"})
        assert (case != "ascii") or (out + err).isascii()
        assert (case != "full") or "Error: The standard output cannot be written: [Errno 28]" in err
