"""How far a network in a subspace has moved."""

from __future__ import annotations

import torch
from torch.nn.utils import parameters_to_vector

import hybridopt as ho

from .networks import RECIPES


def travelled(quantum: ho.QuantumNetwork) -> torch.Tensor:
    """From the weights that "mlp-double" starts with, shape ``(M,)``."""
    start, now = RECIPES["mlp-double"]().network, ho.to_classical(quantum)
    return (
        parameters_to_vector(now.parameters()) - parameters_to_vector(start.parameters())
    ).detach()


def moves_of_training(case, quantum: ho.QuantumNetwork) -> torch.Tensor:
    """Where twelve steps of Adam stand, shape ``(12, M)``."""
    optimizer = torch.optim.Adam(quantum.parameters(), lr=0.1)
    moves = []
    for _ in range(12):
        optimizer.zero_grad()
        case.loss(quantum).backward()
        optimizer.step()
        moves.append(travelled(quantum))
    return torch.stack(moves)
