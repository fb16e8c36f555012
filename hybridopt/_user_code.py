"""Objects that a function in a Python file of the user returns."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from hybridopt._secrets import without_secrets
from hybridopt._suggestions import did_you_mean
from hybridopt.errors import ArgumentError


def split_source(text: str) -> tuple[Path, str] | None:
    """Return path and function of ``file.py:function``; None for another text."""
    path, separator, function = text.rpartition(":")
    return (Path(path), function) if separator and path.endswith(".py") else None


def call_in_file(subject: str, path: Path, function: str) -> Any:
    """Import a file, and return the result of one of its functions, called without arguments.

    The folder of the file becomes the last one in which Python searches for modules.

    Raises:
        ArgumentError: If the file or the function does not exist, or its code raises an error.
    """
    spec = importlib.util.spec_from_file_location(f"hybridopt_user_{path.stem}", path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise ArgumentError(f"The {subject} must be in a Python file that exists (got {path}).")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # needed by dataclasses and pickle
    if (folder := str(path.resolve().parent)) not in sys.path:
        sys.path.append(folder)
    with _named_errors(f"{path}:{function}"):
        spec.loader.exec_module(module)
    _check_defined(module, path, function)
    with _named_errors(f"{path}:{function}"):
        return getattr(module, function)()


@contextmanager
def _named_errors(source: str) -> Iterator[None]:
    """Turn errors of the user's code into an ArgumentError with its source."""
    try:
        yield
    except Exception as error:
        raise ArgumentError(
            f"{source} raised an error ({type(error).__name__}: {without_secrets(str(error))})."
        ) from error


def _check_defined(module: ModuleType, path: Path, function: str) -> None:
    if hasattr(module, function):
        return
    public = {name: one for name, one in vars(module).items() if not name.startswith("_")}
    own = [
        name
        for name, one in public.items()
        if callable(one) and getattr(one, "__module__", None) == module.__name__
    ]
    found = did_you_mean(function, own) or (f" It has {', '.join(own)}." if own else "")
    raise ArgumentError(f"{path} has no function or class {function!r}.{found}")
