"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from hybridopt.errors import OutputError


def write_whole(path: str | os.PathLike[str], write: Callable[[BinaryIO], object]) -> Path:
    """Write a file through a temporary one beside it, so that readers see all of it or the old one.

    Args:
        path: Where the file shall stand. Its folder is made if it is missing.
        write: Receives the open binary file.

    Returns:
        The path.

    Raises:
        OutputError: If the folder or the file cannot be written. Nothing is left behind.
    """
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    except OSError as error:
        raise OutputError(f"Cannot write {target}: {error}. Choose another place.") from error
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            write(stream)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.chmod(0o666 & ~_umask())  # mkstemp makes private files; ours are ordinary ones
        temporary.replace(target)
    except OSError as error:
        raise OutputError(f"Cannot write {target}: {error}. Choose another place.") from error
    finally:
        temporary.unlink(missing_ok=True)
    return target


def check_writable(path: str | os.PathLike[str]) -> None:
    """Refuse a file that `write_whole` could not write; nothing is left behind but its folder.

    Raises:
        OutputError: If it is a folder, or its folder cannot be written.
    """
    target = Path(path)
    if target.is_dir():
        raise OutputError(f"Cannot write {target}: it is a folder. Name a file in it.")
    output_folder(target.parent)


def write_text(path: str | os.PathLike[str], text: str) -> Path:
    """Write UTF-8 text with `write_whole`."""
    return write_whole(path, lambda stream: stream.write(text.encode("utf-8")))


def output_folder(path: str | os.PathLike[str]) -> Path:
    """Make a folder for results, and prove at once that files can be written there.

    Raises:
        OutputError: If it is a file, or not writable; raised before hours of work, not after.
    """
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OutputError(
            f"Cannot write to the output folder {folder}: {error}. Choose another folder."
        ) from error
    return folder


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
