"""Small network in a memory circuit, and its closed form."""

from __future__ import annotations

import numpy as np
import torch
from qiskit.quantum_info import Statevector
from scipy.linalg import hadamard
from scipy.stats import binom
from torch.func import functional_call

import hybridopt as ho

from .networks import RECIPES

NUM_WEIGHTS, NUM_PLACES = 5 * 3 + 5 + 2 * 5 + 2, 32


def moved(quantum: ho.QuantumNetwork, seed: int = 0) -> ho.QuantumNetwork:
    """Return the network with different angles."""
    generator = torch.Generator().manual_seed(seed)
    shifts = torch.randn(quantum.angles.shape, generator=generator, dtype=torch.float64)
    quantum.angles.data += 0.5 * shifts
    return quantum


def quantum_mlp(**options) -> ho.QuantumNetwork:
    return moved(ho.to_quantum(RECIPES["mlp-double"]().network, **options))


def dense_columns(columns: torch.Tensor) -> torch.Tensor:
    """Return the Walsh columns on all places, from scipy."""
    return torch.from_numpy(hadamard(NUM_PLACES)[:, columns.numpy()] / np.sqrt(len(columns)))


def check_moments(samples: np.ndarray, cosines: np.ndarray, shots: int) -> None:
    """Compare sampled cosines in 8 places with the stated mean and variance, within 5 sigma."""
    never = (1 - 1 / 8) ** shots
    numbers = np.arange(1, shots + 1)
    inverse = np.sum(binom.pmf(numbers, shots, 1 / 8) / numbers)
    mean = (1 - never) * cosines
    variance = (1 - cosines**2) * inverse + cosines**2 * never * (1 - never)
    squares = (samples - mean) ** 2
    assert np.all(np.abs(samples.mean(0) - mean) <= 5 * np.sqrt(variance / len(samples)))
    spread = squares.std(0) / np.sqrt(len(samples))
    assert np.all(np.abs(squares.mean(0) - variance) <= 5 * spread)


def closed_form(quantum, angles: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return w0 - rho sin(delta), tensor by tensor; in sparse form from dense Walsh columns."""
    weights, start = {}, 0
    if quantum.source.columns is not None:
        angles = dense_columns(quantum.source.columns) @ angles
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
    """Return the Hessian of the loss, all rows in one call of autograd."""
    (gradient,) = torch.autograd.grad(case.loss(quantum), quantum.angles, create_graph=True)
    basis = torch.eye(quantum.angles.numel(), dtype=torch.float64)
    (rows,) = torch.autograd.grad(gradient, quantum.angles, basis, is_grads_batched=True)
    return rows
