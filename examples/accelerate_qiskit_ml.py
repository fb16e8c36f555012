"""Acceleration of a program for qiskit-machine-learning: the same losses in less time.

The program trains an EstimatorQNN in a TorchConnector to distinguish two species of iris. It runs
unchanged, with one changed line, with two changed lines, and as a layer from `from_qnn`.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass

import torch
from qiskit.circuit.library import real_amplitudes, zz_feature_map
from qiskit_machine_learning.circuit.library import qnn_circuit
from qiskit_machine_learning.connectors import TorchConnector
from qiskit_machine_learning.neural_networks import EstimatorQNN
from rich.console import Console
from rich.table import Table
from sklearn.datasets import load_iris
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from hybridopt import from_qnn
from hybridopt.qiskit_ml import AerEstimator, AerEstimatorGradient

BATCH_SIZE = 16
LEARNING_RATE = 0.1


@dataclass(frozen=True)
class Outcome:
    """Result of a training run."""

    losses: list[float]
    weights: Tensor
    seconds: float


def make_data() -> tuple[Tensor, Tensor]:
    """Return four features in [0, 1], and +1 or -1 for the two species that overlap."""
    features, kinds = load_iris(return_X_y=True)
    x = torch.tensor(features[kinds > 0], dtype=torch.float32)
    x = (x - x.amin(0)) / (x.amax(0) - x.amin(0))
    return x, torch.tensor(2.0 * kinds[kinds > 0] - 3, dtype=torch.float32)[:, None]


def make_network(depth: int = 3, **plug_ins: object) -> EstimatorQNN:
    """Return a network with four qubits and 4 (depth + 1) weights."""
    circuit, inputs, weights = qnn_circuit(
        feature_map=zz_feature_map(4), ansatz=real_amplitudes(4, reps=depth)
    )
    return EstimatorQNN(circuit=circuit, input_params=inputs, weight_params=weights, **plug_ins)


def train(module: nn.Module, x: Tensor, y: Tensor, *, steps: int, seed: int = 0) -> Outcome:
    """Train with Adam on random batches."""
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(module.parameters(), lr=LEARNING_RATE)
    losses = []
    started = time.perf_counter()
    for _ in range(steps):
        batch = torch.randperm(len(x), generator=generator)[:BATCH_SIZE]
        optimizer.zero_grad()
        loss = mse_loss(module(x[batch]), y[batch])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    seconds = time.perf_counter() - started
    return Outcome(losses, module.weight.detach().clone(), seconds)


def race(steps: int, depth: int = 3) -> dict[str, Outcome]:
    """Train all forms of the program from equal weights on equal batches."""
    x, y = make_data()
    generator = torch.Generator().manual_seed(1)
    start = (torch.rand(4 * (depth + 1), generator=generator) - 0.5).numpy()
    gradient = {"gradient": AerEstimatorGradient()}
    both = {**gradient, "estimator": AerEstimator()}
    forms = {
        "unchanged": TorchConnector(make_network(depth), start),
        "one line": TorchConnector(make_network(depth, **gradient), start),
        "two lines": TorchConnector(make_network(depth, **both), start),
        "from_qnn": from_qnn(make_network(depth), initial=start),
        "adjoint": from_qnn(make_network(depth), gradient="adjoint", initial=start),
    }
    outcomes = {}
    for name, module in forms.items():
        outcomes[name] = train(module, x, y, steps=steps)
        print(f"{name}: {outcomes[name].seconds:.2f} s", flush=True)
    return outcomes


def show(outcomes: dict[str, Outcome], steps: int) -> None:
    """Print the times, and the differences between the runs."""
    first = next(iter(outcomes.values()))
    table = Table("program", "ms per step", "speed-up", "last loss", "loss difference", "weights")
    for name, outcome in outcomes.items():
        apart = max(abs(a - b) for a, b in zip(outcome.losses, first.losses, strict=True))
        table.add_row(
            name,
            f"{1e3 * outcome.seconds / steps:.1f}",
            f"{first.seconds / outcome.seconds:.0f}",
            f"{outcome.losses[-1]:.6f}",
            f"{apart:.0e}",
            f"{(outcome.weights - first.weights).abs().max():.0e}",
        )
    table.title = f"{steps} steps of Adam, {first.weights.numel()} weights, batches of {BATCH_SIZE}"
    table.caption = (
        "one line: EstimatorQNN(gradient=AerEstimatorGradient()); two lines: and "
        "estimator=AerEstimator(); from_qnn: from_qnn(qnn); adjoint: from_qnn(qnn, "
        'gradient="adjoint"). Last columns: largest difference from the first program, which '
        "uses single precision."
    )
    Console().print(table)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--steps", type=int, default=20, help="number of training steps (default: 20)"
    )
    parser.add_argument(
        "--depth", type=int, default=3, help="number of layers of weights (default: 3)"
    )
    given = parser.parse_args(arguments)
    show(race(given.steps, given.depth), given.steps)


if __name__ == "__main__":
    main()
