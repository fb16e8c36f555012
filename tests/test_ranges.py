"""The oldest tested versions are the lower bounds of the ranges, and each import is declared."""

from __future__ import annotations

import ast
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
NOT_LOCKED = frozenset({"peers-all", "minilm"})  # extras of single comparisons and examples
UNDECLARED = {"markupsafe", "mindquantum"}  # belongs to jinja2; installed by `make peers`
MODULES = {"sklearn": "scikit-learn", "yaml": "pyyaml", "tensorcircuit": "tensorcircuit-ng"}


def pins(name: str) -> dict[str, Version]:
    lines = (ROOT / name).read_text("utf-8").splitlines()
    found = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(r.name): Version(str(r.specifier).lstrip("=")) for r in found}


def declared(*, without: frozenset[str] = frozenset()) -> list[Requirement]:
    extras = [text for name, texts in EXTRAS.items() if name not in without for text in texts]
    return [Requirement(text) for text in [*PROJECT["dependencies"], *extras]]


@pytest.mark.parametrize("requirement", declared(without=NOT_LOCKED), ids=str)
def test_oldest_versions_are_lower_bounds(requirement):
    (bound,) = [one.version for one in requirement.specifier if one.operator == ">="]
    assert pins("requirements-oldest.txt")[canonicalize_name(requirement.name)] == Version(bound)


@pytest.mark.parametrize("file", ["requirements.lock", "requirements-oldest.txt"])
def test_tested_versions_are_in_the_ranges(file):
    tested = pins(file)
    for requirement in declared(without=NOT_LOCKED):
        version = tested[canonicalize_name(requirement.name)]
        assert version in requirement.specifier, (requirement, version)


def test_imported_packages_are_declared():
    imported = set()
    for path in (ROOT / "hybridopt").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
                imported.add(node.module.partition(".")[0])
    foreign = imported - set(sys.stdlib_module_names) - {"hybridopt"} - UNDECLARED
    known = {canonicalize_name(requirement.name) for requirement in declared()}
    assert {canonicalize_name(MODULES.get(name, name)) for name in foreign} <= known
