"""Modules with circuits that the tests of files share."""

from __future__ import annotations

from pathlib import Path

from torch import nn

import hybridopt as ho


def entangler(**arguments: object) -> ho.CircuitLayer:
    """A circuit layer of four inputs and four outputs."""
    return ho.CircuitLayer(*ho.load_circuit("basic_entangler"), **arguments)


def mixed() -> nn.Module:
    """Layers, a circuit layer and a memory, two of them used twice, on one executor."""
    shared = nn.Linear(4, 4)
    shared.bias.requires_grad_(False)
    circuit = entangler(executor=ho.AerExecutor(shots=64, seed=5))
    quantum = ho.to_quantum(nn.Linear(4, 4), "memory", executor=circuit.executor)
    return nn.Sequential(nn.Linear(3, 4), shared, nn.GELU(), circuit, quantum, shared, quantum)


def saved(folder: Path) -> Path:
    """The file of an MLP in a memory."""
    quantum = ho.to_quantum(nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)), "memory")
    return ho.save(quantum, folder / "network.ho")
