"""Checks of an experiment with its first seed, before the first training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import nn

from hybridopt._copies import copy_module
from hybridopt._inputs import take_rows
from hybridopt.bridges import to_classical
from hybridopt.compare.budget import Budget, check_budget
from hybridopt.compare.evaluation import evaluate
from hybridopt.compare.executors import NO_CIRCUIT, executor_label, label_of, set_executor
from hybridopt.compare.methods import Method
from hybridopt.compare.resampling import Experiment, validation_split
from hybridopt.compare.stage_setup import (
    experiment_of,
    stage_budgets,
    stage_networks,
    stage_optimizer,
    wrap_network,
)
from hybridopt.data import Dataset
from hybridopt.errors import ArgumentError, HybridOptError
from hybridopt.execution import Executor
from hybridopt.training.batches import part_batches
from hybridopt.training.loop import executors_of
from hybridopt.training.objective import choose_loss
from hybridopt.training.sanity_check import check_fit


@dataclass(frozen=True)
class CheckedMethod:
    """Budgets and executors of the stages of a method, and that of the judge."""

    budgets: list[Budget]
    executors: list[str]
    judged: str | None  # None without a judge, or if the method ends without a circuit


def check_experiment(
    experiment: Experiment, methods: Sequence[Method], seed: int
) -> tuple[Dataset, dict[str, CheckedMethod]]:
    """Check data, networks and methods with one seed; return data and checked methods by name."""
    drawn: dict[int, tuple[Dataset, nn.Module]] = {}  # by the identity of the network's source
    checked = {}
    if any(method.network is None for method in methods):
        drawn[id(experiment.network)] = _check_network(experiment, seed)
    for method in methods:
        own = experiment_of(experiment, method)
        try:
            if id(own.network) not in drawn:
                drawn[id(own.network)] = _check_network(own, seed)
            data, network = drawn[id(own.network)]
            checked[method.name] = _check_method(own, method, data, network, seed)
        except HybridOptError as error:
            raise type(error)(f"Method {method.name!r}: {error}") from error
    if experiment.judge is not None and not any(one.judged for one in checked.values()):
        raise ArgumentError(
            "`judge` must be None, because no method ends with a circuit. Add a method with a "
            'bridge, such as "memory+adam", or circuits to the network.'
        )
    return data, checked


def _check_network(experiment: Experiment, seed: int) -> tuple[Dataset, nn.Module]:
    """Check data and network together; return those of the seed."""
    data, network = experiment.draw(seed)
    assert data.test is not None
    validation_split(data, experiment.tuning.validation_fraction, seed)
    largest = None
    if data.task == "classification":
        largest = max(int(data.train.y.max()), int(data.test.y.max()))
    samples = next(part_batches(data.train, 32))
    check_fit(network, samples, choose_loss(experiment.loss, data.task), largest)
    if not any(isinstance(executor, Executor) for executor in executors_of(network)):
        evaluate(network, data.test, experiment.loss, data.task)
    return data, network


def _check_method(
    experiment: Experiment, method: Method, data: Dataset, network: nn.Module, seed: int
) -> CheckedMethod:
    x = data.train.x
    networks = stage_networks(experiment, method, network, seed)
    limits = stage_budgets(method, experiment.budget, networks, x)
    executors = list(map(label_of, networks))
    if method.has_executors and set(executors) == {NO_CIRCUIT}:
        raise ArgumentError(
            "`executor` must be None, because the method runs no circuit (got "
            f"{executor_label(experiment.make_executor(seed, method.stages[0].executor))}). Name a "
            "bridge in the method, or leave `executor` out."
        )
    for stage, part, wrapped in zip(method.stages, limits, networks, strict=True):
        optimizer = stage_optimizer(wrapped, stage)
        if stage.optimizer == "gd" and stage.step_samples is not None:
            size = stage.step_samples
            raise ArgumentError(f'`batch_size` of "gd" must be None (got {size}). Use "sgd".')
        if stage.scheduler is not None and part.epochs is None:
            raise ArgumentError(
                f"`budget` must limit epochs for scheduler {stage.scheduler!r} "
                f"(got {experiment.budget}). Add for example 10 epochs."
            )
        check_budget(wrapped, optimizer, part, take_rows(x, slice(stage.step_samples)))
    return CheckedMethod(limits, executors, _check_judge(experiment, method, networks, seed))


def _check_judge(
    experiment: Experiment, method: Method, networks: Sequence[nn.Module], seed: int
) -> str | None:
    """Check that the judge can run the trained network; return its label there."""
    if experiment.judge is None or label_of(networks[-1]) == NO_CIRCUIT:
        return None
    executor = experiment.make_judge(seed)
    last, network = method.stages[-1], networks[-1]
    try:
        if last.bridge is not None:  # the judge needs no gradient rule of the method
            plain, bare = to_classical(network), replace(last, gradient="parameter-shift")
            network = wrap_network(experiment, plain, bare, seed, executor)
        else:
            network = copy_module(network, user="`compare`", after_forward=True)
        set_executor(network, executor, trains=False)
    except HybridOptError as error:
        raise type(error)(f"The `judge` cannot run the trained network. {error}") from error
    return label_of(network)
