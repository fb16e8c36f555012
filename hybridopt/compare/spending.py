"""What a training step spends, and whether a budget can be spent, and kept, at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.optim import LBFGS, Optimizer

from hybridopt._modules import run_on_meta
from hybridopt.bridges import QuantumNetwork
from hybridopt.compare.budget import Budget
from hybridopt.compare.methods import Method, Stage
from hybridopt.compare.stage_setup import batch_size, enter
from hybridopt.errors import ArgumentError
from hybridopt.execution import Cost, Executor
from hybridopt.nn import CircuitLayer
from hybridopt.optim import Newton

COUNTED = ("settings", "shots")


def check_can_be_spent(network: nn.Module, optimizer: Optimizer, budget: Budget, x: Tensor) -> None:
    """Refuse a budget that is never used up, is less than one step, or cannot be kept.

    Args:
        network: What is trained.
        optimizer: By what.
        budget: Its own.
        x: Samples of one step.

    Raises:
        ArgumentError: With the way out.
    """
    if not budget.counts_circuits:
        return
    limits, step = budget.limits(), step_cost(network, x)
    for unit in COUNTED:
        if unit not in limits:
            continue
        needed = getattr(step, unit)
        if needed and isinstance(optimizer, Newton | LBFGS):
            raise ArgumentError(
                f"{type(optimizer).__name__} evaluates circuits as often as it needs within a "
                f"step, so a budget of {unit} cannot be kept. Give epochs or seconds instead, or "
                "take an optimizer with one gradient a step, such as adam."
            )
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


def stage_budgets(
    network: nn.Module, method: Method, budget: Budget, executor: Executor, x: Tensor, seed: int
) -> list[Budget]:
    """The parts of a budget, settings and shots cut among the stages that spend them.

    Args:
        network: The plain network; is not changed.
        method: Of the stages.
        budget: In all.
        executor: Of the circuits.
        x: What is trained on.
        seed: Of the run.
    """
    if len(method.stages) == 1 or not budget.counts_circuits:
        return budget.parts(method.shares)
    steps = [
        step_cost(enter(network, stage, executor, seed), samples_of_a_step(stage, x))
        for stage in method.stages
    ]
    spending = {unit: [getattr(step, unit) > 0 for step in steps] for unit in COUNTED}
    return budget.parts(method.shares, spending)


def samples_of_a_step(stage: Stage, x: Tensor) -> Tensor:
    """As many samples as a step of the stage sees."""
    return x[: batch_size(stage)]


def step_cost(network: nn.Module, x: Tensor) -> Cost:
    """Settings and shots of a training step on samples; nothing is run.

    The network is traced on torch's meta device, which tells how many vectors reach each layer. A
    network that cannot be traced, and bridges before their first pass, are taken to send one for
    each sample; layers that do not know their cost count as one setting.

    Args:
        network: What is trained.
        x: The samples of a step.
    """
    total = Cost()
    known: set[nn.Module] = set()
    with _costs_of_layers(network, x) as layers:
        for layer in layers:
            total = total + layer
    for module in network.modules():
        if isinstance(module, QuantumNetwork):
            total = total + (module.step_cost(len(x)) or Cost(1, 1, 1))
            known |= set(module.modules())
    for module in network.modules():
        executor = getattr(module, "executor", None)
        if isinstance(module, CircuitLayer) or module in known:
            continue
        if isinstance(executor, Executor):
            total = total + Cost(1, executor.shots or 0, 1)
    return total


@contextmanager
def _costs_of_layers(network: nn.Module, x: Tensor) -> Iterator[list[Cost]]:
    """Of the circuit layers, call by call, where the network can be traced."""
    inside = {  # of a quantum network, which counts them itself
        part
        for module in network.modules()
        if isinstance(module, QuantumNetwork)
        for part in module.modules()
    }
    layers = [
        module
        for module in network.modules()
        if isinstance(module, CircuitLayer) and module not in inside
    ]
    calls: list[Cost] = []

    def note(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(layer, CircuitLayer)
        (given,) = inputs
        count = given[..., 0].numel() if given.shape[-1] else len(x)
        calls.append(layer.step_cost(count, input_gradient=given.requires_grad))

    hooks = [layer.register_forward_pre_hook(note) for layer in layers]
    try:
        with torch.enable_grad(), torch.random.fork_rng(devices=[]):
            run_on_meta(network, x)
    except Exception:  # noqa: BLE001  # not every operation has a meta form
        calls = [layer.step_cost(len(x)) for layer in layers]
    finally:
        for hook in hooks:
            hook.remove()
    yield calls
