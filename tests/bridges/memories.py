"""A small network in the memory circuit, and what it computes written out."""

from __future__ import annotations

import numpy as np
import torch
from qiskit.quantum_info import Statevector
from torch.func import functional_call

import hybridopt as ho

from .networks import RECIPES

NUM_WEIGHTS, NUM_PLACES = 5 * 3 + 5 + 2 * 5 + 2, 32


def moved(quantum: ho.QuantumNetwork, seed: int = 0) -> ho.QuantumNetwork:
    """The same network with angles that are all different."""
    generator = torch.Generator().manual_seed(seed)
    shifts = torch.randn(quantum.angles.shape, generator=generator, dtype=torch.float64)
    quantum.angles.data += 0.5 * shifts
    return quantum


def quantum_mlp(**options) -> ho.QuantumNetwork:
    return moved(ho.to_quantum(RECIPES["mlp-double"]().network, **options))


def closed_form(quantum, angles: torch.Tensor) -> dict[str, torch.Tensor]:
    """w0 - rho sin(delta), tensor by tensor, written out."""
    weights, start = {}, 0
    for (name, origin), scale in zip(quantum.origin.named_buffers(), quantum.scales, strict=True):
        piece = angles[start : start + origin.numel()].view(origin.shape)
        weights[name.replace("/", ".")] = origin - scale * torch.sin(piece)
        start += origin.numel()
    return weights


def closed_form_loss(case, quantum, angles: torch.Tensor) -> torch.Tensor:
    outputs = functional_call(case.network, closed_form(quantum, angles), (case.x,))
    return (outputs - 0.5).square().mean()


def readout(circuit) -> np.ndarray:
    probabilities = Statevector(circuit).probabilities().reshape(2, -1)
    return (probabilities[0] - probabilities[1]) * probabilities.shape[1]


def hessian_by_rows(case, quantum) -> torch.Tensor:
    """Of the loss by the angles, all rows in one call of autograd."""
    (gradient,) = torch.autograd.grad(case.loss(quantum), quantum.angles, create_graph=True)
    basis = torch.eye(quantum.angles.numel(), dtype=torch.float64)
    (rows,) = torch.autograd.grad(gradient, quantum.angles, basis, is_grads_batched=True)
    return rows
