"""The file: an ordinary zip archive whose last bytes prove that it is whole."""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path

from hybridopt._files import write_bytes
from hybridopt.errors import CheckpointError

FIRST = "hybridopt.json"  # the name of the first member, which the head of the file shows
MARK = b"sha256 "  # the archive's comment: this, and a digest of all that stands before it
DIGEST = 64  # characters
HEAD = slice(30, 30 + len(FIRST))  # the first name, after the fixed part of a member's header
DATE = (1980, 1, 1, 0, 0, 0)  # one content is one file, whenever it is written
DAMAGED = "It was cut short or changed after it was written. Take another copy, or save it again."
Path_ = str | os.PathLike[str]


def write_archive(path: Path_, members: Mapping[str, bytes]) -> Path:
    """Write members into one file, whole or not at all.

    Args:
        path: Where the file shall stand.
        members: Contents by name; the first is `FIRST`.

    Returns:
        The path.

    Raises:
        OutputError: If the file cannot be written. An older one is left as it was.
    """
    assert next(iter(members)) == FIRST
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w") as archive:
        for name, content in members.items():
            info = zipfile.ZipInfo(name, DATE)
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, content, compresslevel=1)
        archive.comment = MARK + bytes(DIGEST)
    content = raw.getvalue()[:-DIGEST]
    digest = hashlib.sha256(content).hexdigest().encode()
    return write_bytes(path, content + digest)


def read_archive(path: Path_) -> dict[str, bytes]:
    """All members of a file that `write_archive` wrote.

    Raises:
        CheckpointError: If there is no such file, it is of another kind, or not one byte is as it
            was written.
    """
    data = _read(Path(path))
    if data[HEAD] != FIRST.encode():
        raise CheckpointError(
            f"{os.fspath(path)} is no file of `hybridopt.save`, or its head is damaged. A "
            "state_dict is read by `torch.load(path, weights_only=True)`."
        )
    content, digest = data[:-DIGEST], data[-DIGEST:]
    whole = content.endswith(MARK) and hashlib.sha256(content).hexdigest().encode() == digest
    if not whole:
        raise CheckpointError(f"{os.fspath(path)} is damaged. {DAMAGED}")
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def is_archive(path: Path_) -> bool:
    """Whether the head of a file is that of ours; False if there is none."""
    try:
        with Path(path).open("rb") as stream:
            head = stream.read(HEAD.stop)
    except OSError:
        return False
    return head[HEAD] == FIRST.encode()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise CheckpointError(f"There is no file {path}.") from error
    except IsADirectoryError as error:
        raise CheckpointError(f"{path} is a folder. Name a file in it.") from error
    except (OSError, ValueError) as error:
        raise CheckpointError(f"Cannot read {path}: {error}.") from error
