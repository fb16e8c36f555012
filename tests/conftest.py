"""Shapes and types checked at run time in every module, and a spy where circuits reach Aer."""

from __future__ import annotations

import pkgutil
import random
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from unittest import mock

import jaxtyping
import pytest
import qiskit_aer
import torch

# These check their own arguments and say what is wrong in words of ours. Tests hand them wrong
# types on purpose and must meet our errors, not beartype's; so they are left as users get them.
PUBLIC_DOORS = (
    "hybridopt.bridges.base",
    "hybridopt.bridges.api",
    "hybridopt.bridges.generator.network",
    "hybridopt.bridges.memory.network",
    "hybridopt.bridges.mesh.layers",
    "hybridopt.bridges.mesh.network",
    "hybridopt.bridges.subspaces",
    "hybridopt.bridges.twin",
    "hybridopt.bridges.subspaces",
    "hybridopt._validation",
    "hybridopt.circuits.counts",
    "hybridopt.circuits.loading",
    "hybridopt.circuits.observable_lines",
    "hybridopt.circuits.saving",
    "hybridopt.cli",
    "hybridopt.data.coerce",
    "hybridopt.data.dataset",
    "hybridopt.data.generated",
    "hybridopt.data.load",
    "hybridopt.execution.aer.executor",
    "hybridopt.execution.job",
    "hybridopt.execution.readout",
    "hybridopt.execution.random_stream",
    "hybridopt.gradients.registry",
    "hybridopt.gradients.spsa",
    "hybridopt.nn.circuit_layer",
    "hybridopt.nn.dressed",
    "hybridopt.nn.fourier_series",
    "hybridopt.nn.summary",
    "hybridopt._modules",
    "hybridopt.optim.newton",
    "hybridopt.optim.registry",
    "hybridopt.qiskit_ml.conversion",
    "hybridopt.qiskit_ml.estimator",
    "hybridopt.qiskit_ml.estimator_gradient",
    "hybridopt.qiskit_ml.observables",
    "hybridopt.qiskit_ml.sampler",
    "hybridopt.qiskit_ml.sampler_gradient",
    "hybridopt.qiskit_ml.settings",
    "hybridopt.sklearn",
    "hybridopt.storage",
    "hybridopt._environment",
    "hybridopt.cli",
    "hybridopt.compare",
    "hybridopt.demo",
    "hybridopt.nn.network_spec",
    "hybridopt.training.arguments",
    "hybridopt.training.batches",
    "hybridopt.training.callbacks",
    "hybridopt.training.checkpoint",
    "hybridopt.training.fit",
    "hybridopt.training.schedulers",
    "hybridopt.training.tensorboard",
    "hybridopt.transfer.freezing",
    "hybridopt.transfer.groups",
    "hybridopt.transfer.pretrained",
    "hybridopt.transfer.schedule",
    "hybridopt.transfer.transfer",
)

# an int is a float here as it is for mypy
TYPE_CHECKER = "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))"


def _give_beartype_its_own_dice() -> None:
    """It looks at one random item of each list, and would draw from the caller's generator."""
    with mock.patch.object(random, "getrandbits", random.Random(0).getrandbits):
        import_module("beartype._check.code.codemain")


def _leaf_modules(package: str, folder: Path) -> Iterator[str]:
    """Names of all modules of a package that are no packages; nothing is imported."""
    for info in pkgutil.iter_modules([str(folder)], prefix=f"{package}."):
        if info.ispkg:
            yield from _leaf_modules(info.name, folder / info.name.rpartition(".")[2])
        else:
            yield info.name


def _is_public_door(module: str) -> bool:
    return any(module == door or module.startswith(f"{door}.") for door in PUBLIC_DOORS)


def _check_shapes_at_run_time() -> list[str]:
    spec = find_spec("hybridopt")
    assert spec is not None
    assert spec.origin is not None
    modules = [
        module
        for module in _leaf_modules("hybridopt", Path(spec.origin).parent)
        if not _is_public_door(module)
    ]
    _give_beartype_its_own_dice()
    jaxtyping.install_import_hook(modules, TYPE_CHECKER)
    return modules


torch.set_num_threads(1)  # tensors are tiny here: threads cost more than they give
CHECKED_MODULES = _check_shapes_at_run_time()  # before anything imports hybridopt


@pytest.fixture
def checked_modules() -> list[str]:
    """The modules whose annotations are checked at run time."""
    return CHECKED_MODULES


@pytest.fixture
def aer_calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many circuits each call of Aer was given so far."""
    calls: list[int] = []
    run = qiskit_aer.AerSimulator.run

    def spy(self, circuits, *args, **kwargs):
        calls.append(len(circuits) if isinstance(circuits, list | tuple) else 1)
        return run(self, circuits, *args, **kwargs)

    monkeypatch.setattr(qiskit_aer.AerSimulator, "run", spy)
    return calls
