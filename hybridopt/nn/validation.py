"""What a layer that takes rows of numbers is given."""

from __future__ import annotations

import torch
from torch import Tensor

from hybridopt.errors import ArgumentError, ArgumentTypeError


def check_samples(x: object, width: int, owner: str, column: str) -> None:
    """Refuse what is no batch of rows of so many real numbers.

    Args:
        x: What the layer was given.
        width: Numbers in a row.
        owner: The layer, with its article.
        column: What each number is for.

    Raises:
        ArgumentTypeError: If it is no dense tensor of real floating point numbers.
        ArgumentError: If its last axis has another length.
    """
    if not isinstance(x, Tensor) or not x.is_floating_point() or x.layout != torch.strided:
        kind = f"{x.dtype}, {x.layout}" if isinstance(x, Tensor) else type(x).__name__
        raise ArgumentTypeError(
            f"The input of {owner} must be a dense tensor of real floating point "
            f"numbers, but is of type {kind}. Convert it: `torch.as_tensor(x).float()`."
        )
    if x.ndim == 0 or x.shape[-1] != width:
        raise ArgumentError(
            f"The input must have shape (..., {width}), one column for each {column}, but has "
            f"shape {tuple(x.shape)}."
        )
