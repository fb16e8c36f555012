"""Write the tables of times and their picture from the results of `hybridopt bench`.

Usage: ``python tools/speed_table.py results/bench``. The fastest row of a library counts.
The README has a part of the table of docs/peers.md.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hybridopt._files import write_text
from hybridopt.bench.units import ratio_text, seconds_text

ROOT = Path(__file__).parents[1]
BEGIN, END = "<!-- speed: begin -->", "<!-- speed: end -->"
PICTURE = ROOT / "examples" / "pictures" / "bench_by_weights.png"
SHIFT, EXACT = "parameter-shift", "adjoint"
TABLE = (  # problem, our rule
    ("ladder:4-16-16", SHIFT), ("ladder:4-16-16, 1024 shots", SHIFT), ("ladder:8-32-16", SHIFT),
    ("ladder:10-60-32", SHIFT), ("ladder:4-16-16", EXACT), ("ladder:8-32-16", EXACT),
    ("ladder:10-60-32", EXACT), ("ladder:14-84-32", EXACT), ("ladder:14-28-4", EXACT),
    ("ladder:4-16-4096", EXACT), ("ladder:4-16-16, noise 0.01", SHIFT),
    ("ladder:4-16-16, noise 0.01", EXACT), ("ladder:6-24-4, noise 0.01", EXACT),
    ("ladder:8-16-2, noise 0.01", EXACT),
)  # fmt: skip
LIBRARIES = {  # in the rows: in the table
    "PennyLane": "PennyLane", "qiskit-aer": "Aer EstimatorV2",
    "qiskit-machine-learning": "qiskit-machine-learning", "qulacs": "qulacs",
    "MindQuantum": "MindQuantum",
}  # fmt: skip
SHORT_TABLE = (  # the part in the README
    ("ladder:4-16-16", SHIFT), ("ladder:8-32-16", SHIFT), ("ladder:8-32-16", EXACT),
    ("ladder:10-60-32", EXACT), ("ladder:14-84-32", EXACT),
)  # fmt: skip
SHORT_LIBRARIES = ("PennyLane", "qiskit-machine-learning", "qulacs")
Row = dict[str, Any]


def table(
    simulators: dict[str, Any],
    problems: Sequence[tuple[str, str]] = TABLE,
    libraries: Sequence[str] = tuple(LIBRARIES),
) -> str:
    """Return a table as Markdown."""
    head = ["qubits/weights/batch", "hybridopt", *(LIBRARIES[one] for one in libraries)]
    lines = [head, ["---"] * len(head)]
    for problem, rule in problems:
        rows = [one for one in simulators["rows"] if one["problem"] == problem]
        rows = [one for one in rows if one["kind"] == rule]
        ours = next((one for one in rows if one["competitor"] == "hybridopt"), None)
        if ours is None or ours["median_seconds"] is None:
            continue
        shape, *options = problem.removeprefix("ladder:").split(", ")
        name = ", ".join([shape.replace("-", "/"), rule, *options])
        cpu = seconds_text(ours["median_cpu_seconds"])
        own = f"{seconds_text(ours['median_seconds'])} (CPU {cpu})"
        limit = seconds_text(simulators["limit"])
        lines.append([name, own, *(cell(rows, one, ours, limit) for one in libraries)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def cell(rows: list[Row], library: str, ours: Row, limit: str) -> str:
    """Return the fastest row of a library beside ours, or why it has no time."""
    members = [one for one in rows if one["library"] == library]
    timed = [one for one in members if one["median_seconds"] is not None]
    if timed:
        best = min(timed, key=lambda one: float(one["median_seconds"]))
        return ratio_text(best["median_seconds"] / ours["median_seconds"])
    if not members:
        return "not available"
    if any(one["status"] == "slow" or "already took more" in one["reason"] for one in members):
        return f"over {limit}"
    return str(members[0]["status"])


def replace(page: Path, text: str) -> None:
    """Replace the table between the marks of a page."""
    before, _, rest = page.read_text("utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    write_text(page, f"{before}{BEGIN}\n{text}\n{END}{after}")


def main(folder: Path) -> None:
    """Write both tables, and copy the picture."""
    content = json.loads((folder / "bench.json").read_text("utf-8"))["simulators"]
    replace(ROOT / "docs" / "peers.md", table(content))
    replace(ROOT / "README.md", table(content, SHORT_TABLE, SHORT_LIBRARIES))
    shutil.copyfile(folder / "time_by_weights.png", PICTURE)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
