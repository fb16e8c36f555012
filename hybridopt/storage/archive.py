"""Zip archives that end with a digest of their content.

The comment of an archive is `MARK` and the hexadecimal SHA-256 of all bytes before these digits. It
is at the end of the file. Readers check sizes and the digest before they unpack anything.
"""

from __future__ import annotations

import hashlib
import io
import os
import struct
import zipfile
import zlib
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hybridopt._files import LARGEST_FILE, LARGEST_JSON, open_regular, write_bytes
from hybridopt.errors import CheckpointError, OutputError

FIRST = "hybridopt.json"  # name of the first member, readable at the start of the file
MARK = b"sha256 "  # comment of the archive: this and the digest of all bytes before the digest
DIGEST = 64  # number of characters
HEAD = slice(30, 30 + len(FIRST))  # the first name, after the fixed part of a header
DATE = (1980, 1, 1, 0, 0, 0)  # fixed, so that equal content gives equal files
END = struct.Struct("<4s6xHLLH")  # end of an archive: members, size and start of the directory
END64 = struct.Struct("<4s28xQQ8x")  # the same for a large archive; its place is in the locator
LOCATOR = struct.Struct("<4s4xQ4x")  # before the end of a large archive
MOST_MEMBERS = 50_000  # one per tensor; the directory of these is read in half a second
LONGEST_ENTRY = 512  # bytes of an entry of the directory, on average
SMALL = 128 << 20  # bytes that any archive may have after unpacking
MOST_RATIO = 20  # of larger ones; ours have weights, which hardly shrink
BLOCK = 1 << 20
Path_ = str | os.PathLike[str]
Stream = io.BytesIO | io.BufferedReader


def write_archive(path: Path_, members: Mapping[str, bytes]) -> Path:
    """Write members by name into one file, completely or not at all; `FIRST` comes first."""
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w") as archive:
        for name in sorted(members, key=FIRST.__ne__):
            info, content = zipfile.ZipInfo(name, DATE), members[name]
            # trained weights hardly shrink; zeros shrink to a thousandth, which is refused in large
            # files
            packs = len(content) < BLOCK or 1.5 < _ratio(content[:BLOCK]) < MOST_RATIO / 2
            method = zipfile.ZIP_DEFLATED if packs else zipfile.ZIP_STORED
            archive.writestr(info, content, method, compresslevel=1)
    return write_bytes(path, signed(raw.getvalue()))


def signed(content: bytes) -> bytes:
    """Return an archive without a comment with its digest as the comment."""
    if len(content) > LARGEST_FILE - BLOCK:
        raise OutputError(
            f"A file must have at most {LARGEST_FILE >> 30} GiB (got {len(content) / 2**30:.1f}). "
            "Save the parts of the network in separate files."
        )
    start = content[:-2] + struct.pack("<H", len(MARK) + DIGEST) + MARK
    return start + hashlib.sha256(start).hexdigest().encode()


def read_archive(path: Path_) -> dict[str, bytes]:
    """Return all members of a file if every byte is unchanged."""
    with opened(path) as (stream, has_digest):
        if stream.read(HEAD.stop)[HEAD] != FIRST.encode():
            raise CheckpointError(
                f"{path} must be a file of `hybridopt.save` (got other first bytes). Read a "
                "state_dict with `torch.load(path, weights_only=True)`."
            )
        if not has_digest:
            raise _damaged(path)
        try:
            check_directory(stream)
            with zipfile.ZipFile(stream) as archive:
                return _unpacked(archive, _length(stream))
        # NotImplementedError and RuntimeError: other compression, and encryption
        except (OSError, ValueError, zipfile.BadZipFile, zlib.error, RuntimeError) as error:
            raise CheckpointError(
                f"{path} must have the content of `hybridopt.save` ({error}). Save the network "
                "again."
            ) from error


