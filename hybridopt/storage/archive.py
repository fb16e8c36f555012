"""The file: a zip archive that ends with a digest of its content."""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path

from hybridopt._files import check_regular, write_bytes
from hybridopt.errors import CheckpointError

FIRST = "hybridopt.json"  # name of the first member, readable at the start of the file
MARK = b"sha256 "  # comment of the archive: this and the digest of all bytes before the digest
DIGEST = 64  # number of characters
HEAD = slice(30, 30 + len(FIRST))  # the first name, after the fixed part of a header
DATE = (1980, 1, 1, 0, 0, 0)  # fixed, so that equal content gives equal files
Path_ = str | os.PathLike[str]


def write_archive(path: Path_, members: Mapping[str, bytes]) -> Path:
    """Write members by name into one file, completely or not at all; `FIRST` comes first."""
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w") as archive:
        for name in sorted(members, key=FIRST.__ne__):
            info = zipfile.ZipInfo(name, DATE)
            archive.writestr(info, members[name], zipfile.ZIP_DEFLATED, compresslevel=1)
        archive.comment = MARK + bytes(DIGEST)
    content = raw.getvalue()[:-DIGEST]
    return write_bytes(path, content + hashlib.sha256(content).hexdigest().encode())


def read_archive(path: Path_) -> dict[str, bytes]:
    """Return all members of a file if every byte is unchanged."""
    check_regular(Path(path), CheckpointError)
    try:
        data = Path(path).read_bytes()
    except (OSError, ValueError) as error:
        raise CheckpointError(f"Cannot read {path}: {error}.") from error
    if data[HEAD] != FIRST.encode():
        raise CheckpointError(
            f"{path} must be a file of `hybridopt.save` (got other first bytes). Read a "
            "state_dict with `torch.load(path, weights_only=True)`."
        )
    content, digest = data[:-DIGEST], data[-DIGEST:]
    if not content.endswith(MARK) or hashlib.sha256(content).hexdigest().encode() != digest:
        raise CheckpointError(
            f"{path} is damaged: it is truncated or was changed after it was written. Use another "
            "copy, or save it again."
        )
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def is_archive(path: Path_) -> bool:
    """Return True if a file exists and starts like a file of `hybridopt.save`."""
    if not Path(path).is_file():  # opening a pipe would wait for its writer
        return False
    try:
        with Path(path).open("rb") as stream:
            return stream.read(HEAD.stop)[HEAD] == FIRST.encode()
    except OSError:
        return False


def check_schema(path: Path_, schema: int, version: str, known: int) -> None:
    """Raise an error with the version of a file if its schema is not the known one."""
    if schema != known:
        advice = f"Create it again with this version, or read it with hybridopt {version}."
        raise CheckpointError(
            f"{path} must have schema {known} (got {schema}, written by hybridopt {version}). "
            f"{'Update hybridopt.' if schema > known else advice}"
        )
