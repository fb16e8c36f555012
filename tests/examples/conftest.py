"""Fixtures: the example of a test file as a module, and a quick run of it."""

from __future__ import annotations

import csv
import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def example(request) -> Iterator[ModuleType]:
    """Import ``examples/shots.py`` for ``test_shots.py``; it can import its neighbours."""
    name = request.path.stem.removeprefix("test_")
    spec = importlib.util.spec_from_file_location(f"{name}_example", FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, spec.name, module)  # for dataclasses
        patch.syspath_prepend(FOLDER)
        spec.loader.exec_module(module)
        yield module


@pytest.fixture
def quick_run(example, tmp_path, capsys) -> Callable[..., tuple[list[dict[str, str]], str]]:
    """Function that runs the example with --quick, checks its files, and returns rows and table."""

    def run(*options: str) -> tuple[list[dict[str, str]], str]:
        folder = tmp_path / "out"
        example.main(["--quick", *options, "--output", str(folder)])
        (picture,) = folder.glob("*.png")
        assert picture.read_bytes()[1:4] == b"PNG"
        assert {path.name for path in folder.iterdir()} == {"table.md", "runs.csv", picture.name}
        table = (folder / "table.md").read_text()
        assert table in capsys.readouterr().out
        with (folder / "runs.csv").open() as file:
            return list(csv.DictReader(file)), table

    return run
