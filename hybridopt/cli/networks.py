"""Networks that commands are given: options of bridges, inputs to try, circuits inside."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import torch
from qiskit import QuantumCircuit
from torch import Tensor, nn

from hybridopt.bridges import QuantumNetwork, WeightNetwork
from hybridopt.data import load_dataset
from hybridopt.errors import ArgumentError
from hybridopt.nn import CircuitLayer, DressedCircuit

SAMPLES = 64
TOKENS = 4  # of a sequence for an embedding


def parsed_options(options: Sequence[str]) -> dict[str, Any]:
    """Return options of a bridge: values are JSON where they can be read so, texts otherwise.

    Example:
        >>> parsed_options(["form=full", "num_angles=30", 'keep_classical=["0"]'])
        {'form': 'full', 'num_angles': 30, 'keep_classical': ['0']}
    """
    parsed = {}
    for option in options:
        key, separator, value = option.partition("=")
        if not separator or not key.isidentifier():
            raise ArgumentError(f"Option {option!r} is not understood. Write `--option key=value`.")
        try:
            parsed[key] = json.loads(value)
        except json.JSONDecodeError:
            parsed[key] = value
    return parsed


def gate_circuits(module: nn.Module) -> dict[str, QuantumCircuit]:
    """Return the circuits of a module's quantum networks and circuit layers in gates, by name."""
    circuits: dict[str, QuantumCircuit] = {}
    inside: set[nn.Module] = set()  # of a quantum network, whose circuits are its own
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
    """Return a batch that a network takes, in its precision.

    It is the test part of a dataset; or normally distributed numbers of a ``shape`` such as
    ``"1x8x8"`` or what the first layer tells (samples, *shape), integers for an embedding.
    """
    dtype = next((p.dtype for p in network.parameters() if p.is_floating_point()), torch.float32)
    if data is not None:
        part = load_dataset(data, seed=seed).test
        assert part is not None
        return part.x.to(dtype)
    generator = torch.Generator().manual_seed(seed)
    if shape is not None:
        parts = shape.lower().split("x")
        if not all(part.isdecimal() and int(part) for part in parts):
            words = "must be numbers of 1 or more such as 64 or 1x8x8"
            raise ArgumentError(f"The shape of an input {words}, but is {shape!r}.")
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
        "The shape of an input cannot be told from the network's first layer. Give it by `--input "
        "1x8x8` (channels x height x width), or name a dataset by `--data`."
    )