@contextmanager
def opened(path: Path_) -> Iterator[tuple[Stream, bool]]:
    """Open a file; yield its stream and whether it has a digest, which fits.

    Raises:
        CheckpointError: If the file cannot be read, is too large, or does not fit its digest.
    """
    try:
        stream = open_regular(path)
    except (OSError, ValueError) as error:
        raise CheckpointError(f"Cannot read {path}: {error}.") from error
    with stream:
        size = _length(stream)
        if size > LARGEST_FILE:
            raise CheckpointError(
                f"{path} must have at most {LARGEST_FILE >> 30} GiB (got {size / 2**30:.1f}). "
                "Choose another file."
            )
        stream.seek(max(0, size - DIGEST - len(MARK)))
        has_digest = stream.read().startswith(MARK) and size > DIGEST + len(MARK)
        if has_digest and not _fits_digest(stream, size):
            raise _damaged(path)
        stream.seek(0)
        yield stream, has_digest


def check_directory(stream: Stream) -> None:
    """Raise a ValueError if an archive has too many members; only its end is read."""
    size = _length(stream)
    for comment in (0, len(MARK) + DIGEST):
        place = size - END.size - comment
        mark, count, length, _, given = _unpack(stream, END, place)
        if (mark, given) == (b"PK\5\6", comment):
            break
    else:
        raise ValueError("the archive has no end")
    mark, large = _unpack(stream, LOCATOR, place - LOCATOR.size)
    if mark == b"PK\6\7":
        _, count, length = _unpack(stream, END64, large)
    if max(count, length // LONGEST_ENTRY) > MOST_MEMBERS:
        raise ValueError(f"the archive has more than {MOST_MEMBERS:,} members")
    stream.seek(0)


def _unpack(stream: Stream, form: struct.Struct, place: int) -> tuple[Any, ...]:
    stream.seek(min(max(0, place), _length(stream)))
    return form.unpack(stream.read(form.size).ljust(form.size, b"\0"))


def _unpacked(archive: zipfile.ZipFile, size: int) -> dict[str, bytes]:
    infos = archive.infolist()
    total = sum(info.file_size for info in infos)
    if total > max(SMALL, MOST_RATIO * size):
        raise ValueError(f"{total:,} bytes are packed in {size:,}")
    for info in infos:
        if info.filename == FIRST and info.file_size > LARGEST_JSON:
            raise ValueError(f"`{FIRST}` has more than {LARGEST_JSON:,} bytes")
        if info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
            raise ValueError(f"`{info.filename}` is packed by another method")
    # `read` stops at the declared size
    return {info.filename: archive.read(info) for info in infos}


def _ratio(content: bytes) -> float:
    return len(content) / len(zlib.compress(content, 1))


def _fits_digest(stream: Stream, size: int) -> bool:
    stream.seek(0)
    found, left = hashlib.sha256(), size - DIGEST
    while left > 0 and (block := stream.read(min(BLOCK, left))):
        found.update(block)
        left -= len(block)
    return stream.read() == found.hexdigest().encode()


def _length(stream: Stream) -> int:
    place = stream.tell()
    try:
        return stream.seek(0, os.SEEK_END)
    finally:
        stream.seek(place)


def _damaged(path: Path_) -> CheckpointError:
    return CheckpointError(
        f"{path} is damaged: it is truncated or was changed after it was written. Use another "
        "copy, or save it again."
    )


def is_archive(path: Path_) -> bool:
    """Return True if a file exists and starts like a file of `hybridopt.save`."""
    if not Path(path).is_file():  # opening a pipe would wait for its writer
        return False
    try:
        with Path(path).open("rb") as stream:
            return stream.read(HEAD.stop)[HEAD] == FIRST.encode()
    except OSError:
        return False


def check_schema(path: Path_, schema: Any, version: Any, known: Collection[int]) -> None:
    """Raise an error with the version of a file if its schema is not a known one."""
    if type(schema) is not int:
        raise CheckpointError(
            f"{path} is damaged: its schema is {schema!r:.40}. Use another copy, or save it again."
        )
    if schema not in known:
        newest, listed = max(known), " or ".join(map(str, sorted(known)))
        writer = f"hybridopt {version!s:.40}"
        advice = f"Create it again with this version, or read it with {writer}."
        raise CheckpointError(
            f"{path} must have schema {listed} (got {schema}, written by {writer}). "
            f"{'Update hybridopt.' if schema > newest else advice}"
        )
