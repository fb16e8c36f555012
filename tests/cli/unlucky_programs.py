"""Runs of `hybridopt train` with signals, closed pipes, a full disk and an ASCII terminal.

Run ``python unlucky_programs.py FOLDER``. One process imports everything and is forked for each
run, so that all runs share one import. This process must not train: threads do not survive a fork.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import traceback
from importlib import import_module
from pathlib import Path

from hybridopt.cli import main

SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")
CASES = (*SIGNALS, "nohup", "pipes", "closed", "full", "ascii")


def connect(case: str, folder: Path) -> None:
    """Set the standard streams of this process and its signals."""
    closed = os.pipe()
    os.close(closed[0])
    for number, name in ((1, "out"), (2, "err")):
        target = os.open(folder / f"{case}.{name}", os.O_WRONLY | os.O_CREAT)
        if case == "pipes":
            target = closed[1]
        elif case == "full" and number == 1:
            target = os.open("/dev/full", os.O_WRONLY)
        os.dup2(target, number)
        if case == "closed":
            os.close(number)
    encoding = "ascii" if case == "ascii" else "utf-8"
    streams = [
        None if case == "closed" else open(number, "w", encoding=encoding)  # noqa: PTH123, SIM115
        for number in (1, 2)
    ]
    sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__ = streams
    for name in SIGNALS:
        default = signal.default_int_handler if name == "SIGINT" else signal.SIG_DFL
        signal.signal(getattr(signal, name), signal.SIG_IGN if case == "nohup" else default)


def start(case: str, folder: Path) -> int:
    """Run the program in a new process and return its id."""
    process = os.fork()
    if process:
        return process
    code = 1
    try:
        connect(case, folder)
        epochs = 10**6 if case in SIGNALS else 30
        files = ["--output", str(output(case, folder)), "--checkpoint", str(folder / case)]
        arguments = ["--data", "iris", "--network", "mlp:4-3", "--epochs", str(epochs)]
        sys.argv = ["hybridopt", "train", *arguments, *files]
        main()
    except SystemExit as error:
        code = int(error.code or 0)
    except BaseException:  # noqa: BLE001  # also an interruption after the end of the program
        traceback.print_exc()
    finally:
        os._exit(code)  # the streams are flushed by the program


def output(case: str, folder: Path) -> Path:
    """Return the output folder, whose name has letters outside of ASCII and of UTF-8."""
    return folder / f"{case} ü \udcff"


def run(case: str, folder: Path) -> dict[str, object]:
    """Run a case to its end; return exit code and files."""
    process = start(case, folder)
    end = time.monotonic() + 60
    while not (folder / case).exists() and time.monotonic() < end:  # the first epoch
        time.sleep(0.005)
    if case in SIGNALS:
        os.kill(process, getattr(signal, case))
    elif case == "nohup":
        os.kill(process, signal.SIGHUP)
    code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    return {"code": code, "files": sorted(path.name for path in output(case, folder).iterdir())}


if __name__ == "__main__":
    for name in ("matplotlib.figure", "sklearn.model_selection", "torch._dynamo"):
        import_module(name)  # otherwise imported in each run
    root = Path(sys.argv[1])
    json.dump({case: run(case, root) for case in CASES}, sys.stdout)
