"""Objects that a function in a Python file of the user returns."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

from hybridopt._secrets import without_secrets
from hybridopt.errors import ArgumentError


def split_source(text: str) -> tuple[Path, str] | None:
    """Return path and function of ``file.py:function``; None for another text."""
    path, separator, function = text.rpartition(":")
    return (Path(path), function) if separator and path.endswith(".py") else None


def call_in_file(subject: str, path: Path, function: str) -> Any:
    """Import a file, and return the result of one of its functions, called without arguments.

    The folder of the file becomes the last one in which Python searches for modules.

    Raises:
        ArgumentError: If the file does not exist, or its code raises an error.
    """
    spec = importlib.util.spec_from_file_location(f"hybridopt_user_{path.stem}", path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise ArgumentError(f"The {subject} must be in a Python file that exists (got {path}).")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # needed by dataclasses and pickle
    if (folder := str(path.resolve().parent)) not in sys.path:
        sys.path.append(folder)
    try:
        spec.loader.exec_module(module)
        return getattr(module, function)()
    except Exception as error:
        raise ArgumentError(
            f"{path}:{function} raised an error ({type(error).__name__}: "
            f"{without_secrets(str(error))})."
        ) from error
