"""What a training step spends, and whether a budget can be spent at all."""

from __future__ import annotations

from torch import nn

from hybridopt.bridges import QuantumNetwork
from hybridopt.errors import ArgumentError
from hybridopt.execution import Cost, Executor
from hybridopt.study.comparison.budget import Budget
from hybridopt.training.loop import executors_of


def check_can_be_spent(network: nn.Module, budget: Budget, samples: int) -> None:
    """Refuse a budget that the network never uses up, or that is less than one step.

    Raises:
        ArgumentError: With the way out.
    """
    limits = budget.limits()
    for unit in ("settings", "shots"):
        if unit not in limits:
            continue
        step = step_cost(network, samples)
        needed = getattr(step, unit)
        if needed > limits[unit]:
            raise ArgumentError(
                f"one step takes {needed:,} {unit}, but the budget is {limits[unit]:,.0f}. "
                "Raise it."
            )
        if not needed and not limits.keys() & {"epochs", "seconds"}:
            reason = (
                "simulates exactly, so it takes no shots: give an executor with shots"
                if step.settings
                else f"runs no circuit, so it would spend no {unit} for ever"
            )
            raise ArgumentError(
                f"it {reason}. Give a second limit, as "
                f'"{limits[unit]:.0f} {unit}, 10 epochs"; the first to be met stops.'
            )


def step_cost(network: nn.Module, samples: int) -> Cost:
    """Settings and shots of a training step, as far as the modules tell; at least 1 for circuits.

    Layers that do not know their cost count as one setting.
    """
    total = Cost()
    inside: set[int] = set()
    for module in network.modules():
        if isinstance(module, QuantumNetwork):
            total = total + module.step_cost(samples)
            inside |= {id(executor) for executor in executors_of(module)}
    for executor in executors_of(network):
        if id(executor) not in inside and isinstance(executor, Executor):
            total = total + Cost(1, executor.shots or 0, 1)
    return total
