"""Options of the suite, and a record of the calls of Aer.

The suite runs in two sessions (see ``make test``). With ``--shapes``, annotations of the whole
package are checked at run time, in a few cases of every test. With ``--unchecked``, all other cases
run without this check, which takes a third of the time: tests of wrong types (marked
``wrong_types``, because the check would raise its own errors instead of ours), and slow tests, most
of which start processes of their own. Without an option, all tests run, unchecked.
"""

from __future__ import annotations

import gc
import sys
from typing import TYPE_CHECKING

import pytest
import qiskit_aer
import torch

from tests.shapes import check_shapes_at_run_time

if TYPE_CHECKING:
    from tests.execution.aer.fake_gpu import FakeGPU

UNCHECKED = ("wrong_types", "slow")  # markers of tests that --shapes leaves out
CHECKED_CASES = 4  # of each parametrized test


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--shapes",
        action="store_true",
        help="check shapes and types at run time in the whole package, in some cases of each test",
    )
    parser.addoption(
        "--unchecked", action="store_true", help="run the tests that --shapes leaves out"
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("shapes"):
        assert "hybridopt" not in sys.modules, "import hook must precede the import"
        check_shapes_at_run_time()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    shapes, unchecked = config.getoption("shapes"), config.getoption("unchecked")
    if not shapes and not unchecked:
        return
    checked = _checked(items)
    dropped = [item for item in items if (item in checked) != shapes]
    config.hook.pytest_deselected(items=dropped)
    items[:] = [item for item in items if (item in checked) == shapes]


def _checked(items: list[pytest.Item]) -> set[pytest.Item]:
    """Return the tests of the session with ``--shapes``, whatever the order of the items."""
    tests: dict[str, list[pytest.Item]] = {}
    for item in items:
        if not any(map(item.get_closest_marker, UNCHECKED)):
            tests.setdefault(item.nodeid.partition("[")[0], []).append(item)
    checked: set[pytest.Item] = set()
    for cases in tests.values():
        cases.sort(key=lambda item: item.nodeid)
        whole = "shapes_are_checked" in getattr(cases[0], "fixturenames", ())
        count = len(cases) if whole else min(len(cases), CHECKED_CASES)
        checked.update(cases[len(cases) * place // count] for place in range(count))
    return checked


def pytest_collection_finish() -> None:
    """Keep modules and collected tests out of each later search for garbage."""
    gc.collect()
    gc.freeze()


torch.set_num_threads(1)  # threads are slower than one thread for such small tensors
for missing in (torch.cuda, torch.xpu, torch.mtia):
    if not missing.is_available():  # a call of `torch.manual_seed` would store its stack for it
        missing.manual_seed_all = lambda seed: None


@pytest.fixture(scope="session")
def shapes_are_checked(request: pytest.FixtureRequest) -> bool:
    """Return True if annotations are checked at run time in this session."""
    return bool(request.config.getoption("shapes"))


@pytest.fixture
def aer_calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that records the number of circuits per call of Aer, or 1 per run in place."""
    from hybridopt.execution.aer.in_place.state import BufferedState  # after the import hook

    calls: list[int] = []
    run, enter = qiskit_aer.AerSimulator.run, BufferedState.__enter__

    def spy_in_place(self):
        if not self.continues:
            calls.append(1)
        return enter(self)

    def spy(self, circuits, *args, **kwargs):
        calls.append(len(circuits) if isinstance(circuits, list | tuple) else 1)
        return run(self, circuits, *args, **kwargs)

    monkeypatch.setattr(qiskit_aer.AerSimulator, "run", spy)
    monkeypatch.setattr(BufferedState, "__enter__", spy_in_place)
    return calls


@pytest.fixture
def fake_gpu(monkeypatch: pytest.MonkeyPatch) -> FakeGPU:
    """Return the record of a GPU that runs its circuits on the CPU."""
    from tests.execution.aer.fake_gpu import installed  # after the import hook

    return installed(monkeypatch)
