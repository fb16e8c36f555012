"""Inputs on which two networks are compared: of data, or drawn from a seed."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hybridopt.data import load_dataset
from hybridopt.errors import ArgumentError
from hybridopt.nn import CircuitLayer, DressedCircuit

SAMPLES = 64
TOKENS = 4  # of a sequence for an embedding


def example_inputs(
    network: nn.Module, *, data: str | None = None, shape: str | None = None, seed: int = 0
) -> Tensor:
    """A batch that a network takes, in its precision.

    Args:
        network: Its first layer tells the shape where neither data nor shape does.
        data: Name of a dataset, of which the test part is taken.
        shape: Of one sample, as ``"1x8x8"``; normally distributed numbers are drawn.
        seed: Of the numbers, and of the split of the data.

    Returns:
        Floats (samples, *shape), or for an embedding integers (samples, tokens).

    Raises:
        ArgumentError: If the shape cannot be told.
    """
    inputs = _inputs(network, data, shape, seed)
    dtype = next((p.dtype for p in network.parameters() if p.is_floating_point()), inputs.dtype)
    return inputs.to(dtype) if inputs.is_floating_point() else inputs


def _inputs(network: nn.Module, data: str | None, shape: str | None, seed: int) -> Tensor:
    if data is not None:
        part = load_dataset(data, seed=seed).test
        assert part is not None
        return part.x
    generator = torch.Generator().manual_seed(seed)
    if shape is not None:
        return torch.randn(SAMPLES, *_sizes(shape), generator=generator)
    for module in network.modules():
        if isinstance(module, nn.Linear | CircuitLayer | DressedCircuit):
            return torch.randn(SAMPLES, module.in_features, generator=generator)
        if isinstance(module, nn.Embedding):
            size = (SAMPLES, TOKENS)
            return torch.randint(module.num_embeddings, size, generator=generator)
        if any(True for _ in module.parameters(recurse=False)):
            break
    raise ArgumentError(
        "The shape of an input cannot be told from the network's first layer. Give it by `--input "
        "1x8x8` (channels x height x width), or name a dataset by `--data`."
    )


def _sizes(shape: str) -> list[int]:
    parts = shape.lower().split("x")
    if not all(part.isdecimal() and int(part) for part in parts):
        raise ArgumentError(
            f"The shape of an input must be numbers of 1 or more such as 64 or 1x8x8, but is "
            f"{shape!r}."
        )
    return [int(part) for part in parts]
