"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from hybridopt.errors import ArgumentTypeError, OutputError


def write_whole(path: str | os.PathLike[str], write: Callable[[BinaryIO], object]) -> Path:
    """Write a file so that readers see all of it or the old one.

    It gets its name when it is whole. Where the system has files without a name (Linux), a process
    that is killed while it writes leaves nothing behind; elsewhere it may leave a hidden file.

    Args:
        path: Where the file shall stand. Its folder is made if it is missing.
        write: Receives the open binary file.

    Returns:
        The path.

    Raises:
        OutputError: If the folder or the file cannot be written, or the system takes no such name.
            Nothing is left behind.
    """
    target = _named(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor = _nameless(target.parent)
        if descriptor is None:
            _write_beside(target, write)
        else:
            _write_nameless(target, descriptor, write)
    except OSError as error:
        raise OutputError(f"Cannot write {target}: {error}. Choose another place.") from error
    return target


def _nameless(folder: Path) -> int | None:
    """A file in no folder, on this one's disk; None where there are none."""
    flag = getattr(os, "O_TMPFILE", None)
    if flag is None:
        return None
    try:
        descriptor = os.open(folder, flag | os.O_RDWR, 0o666)
    except OSError:  # not every file system has them; what else is wrong will show again
        return None
    if Path(f"/proc/self/fd/{descriptor}").exists():  # the way to give it a name
        return descriptor
    os.close(descriptor)
    return None


def _write_nameless(target: Path, descriptor: int, write: Callable[[BinaryIO], object]) -> None:
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    with os.fdopen(descriptor, "wb") as stream:
        _fill(stream, write)
        try:
            # a link cannot replace a file, a renaming can; only with a folder's descriptor does
            # Python follow the link in /proc
            os.link(f"/proc/self/fd/{descriptor}", temporary, src_dir_fd=descriptor)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)


def _write_beside(target: Path, write: Callable[[BinaryIO], object]) -> None:
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            _fill(stream, write)
        temporary.chmod(0o666 & ~_umask())  # mkstemp makes private files; ours are ordinary ones
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def _fill(stream: BinaryIO, write: Callable[[BinaryIO], object]) -> None:
    write(stream)
    stream.flush()
    os.fsync(stream.fileno())


def check_writable(path: str | os.PathLike[str]) -> None:
    """Refuse a file that `write_whole` could not write; nothing is left behind but its folder.

    Raises:
        OutputError: If it is a folder, its folder cannot be written, or the system takes no such
            name.
    """
    target = _named(path)
    if target.is_dir():
        raise OutputError(f"Cannot write {target}: it is a folder. Name a file in it.")
    output_folder(target.parent)


def write_bytes(path: str | os.PathLike[str], content: bytes) -> Path:
    """Write bytes with `write_whole`."""
    return write_whole(path, lambda stream: stream.write(content))


def write_text(path: str | os.PathLike[str], text: str) -> Path:
    """Write UTF-8 text with `write_whole`."""
    return write_bytes(path, text.encode("utf-8"))


def output_folder(path: str | os.PathLike[str]) -> Path:
    """Make a folder for results, and prove at once that files can be written there.

    Raises:
        OutputError: If it is a file, or not writable; raised before hours of work, not after.
    """
    folder = _named(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise OutputError(
            f"Cannot write to the output folder {folder}: {error}. Choose another folder."
        ) from error
    return folder


def _named(path: str | os.PathLike[str]) -> Path:
    """The path, if a file can have such a name."""
    target = Path(path)
    try:
        with contextlib.suppress(OSError):  # whatever stands there, or does not, comes later
            target.lstat()
    except ValueError as error:  # a NUL, or half of a surrogate pair
        raise OutputError(f"Cannot write {str(target)!r}: {error}. Choose another name.") from error
    return target


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def check_path(name: str, value: object) -> None:
    """Refuse an argument that is no path."""
    if not isinstance(value, str | os.PathLike):
        raise ArgumentTypeError(
            f"Argument `{name}` must be a path, but is {value!r} of type {type(value).__name__}."
        )
