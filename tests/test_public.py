"""Public names: documentation, running examples, a light and quiet import."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pickle
import pkgutil
import subprocess
import sys
import types

import pytest

import hybridopt

MODULES = [
    "hybridopt",
    *sorted(info.name for info in pkgutil.walk_packages(hybridopt.__path__, "hybridopt.")),
]
PUBLIC = [getattr(hybridopt, name) for name in hybridopt.__all__]
FAMILIES = [thing for thing in PUBLIC if isinstance(thing, types.ModuleType)]


def test_names_are_unique_and_subpackages_do_not_hide_functions():
    for name in ("compare", "transfer"):
        importlib.import_module(f"hybridopt.{name}")
        assert inspect.isfunction(getattr(hybridopt, name))
    with pytest.raises(AttributeError, match="'to_quantom'"):
        hybridopt.to_quantom  # noqa: B018
    assert len(set(hybridopt.__all__)) == len(hybridopt.__all__)


@pytest.mark.parametrize("name", hybridopt.__all__)
def test_public_name_is_documented(name):
    thing = getattr(hybridopt, name)
    doc = inspect.getdoc(thing)
    assert doc
    assert doc != inspect.getdoc(type(thing))
    assert not doc.startswith(f"{name}(")  # the default of a dataclass


@pytest.mark.parametrize(
    "thing", [t for t in PUBLIC if inspect.isclass(t)], ids=lambda thing: thing.__name__
)
def test_methods_of_public_class_are_documented(thing):
    for name, member in vars(thing).items():
        if not name.startswith("_") and (
            inspect.isfunction(member) or isinstance(member, property)
        ):
            assert inspect.getdoc(member), f"{thing.__name__}.{name}"


@pytest.mark.parametrize(
    "function",
    [thing for thing in PUBLIC if inspect.isfunction(thing)],
    ids=lambda function: function.__name__,
)
def test_every_argument_is_documented(function):
    doc = inspect.getdoc(function)
    for name in inspect.signature(function).parameters:
        assert f"{name}:" in doc, name


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_run(name):
    failed, _ = doctest.testmod(
        importlib.import_module(name), optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    )
    assert failed == 0


def public_names():
    """Return all public classes and functions by name, with those of subpackages."""
    further = map(importlib.import_module, ("hybridopt.transfer", "hybridopt.sklearn"))
    families = [family for family in FAMILIES if family is not hybridopt.errors]
    things = {}
    for home in (hybridopt, *families, *further):
        for name in home.__all__:
            thing = getattr(home, name)
            if inspect.isclass(thing) or inspect.isfunction(thing):
                things.setdefault(thing, f"{home.__name__}.{name}")
    return {name: thing for thing, name in things.items()}


NAMES = public_names()
# used by authors of gradient rules only
PROTOCOLS = {"hybridopt.gradients.Evaluation"}


@pytest.mark.parametrize("name", sorted(set(NAMES) - PROTOCOLS))
def test_example_of_public_name_runs_alone(name):
    """Run the example in an empty namespace."""
    doc = inspect.getdoc(NAMES[name])
    example = doctest.DocTestParser().get_doctest(doc, {}, name, None, None)
    assert example.examples
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    assert doctest.DocTestRunner(optionflags=flags).run(example).failed == 0


@pytest.mark.parametrize("name", [n for n in dir(hybridopt.errors) if n.endswith("Error")])
def test_error_is_ours_and_built_in(name):
    error = getattr(hybridopt.errors, name)
    assert error.__doc__
    assert issubclass(error, hybridopt.errors.HybridOptError)
    if name != "HybridOptError":
        builtin = [base for base in error.__mro__ if base.__module__ == "builtins"]
        assert any(base not in {Exception, BaseException, object} for base in builtin)


QUIET = """
import logging, random, sys, warnings
import numpy as np, torch, matplotlib
torch.manual_seed(1); np.random.seed(2); random.seed(3)

def state():
    # other libraries may register filters of their own when they are imported first
    return (
        torch.get_rng_state().tolist(), np.random.get_state()[1].tolist(), random.getstate(),
        torch.get_default_dtype(), torch.get_num_threads(), np.geterr(),
        logging.getLogger().level, list(logging.getLogger().handlers),
        dict(matplotlib.rcParams), sys.getrecursionlimit(),
    )

import jinja2, qiskit, qiskit.circuit.library, qiskit_aer, rich.progress, sklearn.datasets
import scipy.linalg, sklearn.model_selection, torch.func, torch.nn.attention, matplotlib.figure
filters, before = list(warnings.filters), state()
import hybridopt
for name in hybridopt.__all__:
    getattr(hybridopt, name)
assert state() == before
assert warnings.filters == filters, set(warnings.filters) ^ set(filters)
"""
LIGHT = """
import sys
import hybridopt
assert not {"numpy", "qiskit", "torch"} & set(sys.modules)
import qiskit, qiskit_aer, torch
before = set(sys.modules)
for name in hybridopt.__all__:
    getattr(hybridopt, name)
heavy = {
    "antlr4", "jinja2", "matplotlib", "openqasm3", "pandas", "qiskit_ibm_runtime", "rich",
    "scipy.stats", "sklearn", "sympy", "torch.utils.tensorboard", "typer",
}
assert not heavy & (set(sys.modules) - before), heavy & (set(sys.modules) - before)
"""


@pytest.mark.slow
@pytest.mark.parametrize("script", [QUIET, LIGHT], ids=["quiet", "light"])
def test_import_prints_seeds_and_configures_nothing(script, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", script],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert (done.stdout, done.stderr) == ("", "")
    assert list(tmp_path.iterdir()) == []


def test_functions_that_use_the_package_can_be_sent_to_workers():
    cloudpickle = pytest.importorskip("cloudpickle")
    assert pickle.loads(pickle.dumps(hybridopt)) is hybridopt
    sent = cloudpickle.loads(cloudpickle.dumps(lambda: hybridopt.Cost(settings=2)))
    assert sent() == hybridopt.Cost(settings=2)


def test_subpackages_load_on_first_use():
    code = "import hybridopt; print([getattr(hybridopt, n).__name__ for n in {names}])"
    names = ["nn", "data", "execution", "circuits", "storage", "optim", "gradients"]
    run = subprocess.run(
        [sys.executable, "-c", code.format(names=names)], capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == str([f"hybridopt.{name}" for name in names])
