"""Modules with circuits, and changes of files, for the tests of storage."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from torch import nn

import hybridopt as ho
from hybridopt.storage import archive


def entangler(**arguments: object) -> ho.CircuitLayer:
    """Return a circuit layer with four inputs and four outputs."""
    return ho.CircuitLayer(*ho.load_circuit("basic_entangler"), **arguments)


def mixed() -> nn.Module:
    """Return layers, a circuit layer and a memory on one executor; two of them occur twice."""
    shared = nn.Linear(4, 4)
    shared.bias.requires_grad_(False)
    circuit = entangler(executor=ho.AerExecutor(shots=64, seed=5))
    quantum = ho.to_quantum(nn.Linear(4, 4), "memory", executor=circuit.executor)
    return nn.Sequential(nn.Linear(3, 4), shared, nn.GELU(), circuit, quantum, shared, quantum)


def mlp(activation: type[nn.Module] = nn.Tanh, width: int = 4) -> nn.Module:
    """Return the network that `saved` stores, or one that differs from it."""
    return nn.Sequential(nn.Linear(3, width), activation(), nn.Linear(width, 2))


def saved(folder: Path) -> Path:
    """Return the file of an MLP in a memory."""
    return ho.save(ho.to_quantum(mlp(), "memory"), folder / "network.ho")


def with_members(path: Path, change: Callable[[dict[str, bytes]], object]) -> Path:
    """Change the members of a file and write it again with a matching digest."""
    members = archive.read_archive(path)
    change(members)
    return archive.write_archive(path, members)


def with_meta(path: Path, change: Callable[[dict], object]) -> Path:
    """Change the metadata of a file and write it again with a matching digest."""

    def changed(members: dict[str, bytes]) -> None:
        meta = json.loads(members[archive.FIRST])
        change(meta)
        members[archive.FIRST] = json.dumps(meta).encode()

    return with_members(path, changed)
