"""Recognition of the format of a file of weights, and files of `torch.save`."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from hybridopt.errors import ArgumentError, CheckpointError, HybridOptError
from hybridopt.transfer.weight_files.archive import MOST_BYTES_OF_NAMES, names_in
from hybridopt.transfer.weight_files.npz import read_npz
from hybridopt.transfer.weight_files.safetensors_file import is_safetensors, read_safetensors
from hybridopt.transfer.weight_files.torchscript import read_torchscript

Shapes = Mapping[str, tuple[int, ...]]
FORMATS = "torch.save(network.state_dict(), path), safetensors, numpy.savez or torch.jit.save"
OTHER = {  # first bytes of other files, with advice
    b"\x93NUMPY": "one array of numpy.save. Use numpy.savez with one array per key",
    b"\x89HDF": "an HDF5 file. Write the weights with torch.save, safetensors or numpy.savez",
    b"GGUF": "a GGUF file. Write the weights with torch.save, safetensors or numpy.savez",
}
MOST_READS = 500_000  # reads of an old file of torch.save; every object needs some


def read_weights(path: Path, wanted: Shapes) -> object:
    """Return the content of a file of weights; no code in it is run.

    Args:
        path: File of `torch.save`, safetensors, `numpy.savez` or `torch.jit.save`.
        wanted: Shapes by key. Other tensors may be returned on the meta device, without values.

    Returns:
        Mapping of tensors; for `torch.save`, the saved object.

    Raises:
        ArgumentError: If the file does not exist.
        CheckpointError: If the file is damaged, has another format, or contains code.
        MissingExtraError: If the package safetensors is needed and not installed.
    """
    if not path.is_file():
        raise ArgumentError(f"`state_dict` must be an existing file (got {path}).")
    try:
        with path.open("rb") as stream:
            start = stream.read(16)
        return _reader(path, start)(path, wanted)
    except HybridOptError:
        raise
    except Exception as error:
        raise CheckpointError(
            f"{path} is damaged or incomplete ({type(error).__name__}). Write it again with "
            "torch.save(network.state_dict(), path)."
        ) from error


def _reader(path: Path, start: bytes) -> Callable[[Path, Shapes], object]:
    if is_safetensors(path, start):  # first, as its length may begin like any other file
        return read_safetensors
    other = next((text for magic, text in OTHER.items() if start.startswith(magic)), None)
    if other is not None:
        raise _other_file(path, other)
    if start.startswith(b"PK"):
        return _reader_of_archive(path)
    if start.startswith(b"\x80"):  # a pickle
        return _read_old_torch
    raise CheckpointError(
        f"{path} is damaged, or not a file of weights (got other first bytes). Use a file of "
        f"{FORMATS}."
    )


def _reader_of_archive(path: Path) -> Callable[[Path, Shapes], object]:
    names = names_in(path)
    inner = {name.partition("/")[2] for name in names}
    if names and all(name.endswith(".npy") for name in names):
        return read_npz
    if "constants.pkl" in inner and "data.pkl" in inner:
        return read_torchscript
    if "data.pkl" in inner:
        return _read_torch
    got = "an archive without weights"
    if "hybridopt.json" in names:
        got = "a file of hybridopt.save. Read it with hybridopt.load"
    elif "archive_format" in inner or "archive_format" in names:
        got = "an exported program. Save its state_dict with torch.save"
    raise _other_file(path, got)


def _other_file(path: Path, got: str) -> CheckpointError:
    return CheckpointError(f"{path} must be a file of weights (got {got}).")


def _read_torch(path: Path, _wanted: Shapes) -> object:
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            pickled = info.filename.endswith("/data.pkl")
            if info.compress_type != zipfile.ZIP_STORED or (
                pickled and info.file_size > MOST_BYTES_OF_NAMES
            ):
                raise CheckpointError(
                    f"{path} must have tensors as `torch.save` writes them (got `{info.filename}` "
                    f"with {info.file_size:,} bytes). Use a file of {FORMATS}."
                )
        damaged = archive.testzip()  # torch reads numbers without a look at their checksum
    if damaged is not None:
        raise CheckpointError(
            f"{path} is damaged: the checksum of `{damaged}` does not fit. Use another copy."
        )
    if path.suffix != ".safetensors":
        return _load(path, path, mmap=True)
    with path.open("rb") as stream:  # by its name, torch would take it for another format
        return _load(path, stream)


def _read_old_torch(path: Path, _wanted: Shapes) -> object:
    with path.open("rb", buffering=0) as raw, _LimitedReader(raw) as stream:
        return _load(path, stream)


def _load(path: Path, source: Any, *, mmap: bool = False) -> object:
    try:
        return torch.load(source, weights_only=True, map_location="cpu", mmap=mmap)
    except Exception as error:
        if "Unsupported" not in str(error):  # message of the unpickler that runs no code
            raise
        raise CheckpointError(
            f"{path} must be a state_dict (got other pickled objects, such as a whole module). "
            "Write it with torch.save(network.state_dict(), path)."
        ) from error


class _LimitedReader(io.BufferedReader):
    """Stream with a limited number of reads; torch reads it as it does a stream in memory."""

    reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        """Read as usual, or raise an error after too many reads."""
        self.reads += 1
        if self.reads > MOST_READS:
            raise ValueError("the file has more objects than a state_dict")
        return super().read(size)

    def fileno(self) -> int:
        """Raise an error, so that torch calls `read`."""
        raise io.UnsupportedOperation
