"""Tests of the tables of times in README and site, from made-up results."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from hybridopt.bench import simulators
from hybridopt.bench.problem import parse_problem

ROOT = Path(__file__).parents[2]
SPEC = importlib.util.spec_from_file_location("speed_table", ROOT / "tools" / "speed_table.py")
tool = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(tool)


def made(problem, library, median, *, rule="adjoint", status="timed", reason=""):
    name = "hybridopt" if library == "hybridopt" else f"{library} device"
    return {"problem": problem, "kind": rule, "library": library, "competitor": name,
            "median_seconds": median, "median_cpu_seconds": median and 2 * median,
            "status": status, "reason": reason}  # fmt: skip


ROWS = [
    made("ladder:4-16-16", "hybridopt", 0.004),
    made("ladder:4-16-16", "PennyLane", 0.064),
    made("ladder:4-16-16", "PennyLane", 0.010),
    made("ladder:4-16-16", "qulacs", 0.002),
    made("ladder:4-16-16", "MindQuantum", None, status="not run", reason="not installed"),
    made("ladder:8-32-16", "hybridopt", 0.1, rule="parameter-shift"),
    made("ladder:8-32-16", "PennyLane", None, rule="parameter-shift", status="slow"),
    made("ladder:8-32-16", "qulacs", 0.001),  # of the other rule
]


def test_cells_have_units_and_show_faster_peers():
    lines = tool.table({"rows": ROWS, "limit": 10.0}).splitlines()
    assert lines[2:] == [
        "| 8/32/16, parameter-shift | 100 ms (CPU 200 ms) | over 10 s | not available | "
        "not available | not available | not available |",
        "| 4/16/16, adjoint | 4 ms (CPU 8 ms) | 2.5 times slower | not available | "
        "not available | 2.0 times faster | not run |",
    ]
    skipped = made("ladder:4-16-16", "qulacs", None, status="not run",
                   reason="ladder:3-6-4 already took more than 10 s")  # fmt: skip
    assert tool.cell([skipped], "qulacs", ROWS[0], "10 s") == "over 10 s"


@pytest.mark.parametrize(("page", "rows"), [("README.md", 1), ("docs/peers.md", 2)])
def test_the_table_replaces_the_one_between_the_marks(page, rows, tmp_path, monkeypatch):
    (tmp_path / "docs").mkdir()
    for name in ("README.md", "docs/peers.md"):
        (tmp_path / name).write_text((ROOT / name).read_text("utf-8"), "utf-8")
    monkeypatch.setattr(tool, "ROOT", tmp_path)
    monkeypatch.setattr(tool, "PICTURE", tmp_path / "picture.png")
    (tmp_path / "time_by_weights.png").write_bytes(b"picture")
    content = {"simulators": {"rows": ROWS, "limit": 10.0}}
    (tmp_path / "bench.json").write_text(json.dumps(content))
    tool.main(tmp_path)
    assert (tmp_path / "picture.png").read_bytes() == b"picture"
    before, after = ((root / page).read_text("utf-8") for root in (ROOT, tmp_path))
    table = after.partition(tool.BEGIN)[2].partition(tool.END)[0].strip()
    assert len(table.splitlines()) == 2 + rows
    assert after.partition(tool.BEGIN)[0] == before.partition(tool.BEGIN)[0]
    assert after.partition(tool.END)[2] == before.partition(tool.END)[2]


def test_every_problem_of_the_table_is_in_the_suite():
    options = {"shots": simulators.WITH_SHOTS, "noise": simulators.WITH_NOISE}
    names = {parse_problem(text).name for text in simulators.FULL}
    for option, pairs in options.items():
        names |= {parse_problem(text).resized(**{option: value}).name for text, value in pairs}
    assert {problem for problem, _ in tool.TABLE} <= names
    assert len(tool.TABLE) == len(set(tool.TABLE))
    assert set(tool.SHORT_TABLE) <= set(tool.TABLE)
    assert set(tool.SHORT_LIBRARIES) <= set(tool.LIBRARIES)
