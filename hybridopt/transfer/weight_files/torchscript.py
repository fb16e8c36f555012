"""Archives of `torch.jit.save`: their tensors, without the code beside them."""

from __future__ import annotations

import io
import pickle
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from hybridopt.errors import CheckpointError
from hybridopt.transfer.weight_files.archive import MOST_BYTES_OF_NAMES, MOST_MEMBERS

LONGEST_NAME = 2_000  # characters of a part's name; a part that contains itself has no end
DTYPES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
    "ComplexFloatStorage": torch.complex64,
    "ComplexDoubleStorage": torch.complex128,
}


def read_torchscript(path: Path, wanted: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """Return the tensors of the module; their names are those of its state_dict.

    Classes and functions of the archive are not made. Tensors with other than the wanted shapes
    are on the meta device.
    """
    with zipfile.ZipFile(path) as archive:
        (name,) = (name for name in archive.namelist() if _inner(name) == "data.pkl")
        info = archive.getinfo(name)
        if info.file_size > MOST_BYTES_OF_NAMES:
            raise CheckpointError(
                f"{path} must have a description of its module of at most "
                f"{MOST_BYTES_OF_NAMES:,} bytes (got {info.file_size:,}). Save the state_dict "
                "of the module with torch.save."
            )
        folder = name.removesuffix("data.pkl")
        module = _Unpickler(io.BytesIO(archive.read(info))).load()
        if not isinstance(module, _Inert):
            raise TypeError("no module")
        shapes = dict(_tensors(module))
        known: dict[str, Tensor] = {}
        return {
            key: stored.read(archive, folder, known)
            if wanted.get(key) == stored.shape
            else torch.empty(stored.shape, device="meta")
            for key, stored in shapes.items()
        }


def _inner(name: str) -> str:
    return name.partition("/")[2]


class _Inert:
    """Replacement of every class and function of an archive; it only keeps the state."""

    state: object = None

    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments

    def __setstate__(self, state: object) -> None:
        self.state = state


@dataclass(frozen=True)
class _Stored:
    """Tensor in a file, not yet read."""

    storage: tuple[str, str]  # kind and number
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]

    def read(self, archive: zipfile.ZipFile, folder: str, known: dict[str, Tensor]) -> Tensor:
        """Return the tensor; ``known`` holds the storages that were read."""
        kind, number = self.storage
        if number not in known:
            info = archive.getinfo(f"{folder}data/{number}")
            if info.compress_type != zipfile.ZIP_STORED:
                raise ValueError("compressed numbers")
            content = bytearray(archive.read(info))
            known[number] = torch.frombuffer(content, dtype=DTYPES[kind])
        return known[number].as_strided(self.shape, self.stride, self.offset).clone()


def _rebuild(storage: Any, offset: int, shape: Any, stride: Any, *_: Any) -> _Stored:
    return _Stored(storage, int(offset), tuple(map(int, shape)), tuple(map(int, stride)))


class _Unpickler(pickle._Unpickler):
    """Unpickler, in Python, of data only: it can call nothing but `_rebuild` and `_Inert`."""

    dispatch: ClassVar = {
        code: load
        for code, load in pickle._Unpickler.dispatch.items()
        if code != pickle.BYTEARRAY8[0]  # it would allocate the declared length
    }

    def find_class(self, module: str, name: str) -> Any:
        """Return the function for tensors, the kind of a storage, or an inert class."""
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild
        if module == "torch" and name in DTYPES:
            return name
        return _Inert

    def persistent_load(self, pid: Any) -> tuple[str, str]:
        """Return kind and number of a storage."""
        _, kind, number, *_ = pid
        return str(kind), str(number)


def _tensors(module: _Inert) -> Iterator[tuple[str, _Stored]]:
    """Yield the tensors in the attributes of a module and of its parts, with their names."""
    waiting: list[tuple[str, _Inert]] = [("", module)]
    for _ in range(MOST_MEMBERS):
        if not waiting:
            return
        prefix, part = waiting.pop()
        if len(prefix) > LONGEST_NAME:
            break
        for name, value in part.state.items() if isinstance(part.state, dict) else ():
            if isinstance(value, _Stored):
                yield f"{prefix}{name}", value
            elif isinstance(value, _Inert):
                waiting.append((f"{prefix}{name}.", value))
    raise ValueError("more parts than a network has")
