"""The lessons run, keep to their form, and are stored with the outputs of a whole run."""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import nbformat
import pytest
import torch
from IPython.core.formatters import DisplayFormatter

FOLDER = Path(__file__).parents[2] / "notebooks"
LESSONS = sorted(FOLDER.glob("*.ipynb"))
IN_KERNEL = "06_fair_comparison"  # it starts processes; a kernel takes 6 s longer for each lesson
pytestmark = [pytest.mark.slow]


def execute(path: Path) -> nbformat.NotebookNode:
    spec = importlib.util.spec_from_file_location("execute", FOLDER / "execute.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.execute(path)


def test_there_are_lessons():
    assert [path.name[:2] for path in LESSONS] == [f"0{number}" for number in range(1, 10)]


def run_cell(source: str, names: dict[str, Any]) -> None:
    """Run a cell in this process, and make the forms in which its value would be displayed."""
    lines = ast.parse(source.removeprefix("%matplotlib inline\n")).body
    shown = lines.pop() if isinstance(lines[-1], ast.Expr) else None
    exec(compile(ast.Module(lines, []), "cell", "exec"), names)
    if shown is not None:
        value = eval(compile(ast.Expression(shown.value), "cell", "eval"), names)
        DisplayFormatter().format(value)


@pytest.fixture
def state_restored(monkeypatch):
    monkeypatch.chdir(FOLDER)
    threads = torch.get_num_threads()
    with mpl.rc_context(), torch.random.fork_rng():
        yield
    torch.set_num_threads(threads)
    plt.close("all")


@pytest.mark.usefixtures("state_restored")
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:FigureCanvasAgg")
@pytest.mark.parametrize(
    "path", [path for path in LESSONS if path.stem != IN_KERNEL], ids=lambda path: path.stem
)
def test_runs_to_its_assertions(path):
    cells = nbformat.read(path, as_version=4).cells
    code = [cell.source for cell in cells if cell.cell_type == "code"]
    names = {"__name__": "lesson"}
    for source in code:
        run_cell(source, names)
    assert "assert" in code[-1]


@pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore::DeprecationWarning")
def test_runs_in_a_kernel():
    cells = execute(FOLDER / f"{IN_KERNEL}.ipynb").cells
    code = [cell for cell in cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in code)
    assert "assert" in code[-1].source


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_keeps_the_form_of_a_lesson(path):
    cells = nbformat.read(path, as_version=4).cells
    code = [cell for cell in cells if cell.cell_type == "code"]
    assert "You will learn" in cells[0].source
    assert "Time on a CPU" in cells[0].source
    assert all(len(cell.source.splitlines()) <= 20 for cell in code)
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    pictures = [o for cell in code for o in cell.outputs if "image/png" in o.get("data", {})]
    assert len(pictures) >= 2


@pytest.mark.parametrize("position", range(len(LESSONS)))
def test_links_to_its_neighbours(position):
    last = nbformat.read(LESSONS[position], as_version=4).cells[-1]
    around = LESSONS[max(position - 1, 0) : position] + LESSONS[position + 1 : position + 2]
    assert last.cell_type == "markdown"
    assert [link.split(")")[0] for link in last.source.split("](")[1:]] == [
        *(path.name for path in around),
        "../docs/lessons.md",
    ]
