"""Networks in commands: options of their bridges, example inputs, and their circuits."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import torch
from qiskit import QuantumCircuit
from torch import Tensor, nn

from hybridopt.bridges import QuantumNetwork, WeightNetwork
from hybridopt.data import load_dataset
from hybridopt.errors import ArgumentError
from hybridopt.nn import CircuitLayer, DressedCircuit

SAMPLES = 64
TOKENS = 4  # length of a sequence for an embedding


def parsed_options(options: Sequence[str]) -> dict[str, Any]:
    """Return options of a bridge; a value is read as JSON if possible, otherwise as a text.

    Example:
        >>> parsed_options(["form=full", "num_angles=30", 'keep_classical=["0"]'])
        {'form': 'full', 'num_angles': 30, 'keep_classical': ['0']}
    """
    parsed: dict[str, Any] = {}
    for option in options:
        key, separator, value = option.partition("=")
        if not separator or not key.isidentifier():
            raise ArgumentError(f"`option` must have the form key=value (got {option!r}).")
        parsed[key] = value
        with suppress(json.JSONDecodeError):
            parsed[key] = json.loads(value)
    return parsed


def gate_circuits(module: nn.Module) -> dict[str, QuantumCircuit]:
    """Return the circuits of all quantum networks and circuit layers, by name, as gates."""
    circuits: dict[str, QuantumCircuit] = {}
    inside: set[nn.Module] = set()  # parts of quantum networks
    for path, part in module.named_modules():
        if part in inside:
            continue
        if isinstance(part, QuantumNetwork):
            inside.update(part.modules())
            named = part.circuits()
            if isinstance(part, WeightNetwork) and named:
                named = {"": part.circuit(synthesis="gates")}
            circuits.update({".".join(filter(None, (path, n))): c for n, c in named.items()})
        elif isinstance(part, CircuitLayer):
            circuits[path] = part.circuit
    return circuits


def example_inputs(
    network: nn.Module, *, data: str | None = None, shape: str | None = None, seed: int = 0
) -> Tensor:
    """Return a batch of inputs (samples, *shape) for a network, in its precision.

    The batch is the test part of ``data``. Without data, it has normally distributed numbers, or
    integers for an embedding. Without ``shape``, such as ``"1x8x8"``, the first layer defines it.
    """
    dtype = next((p.dtype for p in network.parameters() if p.is_floating_point()), torch.float32)
    if data is not None:
        part = load_dataset(data, seed=seed).test
        assert part is not None
        x: Tensor = part.x.to(dtype)
        return x
    generator = torch.Generator().manual_seed(seed)
    if shape is not None:
        parts = shape.lower().split("x")
        if not all(part.isdecimal() and int(part) for part in parts):
            raise ArgumentError(f"`input` must have a form like 64 or 1x8x8 (got {shape!r}).")
        return torch.randn(SAMPLES, *map(int, parts), generator=generator).to(dtype)
    for module in network.modules():
        if isinstance(module, nn.Linear | CircuitLayer | DressedCircuit):
            return torch.randn(SAMPLES, module.in_features, generator=generator).to(dtype)
        if isinstance(module, nn.Embedding):
            size = (SAMPLES, TOKENS)
            return torch.randint(module.num_embeddings, size, generator=generator)
        if any(True for _ in module.parameters(recurse=False)):
            break
    raise ArgumentError(
        "`input` must be given: the first layer does not define the shape of an input. Pass, for "
        "example, `--input 1x8x8` (channels x height x width), or a dataset with `--data`."
    )
