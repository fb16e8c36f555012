"""Network, budget, optimizer and learning-rate schedule of each stage of a method."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import takewhile
from typing import Any

from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from hybridopt import optim
from hybridopt._copies import copy_module
from hybridopt._inputs import Inputs, take_rows
from hybridopt.bridges import Twin, to_quantum
from hybridopt.compare.budget import COUNTED, Budget, step_cost
from hybridopt.compare.executors import ExecutorSource, set_executor
from hybridopt.compare.methods import Method, Stage
from hybridopt.compare.resampling import Experiment
from hybridopt.training.loop import executors_of
from hybridopt.training.schedulers import create_schedule


def experiment_of(experiment: Experiment, method: Method) -> Experiment:
    """Return the experiment with the network of a method, if it has its own."""
    return experiment if method.network is None else replace(experiment, network=method.network)


def wrap_network(
    experiment: Experiment, network: nn.Module, stage: Stage, seed: int, source: ExecutorSource
) -> nn.Module:
    """Return the network of a stage: a copy on the executor of the source, then encoded."""
    executor = experiment.make_executor(seed, source)
    if source is not None and executors_of(network):
        network = copy_module(network, user="`compare`", after_forward=True)
        set_executor(network, executor)
    if stage.bridge is None:
        return network
    bridge = stage.bridge if stage.seeded else _seeded(stage.bridge, seed)
    return to_quantum(network, bridge, executor=executor, gradient=stage.gradient)


def _seeded(bridge: Any, seed: int) -> Any:
    """Return the bridge with this seed; a twin gets the seed of its bridge."""
    if isinstance(bridge, Twin):
        return Twin(of=_seeded(bridge.of, seed))
    return replace(bridge, seed=seed) if hasattr(bridge, "seed") else bridge


def stage_networks(
    experiment: Experiment, method: Method, network: nn.Module, seed: int
) -> list[nn.Module]:
    """Return the network of each stage with its executor, untrained."""
    return [wrap_network(experiment, network, one, seed, one.executor) for one in method.stages]


def stage_budgets(
    method: Method, budget: Budget, networks: Sequence[nn.Module], x: Inputs
) -> list[Budget]:
    """Return the budgets of the stages; stages with circuits share settings and shots."""
    if len(method.stages) == 1 or not budget.counts_circuits:
        return budget.parts(method.shares)
    steps = [
        step_cost(network, take_rows(x, slice(stage.step_samples)))
        for network, stage in zip(networks, method.stages, strict=True)
    ]
    spending = {unit: [getattr(step, unit) > 0 for step in steps] for unit in COUNTED}
    return budget.parts(method.shares, spending)


def stage_optimizer(network: nn.Module, stage: Stage, factor: float = 1.0) -> Optimizer:
    """Return the optimizer of a stage for the trained parameters."""
    trained = [p for p in network.parameters() if p.requires_grad]
    return optim.create(stage.optimizer, trained, lr=factor * stage.base_lr, **stage.options)


def stage_schedule(
    method: Method, number: int, limits: Sequence[Budget], optimizer: Optimizer, steps: int
) -> LRScheduler | None:
    """Return the learning-rate schedule of a stage, for all its executors that take turns."""
    stages = method.stages[number + 1 :]
    turns = 1 + len(list(takewhile(lambda stage: stage.continues, stages)))
    epochs = sum(part.epochs or 0 for part in limits[number : number + turns])
    made = create_schedule(method.stages[number].scheduler, optimizer, epochs=epochs, steps=steps)
    return None if made is None else made.scheduler
