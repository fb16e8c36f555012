"""Execute the lessons in place, so that the outputs they are stored with are true."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).parent
SECONDS_A_CELL = 300


def execute(path: Path) -> nbformat.NotebookNode:
    """Run all cells in a fresh kernel.

    Raises:
        CellExecutionError: If a cell fails; the lesson's own assertions are cells.
    """
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook, timeout=SECONDS_A_CELL, resources={"metadata": {"path": str(path.parent)}}
    )
    client.execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # times of day differ from run to run
    return notebook


def main() -> None:
    """Execute the named lessons, or all of them."""
    names = sys.argv[1:]
    for path in [Path(name) for name in names] or sorted(FOLDER.glob("*.ipynb")):
        began = time.perf_counter()
        nbformat.write(execute(path), path)
        sys.stdout.write(f"{path.name}: {time.perf_counter() - began:.0f} s\n")


if __name__ == "__main__":
    main()
