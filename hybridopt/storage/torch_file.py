"""Files of `torch.save`, read without torch's unpickler: sizes are checked before memory is used.

`torch.load` trusts the sizes that a file declares. Here, the pickle may only make plain values and
descriptions of tensors. A tensor is made when its description fits the bytes of the file.
"""

from __future__ import annotations

import collections
import io
import math
import os
import pickle
import pickletools
import struct
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hybridopt.storage.archive import Stream, check_directory

MOST_OPCODES = 2_500_000  # of a pickle, read in 1.5 s; a history takes 25 per epoch
UNCHECKED = 1 << 20  # bytes of a pickle that cannot have more parts with data
LARGEST = 1 << 40  # elements of a dimension
DEEPEST = 50  # containers within containers
LOCAL = struct.Struct("<26xHH")  # lengths of name and extra field, at the end of a local header
# the opcodes that torch.save writes; others can declare sizes that the file does not have
OPCODES = frozenset(
    """PROTO STOP MARK NONE NEWTRUE NEWFALSE BININT BININT1 BININT2 LONG1 BINFLOAT BINUNICODE
    EMPTY_DICT EMPTY_LIST EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3 APPEND APPENDS SETITEM SETITEMS
    BINPUT LONG_BINPUT BINGET LONG_BINGET GLOBAL REDUCE BUILD BINPERSID""".split()  # noqa: SIM905
)


STORAGES = {
    "FloatStorage": torch.float32, "DoubleStorage": torch.float64, "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16, "LongStorage": torch.int64, "IntStorage": torch.int32,
    "ShortStorage": torch.int16, "CharStorage": torch.int8, "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool, "ComplexFloatStorage": torch.complex64,
    "ComplexDoubleStorage": torch.complex128, "UntypedStorage": torch.uint8,
}  # fmt: skip


@dataclass(frozen=True)
class Storage:
    """Numbers of one or more tensors, in a member of the file."""

    key: str
    dtype: torch.dtype
    size: int  # number of elements


@dataclass(frozen=True)
class StoredTensor:
    """Tensor of a file that is not made yet."""

    storage: Storage
    dtype: torch.dtype
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)


def dump(value: object) -> bytes:
    """Return the bytes of `torch.save`.

    Raises:
        ValueError: If `TorchFile` would not read them.
    """
    raw = io.BytesIO()
    torch.save(value, raw)
    start, size = _members(raw)["data.pkl"]
    if size > UNCHECKED:
        _check_opcodes(raw.getbuffer()[start : start + size])
    return raw.getvalue()


class TorchFile:
    """Content of a file of `torch.save`.

    Args:
        stream: Stream of the file, read when a part is needed.

    Attributes:
        value: The saved value, with a `StoredTensor` for each tensor.

    Raises:
        ValueError: If the content is not that of a file of `torch.save`, or has other objects than
            plain values and dense tensors.
    """

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._members = _members(stream)
        if "byteorder" in self._members and self._bytes("byteorder") != b"little":
            raise ValueError("the byte order must be little")
        code = self._bytes("data.pkl")
        self._most = 10_000 + 4 * _check_opcodes(code)  # parts; containers may occur several times
        self._made: dict[str, Tensor] = {}
        try:
            self.value: Any = _Unpickler(code).load()
        except (pickle.UnpicklingError, EOFError, LookupError, AttributeError, TypeError) as error:
            raise ValueError(f"the pickle is invalid ({error})") from error
        _walk(self.value, self._check, self._most)

    def load(self) -> Any:
        """Return the saved value with its tensors, on the CPU; shared storages stay shared."""
        return _walk(self.value, self.tensor, self._most)

    def tensor(self, stored: StoredTensor) -> Tensor:
        """Return one tensor."""
        key = stored.storage.key
        if key not in self._made:
            data = np.frombuffer(self._bytes(f"data/{key}"), dtype=np.uint8)
            self._made[key] = torch.from_numpy(data.copy())  # may be changed
        raw = self._made[key]
        flat = raw.view(stored.dtype) if len(raw) else torch.empty(0, dtype=stored.dtype)
        return flat.as_strided(stored.shape, stored.stride, stored.offset)

    def _bytes(self, name: str) -> bytes:
        if name not in self._members:
            raise ValueError(f"`{name}` is missing")
        start, size = self._members[name]
        self._stream.seek(start)
        return self._stream.read(size)

    def _check(self, stored: StoredTensor) -> StoredTensor:
        """Raise an error if the file has fewer numbers than a tensor needs."""
        storage, item, shape = stored.storage, stored.dtype.itemsize, stored.shape
        if any(not 0 <= one <= LARGEST for one in (stored.offset, *shape, *stored.stride)):
            raise ValueError(f"a tensor of shape {shape} is invalid")
        _, available = self._members.get(f"data/{storage.key}", (0, -1))
        last = sum((length - 1) * step for length, step in zip(shape, stored.stride, strict=True))
        needed = max(stored.offset + last + 1, stored.size) if stored.size else 0
        fits = storage.size * storage.dtype.itemsize == available and available % item == 0
        if not fits or needed * item > available:
            raise ValueError(f"a tensor of shape {shape} has only {available} bytes")
        return stored


