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
Path_ = str | os.PathLike[str]


def write_archive(path: Path_, members: Mapping[str, bytes]) -> Path:
    """Write members by name, `FIRST` before all others, into one file, whole or not at all."""
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w") as archive:
        for name in sorted(members, key=FIRST.__ne__):
            info = zipfile.ZipInfo(name, DATE)
            archive.writestr(info, members[name], zipfile.ZIP_DEFLATED, compresslevel=1)
        archive.comment = MARK + bytes(DIGEST)
    content = raw.getvalue()[:-DIGEST]
    return write_bytes(path, content + hashlib.sha256(content).hexdigest().encode())


def read_archive(path: Path_) -> dict[str, bytes]:
    """All members of a file, if each byte is as `write_archive` wrote it."""
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError as error:
        raise CheckpointError(f"There is no file {path}.") from error
    except (OSError, ValueError) as error:
        raise CheckpointError(f"Cannot read {path}: {error}.") from error
    if data[HEAD] != FIRST.encode():
        raise CheckpointError(
            f"{path} is no file of `hybridopt.save`, or its head is damaged. A state_dict is read "
            "by `torch.load(path, weights_only=True)`."
        )
    content, digest = data[:-DIGEST], data[-DIGEST:]
    if not content.endswith(MARK) or hashlib.sha256(content).hexdigest().encode() != digest:
        raise CheckpointError(
            f"{path} is damaged. It was cut short or changed after it was written. Take another "
            "copy, or save it again."
        )
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def is_archive(path: Path_) -> bool:
    """Whether the head of a file is that of ours; False if there is none."""
    try:
        with Path(path).open("rb") as stream:
            return stream.read(HEAD.stop)[HEAD] == FIRST.encode()
    except OSError:
        return False


def check_schema(path: Path_, schema: int, version: str, known: int) -> None:
    """Refuse a file of another schema than the known one, with the version that wrote it."""
    if schema != known:
        advice = f"Make it again with this version, or read it with hybridopt {version}."
        raise CheckpointError(
            f"{path} has schema {schema}, written by hybridopt {version}; this version reads "
            f"schema {known}. {'Update hybridopt.' if schema > known else advice}"
        )
