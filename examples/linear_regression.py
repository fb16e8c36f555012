"""Linear regression: gradient descent step by step, then a comparison of all optimizers.

The loss is a quadratic function of one weight and one bias. All results can be checked by hand:
gradient descent follows a closed form, and Newton's method needs a single step.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from hybridopt import optim

NUM_POINTS = 100
BATCH_SIZE = 10  # points per step of stochastic gradient descent
CLOSE = 1e-6  # relative difference from the least-squares loss


@dataclass(frozen=True)
class Outcome:
    """Result of an optimizer."""

    steps: int
    calls: int
    seconds: float
    gap: float


def make_data(seed: int = 0) -> tuple[Tensor, Tensor]:
    """Return points around the line y = 2 x + 1."""
    generator = torch.Generator().manual_seed(seed)
    x = 2 * torch.rand(NUM_POINTS, 1, generator=generator, dtype=torch.float64) - 1
    noise = 0.1 * torch.randn(NUM_POINTS, 1, generator=generator, dtype=torch.float64)
    return x, 2 * x + 1 + noise


def make_line() -> nn.Linear:
    """Return the initial line y = 0."""
    line = nn.Linear(1, 1, dtype=torch.float64)
    nn.init.zeros_(line.weight)
    nn.init.zeros_(line.bias)
    return line


def least_squares(x: Tensor, y: Tensor) -> tuple[Tensor, float]:
    """Return the best weight and bias, and the smallest loss of a line."""
    design = torch.cat([x, torch.ones_like(x)], dim=1)
    best = torch.linalg.lstsq(design, y).solution
    return best[:, 0], mse_loss(design @ best, y).item()


def gradient_descent(x: Tensor, y: Tensor, *, steps: int = 1000, lr: float = 0.01) -> Tensor:
    """Return weight and bias after 0 to ``steps`` steps; print the loss every 100 steps."""
    line = make_line()
    optimizer = optim.create("gd", line.parameters(), lr=lr)
    path = [torch.zeros(2, dtype=torch.float64)]
    for step in range(1, steps + 1):
        optimizer.zero_grad()
        loss = mse_loss(line(x), y)
        loss.backward()
        optimizer.step()
        path.append(torch.stack([line.weight.detach().squeeze(), line.bias.detach().squeeze()]))
        if step % 100 == 0:
            print(f"step {step:4d}  loss {mse_loss(line(x), y).item():.6f}")
    return torch.stack(path)


def race(name: str, x: Tensor, y: Tensor, *, max_steps: int = 5000, seed: int = 0) -> Outcome:
    """Run an optimizer with its default learning rate until it is `CLOSE` to the optimum."""
    line, generator, calls = make_line(), torch.Generator().manual_seed(seed), 0
    optimizer = optim.create(name, line.parameters())
    _, best = least_squares(x, y)
    batch = torch.arange(NUM_POINTS)

    def closure() -> Tensor:
        nonlocal calls
        calls += 1
        loss = mse_loss(line(x[batch]), y[batch])
        if name != "newton":  # Newton computes first and second derivatives itself
            optimizer.zero_grad()
            loss.backward()
        return loss

    steps, seconds, gap = 0, 0.0, float("inf")
    while gap > CLOSE and steps < max_steps:
        if name == "sgd":
            batch = torch.randint(NUM_POINTS, (BATCH_SIZE,), generator=generator)
        started = time.perf_counter()
        optimizer.step(closure)
        seconds += time.perf_counter() - started
        steps += 1
        gap = mse_loss(line(x), y).item() / best - 1
    return Outcome(steps, calls, seconds, gap)


def main() -> None:
    x, y = make_data()
    best, loss = least_squares(x, y)
    path = gradient_descent(x, y)
    print(f"gradient descent: y = {path[-1][0]:.4f} x + {path[-1][1]:.4f}")
    print(f"least squares:    y = {best[0]:.4f} x + {best[1]:.4f}  loss {loss:.6f}\n")

    table = Table("optimizer", "lr", "steps", "loss calls", "seconds", "loss above optimum")
    for name, spec in optim.OPTIMIZERS.items():
        outcome = race(name, x, y)
        reached = "" if outcome.gap <= CLOSE else "> "
        table.add_row(
            name,
            f"{spec.default_lr:g}",
            f"{reached}{outcome.steps}",
            f"{outcome.calls}",
            f"{outcome.seconds:.3f}",
            f"{max(outcome.gap, 0):.0e}",
        )
    table.title = f"Steps to the optimum, within {CLOSE:g}"
    table.caption = f"sgd uses {BATCH_SIZE} points per step: with a fixed lr, their noise remains."
    Console().print(table)


if __name__ == "__main__":
    main()
