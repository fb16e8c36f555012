"""Files of safetensors, with the package of that name."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

import torch
from torch import Tensor

from hybridopt.errors import CheckpointError, MissingExtraError

LENGTH = 8  # bytes of the length of the header
LONGEST_HEADER = 8 << 20  # bytes; about 100 per tensor


def is_safetensors(path: Path, start: bytes) -> bool:
    """Return whether a file begins like one of safetensors.

    Raises:
        CheckpointError: If it does, but its header is not in the file, or too long.
    """
    if start[LENGTH : LENGTH + 1] != b"{":
        return False
    header = int.from_bytes(start[:LENGTH], "little")
    if header > min(path.stat().st_size - LENGTH, LONGEST_HEADER):
        raise CheckpointError(
            f"{path} is damaged: the header of safetensors must be in the file, of at most "
            f"{LONGEST_HEADER:,} bytes (got a length of {header:,}). Use another copy."
        )
    return True


def read_safetensors(path: Path, wanted: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """Return tensors with the wanted shapes, and the shapes of the others on the meta device."""
    try:
        package = import_module("safetensors")
    except ImportError as error:
        raise MissingExtraError(
            f"safetensors must be installed to read {path}. Run: pip install "
            "'hybridopt-qiskit[weights]'"
        ) from error
    tensors: dict[str, Tensor] = {}
    with package.safe_open(path, framework="pt") as file:
        for key in file.keys():  # noqa: SIM118  # the file is not iterable
            shape = tuple(file.get_slice(key).get_shape())
            fits = wanted.get(key) == shape
            tensors[key] = file.get_tensor(key) if fits else torch.empty(shape, device="meta")
    return tensors
