"""Inputs of a network: one tensor, or several in a tuple or in a dict with argument names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

Inputs = Tensor | tuple[Tensor, ...] | dict[str, Tensor]


def tensors_of(x: Inputs) -> list[Tensor]:
    """Return the tensors of inputs in their order."""
    if isinstance(x, Tensor):
        return [x]
    return list(x.values() if isinstance(x, dict) else x)


def named_tensors(name: str, x: Inputs) -> dict[str, Tensor]:
    """Return the tensors with names for messages: ``x``, ``x[0]`` or ``x['mask']``."""
    if isinstance(x, Tensor):
        return {name: x}
    pairs = x.items() if isinstance(x, dict) else enumerate(x)
    return {f"{name}[{key!r}]": tensor for key, tensor in pairs}


def map_inputs(fn: Callable[[Tensor], Tensor], x: Inputs) -> Inputs:
    """Return inputs of the same form with a function applied to each tensor."""
    if isinstance(x, Tensor):
        return fn(x)
    if isinstance(x, dict):
        return {key: fn(tensor) for key, tensor in x.items()}
    return tuple(map(fn, x))


def num_samples(x: Inputs) -> int:
    """Return the number of rows of the first tensor."""
    return len(tensors_of(x)[0])


def take_rows(x: Inputs, rows: Any) -> Inputs:
    """Return rows by a slice or by an array of numbers."""
    return map_inputs(lambda tensor: tensor[rows], x)


def split_rows(x: Inputs, size: int) -> Iterator[Inputs]:
    """Yield inputs of ``size`` rows; the last ones may have fewer."""
    if isinstance(x, Tensor):
        yield from torch.split(x, size)
        return
    for start in range(0, num_samples(x), size):
        yield take_rows(x, slice(start, start + size))


def concatenate(parts: Sequence[Inputs]) -> Inputs:
    """Return the rows of several inputs of one form in one."""
    first = parts[0]
    columns = [torch.cat(column) for column in zip(*map(tensors_of, parts), strict=True)]
    if isinstance(first, Tensor):
        return columns[0]
    return dict(zip(first, columns, strict=True)) if isinstance(first, dict) else tuple(columns)


def call(network: Callable[..., Any], x: Inputs) -> Any:
    """Call a network: a tuple gives its positional arguments, a dict its keyword arguments."""
    if isinstance(x, Tensor):
        return network(x)
    return network(**x) if isinstance(x, dict) else network(*x)


def is_real(x: Inputs) -> bool:
    """Return whether all tensors have real numbers."""
    return all(tensor.is_floating_point() for tensor in tensors_of(x))


def shown(x: Inputs) -> str:
    """Return shapes and dtypes for a message."""
    if isinstance(x, Tensor):
        return f"shape {tuple(x.shape)} of {x.dtype}"
    each = [f"{tuple(tensor.shape)} of {tensor.dtype}" for tensor in tensors_of(x)]
    return f"{len(each)} inputs of shapes {', '.join(each)}"
