"""Where code comes from, and what it finds outside of itself."""

from __future__ import annotations

import dis
import functools
import re
import sys
from importlib import metadata
from types import CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np
import torch
from torch import nn

_INSTALLED = re.compile(r"[\\/](site|dist)-packages[\\/]")
_SIMPLE = (bool, int, float, complex, str, bytes, tuple, list, dict, frozenset, set)
_TOLD = (*_SIMPLE, FunctionType, type, functools.partial, torch.Tensor, np.ndarray, nn.Module)
_STORES_GLOBAL = frozenset({"STORE_GLOBAL", "DELETE_GLOBAL"})


def in_cell(cell: Any) -> object:
    """What a function keeps of the one around it."""
    try:
        return cell.cell_contents
    except ValueError:  # not filled yet
        return None


def named_globals(function: FunctionType) -> dict[str, object]:
    """Globals that a function reads: values, functions, classes, and what it takes from modules."""
    found: dict[str, object] = {}
    names = _names(function.__code__)
    for name in sorted(names):
        value = function.__globals__.get(name)
        if isinstance(value, ModuleType):
            found[name] = module_name(value.__name__)
            if not is_installed(value):
                inner = {other: getattr(value, other, None) for other in sorted(names)}
                found |= {
                    f"{name}.{key}": one for key, one in inner.items() if isinstance(one, _TOLD)
                }
        elif isinstance(value, _TOLD):
            found[name] = value
    return found


def _names(code: CodeType) -> set[str]:
    """Names in a function and those within it, without the globals that it sets itself."""
    names, own = set(code.co_names), set()
    for step in dis.get_instructions(code):
        if step.opname in _STORES_GLOBAL:
            own.add(str(step.argval))
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            names |= _names(constant)
    return names - own


def is_installed(value: object) -> bool:
    """Whether it comes from Python, from an installed package or from hybridopt."""
    name = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None)
    if not isinstance(name, str):
        return False
    top = name.partition(".")[0]
    if top == "__main__":  # the file of which may be that of a runner of notebooks or tests
        return False
    if top == "hybridopt" or top in sys.stdlib_module_names:
        return True
    file = getattr(sys.modules.get(name) or sys.modules.get(top), "__file__", None)
    return isinstance(file, str) and _INSTALLED.search(file) is not None


def full_name(value: Any) -> str:
    """Of a class or function, with its module and version."""
    return f"{module_name(str(value.__module__))}.{value.__qualname__}"


@functools.cache
def module_name(name: str) -> str:
    """A module, with the version of the package it belongs to."""
    top = name.partition(".")[0]
    if top in sys.stdlib_module_names:
        return f"{name} of Python {sys.version_info.major}.{sys.version_info.minor}"
    version = getattr(sys.modules.get(top), "__version__", None)
    if version is None:
        try:
            version = metadata.version(top)
        except metadata.PackageNotFoundError:
            version = "no version"
    return f"{name} {version}"
