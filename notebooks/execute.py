"""Execution of the lessons in place, so that their stored outputs match their code."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).parent
SECONDS_PER_CELL = 300


def execute(path: Path) -> nbformat.NotebookNode:
    """Return a lesson after running all its cells in a new kernel.

    Raises:
        CellExecutionError: If a cell fails. The assertions of a lesson are cells, too.
    """
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook, timeout=SECONDS_PER_CELL, resources={"metadata": {"path": str(path.parent)}}
    )
    client.execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # it holds times of day
    return notebook


def main() -> None:
    """Execute the lessons named on the command line, by default all of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lessons", nargs="*", type=Path, help="notebooks; all lessons by default")
    for path in parser.parse_args().lessons or sorted(FOLDER.glob("*.ipynb")):
        began = time.perf_counter()
        nbformat.write(execute(path), path)
        sys.stdout.write(f"{path.name}: {time.perf_counter() - began:.0f} s\n")


if __name__ == "__main__":
    main()
