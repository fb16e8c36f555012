"""Zip archives with limits that hold before anything is unpacked."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path

from hybridopt.errors import CheckpointError

MOST_MEMBERS = 20_000  # one per tensor
MOST_BYTES_OF_NAMES = 2 << 20  # of the pickle with names and shapes; about 200 per tensor
END, END_64 = b"PK\x05\x06", b"PK\x06\x06"  # of the directory; 64-bit archives have both
COUNT, COUNT_64 = struct.Struct("<10xH"), struct.Struct("<32xQ")
UNKNOWN = 0xFFFF  # the number of members is in the 64-bit record


def names_in(path: Path) -> list[str]:
    """Return the names of all members, if there are not too many.

    Raises:
        CheckpointError: If there are too many.
        BadZipFile: If the file is not a complete archive.
    """
    with path.open("rb") as stream:
        size = stream.seek(0, 2)
        stream.seek(max(0, size - (1 << 16) - 200))
        tail = stream.read()
    place, place_64 = tail.rfind(END), tail.rfind(END_64)
    if place < 0:
        raise zipfile.BadZipFile("no directory")
    (count,) = COUNT.unpack_from(tail, place)
    if count == UNKNOWN and place_64 >= 0:
        (count,) = COUNT_64.unpack_from(tail, place_64)
    if count > MOST_MEMBERS:
        raise CheckpointError(
            f"{path} must have at most {MOST_MEMBERS:,} members (got {count:,}). Use a file with "
            "the weights of one network."
        )
    with zipfile.ZipFile(path) as archive:
        return archive.namelist()
