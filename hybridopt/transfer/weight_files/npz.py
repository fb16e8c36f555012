"""Files of `numpy.savez`, without pickles."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.lib import format as npy
from torch import Tensor

from hybridopt.errors import ArgumentTypeError, CheckpointError

LONGEST_HEADER = 10_000  # as in numpy
PREFIX = {(1, 0): 2, (2, 0): 4}  # bytes of the header's length, by version
Header = tuple[tuple[int, ...], bool, np.dtype]


def read_npz(path: Path, wanted: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """Return arrays with the wanted shapes, and the shapes of the others on the meta device."""
    tensors: dict[str, Tensor] = {}
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            key = info.filename.removesuffix(".npy")
            with archive.open(info) as stream:
                (shape, transposed, dtype), length = _header(stream, path, key)
                size = int(np.prod(shape, dtype=object)) * dtype.itemsize
                if info.file_size != length + size:
                    raise CheckpointError(
                        f"{path} is damaged: `{key}` must have {size:,} bytes of numbers (got "
                        f"{info.file_size - length:,})."
                    )
                if wanted.get(key) != shape:
                    tensors[key] = torch.empty(shape, device="meta")
                    continue
                data = stream.read(size)
            array = np.frombuffer(data, dtype).reshape(shape, order="F" if transposed else "C")
            native = np.array(array, dtype.newbyteorder("="), order="C")
            tensors[key] = torch.from_numpy(native)
    return tensors


def _header(stream: Any, path: Path, key: str) -> tuple[Header, int]:
    """Return shape, order and dtype of an array, and the number of bytes before its numbers."""
    start = stream.read(len(npy.MAGIC_PREFIX) + 2)
    version = npy.read_magic(io.BytesIO(start))
    if version not in PREFIX:
        raise ValueError(f"version {version} of the array")
    prefix = stream.read(PREFIX[version])
    length = int.from_bytes(prefix, "little")
    if length > LONGEST_HEADER:
        raise ValueError(f"a header of {length} bytes")
    rest = io.BytesIO(prefix + stream.read(length))
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, transposed, dtype = read(rest, max_header_size=LONGEST_HEADER)
    if dtype.kind not in "biufc":
        raise ArgumentTypeError(
            f"`{key}` in {path} must be an array of numbers (got dtype {dtype}). Save it as "
            "float32, or use safetensors."
        )
    if any(length < 0 for length in shape):
        raise ValueError("a negative length")
    return (shape, transposed, dtype), len(start) + len(prefix) + length