def _members(stream: Stream) -> dict[str, tuple[int, int]]:
    """Return start and size of each member of an archive that is not compressed."""
    check_directory(stream)
    length = stream.seek(0, os.SEEK_END)
    try:
        with zipfile.ZipFile(stream) as archive:
            infos = archive.infolist()
    except (zipfile.BadZipFile, OSError, NotImplementedError, LookupError) as error:
        raise ValueError(f"the archive is damaged ({error})") from error
    found = {}
    for info in infos:
        if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size:
            raise ValueError(f"`{info.filename}` is compressed")
        stream.seek(info.header_offset)
        header = stream.read(LOCAL.size).ljust(LOCAL.size, b"\0")
        start = info.header_offset + LOCAL.size + sum(LOCAL.unpack(header))
        if start + info.file_size > length:
            raise ValueError("the archive is damaged (a member is cut)")
        found[info.filename.partition("/")[2]] = start, info.file_size
    if sum(size for _, size in found.values()) > length:
        raise ValueError("the archive is damaged (members overlap)")
    return found


def _check_opcodes(code: bytes | memoryview) -> int:
    """Return the number of opcodes of a pickle; raise an error for others than torch's."""
    used = 0
    for used, (opcode, argument, _) in enumerate(pickletools.genops(bytes(code)), start=1):
        if used > MOST_OPCODES:
            raise ValueError(f"the pickle has more than {MOST_OPCODES:,} parts")
        if opcode.name not in OPCODES:
            raise ValueError(f"the pickle has the opcode {opcode.name}")
        if opcode.name == "LONG_BINPUT" and (argument or 0) > used:
            raise ValueError("the pickle is invalid (a memo is not in order)")
    return used


def _tensor(
    storage: Storage, offset: int, shape: tuple[int, ...], stride: tuple[int, ...], *others: Any
) -> StoredTensor:
    """Return the tensor of `torch._utils._rebuild_tensor_v2`, and of v3 with a dtype."""
    _, _, *further = others  # requires_grad, hooks
    dtype = further.pop(0) if further and isinstance(further[0], torch.dtype) else storage.dtype
    plain = all(isinstance(n, int) for n in (offset, *shape, *stride))
    if not (isinstance(storage, Storage) and plain and len(shape) == len(stride)) or any(further):
        raise TypeError("a tensor is invalid")
    return StoredTensor(storage, dtype, offset, tuple(shape), tuple(stride))


FUNCTIONS: Mapping[tuple[str, str], Callable[..., Any]] = {
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_tensor_v3"): _tensor,
    ("torch._utils", "_rebuild_parameter"): lambda tensor, *_: tensor,
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("collections", "Counter"): collections.Counter,
    ("torch", "Size"): torch.Size,
    ("torch", "device"): torch.device,
    ("__builtin__", "set"): set,
    ("__builtin__", "complex"): complex,
}


class _Unpickler(pickle.Unpickler):
    """Unpickler of plain values and descriptions of tensors."""

    def __init__(self, code: bytes) -> None:
        super().__init__(io.BytesIO(code))

    def find_class(self, module: str, name: str) -> Any:
        """Return one of the known functions and types."""
        if (module, name) in FUNCTIONS:
            return FUNCTIONS[module, name]
        dtype = STORAGES.get(name, getattr(torch, name, None))
        if module not in {"torch", "torch.storage"} or not isinstance(dtype, torch.dtype):
            raise pickle.UnpicklingError(f"`{module}.{name}` is not a dense tensor or plain value")
        return dtype

    def persistent_load(self, identity: Any) -> Storage:
        """Return the storage of a tensor."""
        word, dtype, key, _, size = identity
        if word != "storage" or not (isinstance(key, str) and isinstance(size, int)):
            raise pickle.UnpicklingError("a storage is invalid")
        if not isinstance(dtype, torch.dtype) or not 0 <= size <= LARGEST:
            raise pickle.UnpicklingError("a storage is invalid")
        return Storage(key, dtype, size)


def _walk(value: Any, change: Callable[[StoredTensor], Any], most: int) -> Any:
    """Return a copy of a value with changed tensors; nested and repeated containers are limited."""
    left = most

    def walk(part: Any, depth: int) -> Any:
        nonlocal left
        left -= 1
        if left < 0 or depth > DEEPEST:
            raise ValueError("the values are nested too deeply")
        if isinstance(part, StoredTensor):
            return change(part)
        if isinstance(part, dict):
            pairs = {walk(key, depth + 1): walk(item, depth + 1) for key, item in part.items()}
            copied = type(part)(pairs)
            vars_of = getattr(part, "__dict__", None)  # versions of modules, in a state_dict
            if vars_of:
                copied.__dict__.update(walk(vars_of, depth + 1))
            return copied
        if type(part) in {list, tuple, set}:
            return type(part)(walk(item, depth + 1) for item in part)
        return part

    return walk(value, 0)
