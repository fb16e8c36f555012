"""Files that are written completely or not at all."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import secrets
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from hybridopt.errors import OutputError

KINDS = {
    stat.S_ISDIR: "folder", stat.S_ISFIFO: "pipe", stat.S_ISSOCK: "socket",
    stat.S_ISCHR: "device", stat.S_ISBLK: "device",
}  # fmt: skip

LARGEST_FILE = 2 << 30  # bytes; half a billion weights. Its digest takes two seconds
LARGEST_JSON = 16 << 20  # bytes; its values take up to 30 times as much memory


def write_whole(path: str | os.PathLike[str], write: Callable[[BinaryIO], object]) -> Path:
    """Write a file that replaces the old one only when it is complete.

    ``write`` writes to memory, so that no writer of another package meets a full disk. A killed
    process leaves nothing on Linux, which has files without a name, and may leave a hidden file
    elsewhere. Missing folders are created.

    Raises:
        OutputError: If the file cannot be written; nothing is left.
    """
    target, content = _check_regular(_named(path)), io.BytesIO()
    try:
        write(content)
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
        descriptor = _nameless(target.parent)
        try:
            with (
                temporary.open("xb")
                if descriptor is None
                else os.fdopen(descriptor, "wb") as stream
            ):
                stream.write(content.getbuffer())
                stream.flush()
                os.fsync(stream.fileno())
                if descriptor is not None:
                    # link, then rename, because a link cannot replace a file; Python follows the
                    # link in /proc only with the argument `src_dir_fd`
                    os.link(f"/proc/self/fd/{descriptor}", temporary, src_dir_fd=descriptor)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"Cannot write {target}: {error}. Choose another path.") from error
    return target


def open_regular(path: str | os.PathLike[str]) -> io.BufferedReader:
    """Open a file for reading; raise an OSError for pipes, devices and folders."""
    # a pipe without a writer would block here
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags)
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    raise OSError("it is a pipe or device, not a file")


def read_bytes(path: str | os.PathLike[str], *, most: int = LARGEST_FILE) -> bytes:
    """Return the content of a regular file; raise an OSError if it has more than ``most`` bytes."""
    with open_regular(path) as stream:
        content = stream.read(most + 1)
    if len(content) > most:
        raise OSError(f"it has more than {most:,} bytes")
    return content


def _nameless(folder: Path) -> int | None:
    """Return the descriptor of a file without a name on the disk of a folder, or None."""
    if not hasattr(os, "O_TMPFILE") or not Path("/proc/self/fd").exists():  # see `os.link` above
        return None
    try:
        return os.open(folder, os.O_TMPFILE | os.O_RDWR, 0o666)
    except OSError:  # not supported by every file system; other errors occur again later
        return None


def check_writable(path: str | os.PathLike[str]) -> None:
    """Raise an error if `write_whole` could not write a file; nothing is created."""
    check_folder(_check_regular(_named(path)).parent)


def write_bytes(path: str | os.PathLike[str], content: bytes) -> Path:
    """Write bytes with `write_whole`."""
    return write_whole(path, lambda stream: stream.write(content))


def write_text(path: str | os.PathLike[str], text: str) -> Path:
    """Write UTF-8 text with `write_whole`."""
    return write_bytes(path, text.encode("utf-8"))


def output_folder(path: str | os.PathLike[str]) -> Path:
    """Create a folder for results, and check that files can be written there."""
    folder = _named(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise OutputError(
            f"Cannot write to the output folder {folder}: {error}. Choose another folder."
        ) from error
    return folder


def check_folder(path: str | os.PathLike[str]) -> None:
    """Raise an error if `output_folder` would raise it; missing folders are created and removed."""
    folder = _named(path)
    missing = [one for one in (folder, *folder.parents) if not os.path.lexists(one)]
    try:
        output_folder(folder)
    finally:
        for one in missing:  # the innermost first
            with contextlib.suppress(OSError):  # another process uses it, or it was not created
                one.rmdir()


def _check_regular(path: Path) -> Path:
    """Return a path; raise an error if it exists and is not a file, but for example a pipe."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):  # a missing file; other errors follow when it is opened
        return path
    if not stat.S_ISREG(mode):
        kind = next((name for is_kind, name in KINDS.items() if is_kind(mode)), "special file")
        way_out = "a file in it" if kind == "folder" else "another path"
        raise OutputError(f"{path} must be a file (got a {kind}). Choose {way_out}.")
    return path


def _named(path: str | os.PathLike[str]) -> Path:
    """Return the path if a file can have such a name."""
    target = Path(path)
    try:
        with contextlib.suppress(OSError):  # other checks follow later
            target.lstat()
    except ValueError as error:  # a NUL, or half of a surrogate pair
        raise OutputError(f"Cannot write {str(target)!r}: {error}. Choose another name.") from error
    return target
