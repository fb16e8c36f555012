"""Options of the suite, and a record of the calls of Aer.

The suite runs in two sessions (see ``make test``). With ``--shapes``, annotations of the whole
package are checked at run time. Tests of wrong types are marked ``wrong_types`` and run without
this check, because it would raise its own errors instead of ours. So do the slow tests, most of
which start processes of their own.
"""

from __future__ import annotations

import pkgutil
import random
import sys
from collections.abc import Iterator, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from unittest import mock

import jaxtyping
import pytest
import qiskit_aer
import torch
from qiskit.circuit import ParameterVector
from qiskit.circuit.parametertable import ParameterView

UNCHECKED = ("wrong_types", "slow")  # markers of tests that --shapes leaves out
# an int is accepted as a float, as in mypy
TYPE_CHECKER = "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))"


def _isolate_beartype() -> None:
    """Give beartype, which checks one random item per list, its own random generator."""
    with mock.patch.object(random, "getrandbits", random.Random(0).getrandbits):
        import_module("beartype._check.code.codemain")


def _leaf_modules(package: str, folder: Path) -> Iterator[str]:
    """Yield the names of all modules of a package without importing them."""
    for info in pkgutil.iter_modules([str(folder)], prefix=f"{package}."):
        if info.ispkg:
            yield from _leaf_modules(info.name, folder / info.name.rpartition(".")[2])
        else:
            yield info.name


def _check_shapes_at_run_time() -> None:
    spec = find_spec("hybridopt")
    assert spec is not None
    assert spec.origin is not None
    _isolate_beartype()
    for kind in (ParameterVector, ParameterView):  # not registered as sequences by Qiskit
        Sequence.register(kind)
    modules = list(_leaf_modules("hybridopt", Path(spec.origin).parent))
    jaxtyping.install_import_hook(modules, TYPE_CHECKER)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--shapes",
        action="store_true",
        help="check shapes and types at run time in the whole package; skip wrong_types and slow",
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("shapes"):
        assert "hybridopt" not in sys.modules, "import hook must precede the import"
        _check_shapes_at_run_time()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("shapes"):
        return
    others = {item for item in items if any(map(item.get_closest_marker, UNCHECKED))}
    config.hook.pytest_deselected(items=list(others))
    items[:] = [item for item in items if item not in others]


torch.set_num_threads(1)  # threads are slower than one thread for such small tensors


@pytest.fixture(scope="session")
def shapes_are_checked(request: pytest.FixtureRequest) -> bool:
    """Return True if annotations are checked at run time in this session."""
    return bool(request.config.getoption("shapes"))


@pytest.fixture
def aer_calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that records the number of circuits per call of Aer."""
    calls: list[int] = []
    run = qiskit_aer.AerSimulator.run

    def spy(self, circuits, *args, **kwargs):
        calls.append(len(circuits) if isinstance(circuits, list | tuple) else 1)
        return run(self, circuits, *args, **kwargs)

    monkeypatch.setattr(qiskit_aer.AerSimulator, "run", spy)
    return calls
