"""One run of a method with a seed: check, tune, train and evaluate."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader

from hybridopt import optim
from hybridopt._copies import copy_module
from hybridopt._environment import torch_threads
from hybridopt._inputs import Inputs, call, take_rows
from hybridopt._random import isolated
from hybridopt.bridges import Twin, to_classical, to_quantum
from hybridopt.bridges.readout_cache import without_readouts
from hybridopt.compare.budget import COUNTED, Budget, MeteredBatches, check_budget, step_cost
from hybridopt.compare.methods import Method, Stage
from hybridopt.compare.resampling import Experiment, validation_split
from hybridopt.compare.results import Point, Run, Trial
from hybridopt.compare.tuning import best
from hybridopt.data import Dataset, Part
from hybridopt.errors import (
    ArgumentError,
    DataError,
    HybridOptError,
    LimitError,
    TrainingError,
)
from hybridopt.execution import Cost, Executor, Metered
from hybridopt.training import EpochRecord, fit
from hybridopt.training.batches import part_batches
from hybridopt.training.loop import executors_of, outputs_on
from hybridopt.training.objective import choose_loss, metric
from hybridopt.training.sanity_check import check_fit
from hybridopt.training.weighted_loss import BatchLoss

INFERENCE_REPETITIONS = 5
INFERENCE_SECONDS = 2.0  # no further repetition after this time
MAX_EPOCHS = 10**9  # used if a budget does not limit epochs


def check_experiment(
    experiment: Experiment, methods: Sequence[Method], seed: int
) -> tuple[Dataset, dict[str, list[Budget]]]:
    """Check data, network and methods with one seed; return data and budgets of the stages."""
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
    budgets = {}
    for method in methods:
        try:
            budgets[method.name] = _check_method(experiment, method, data, network, seed)
        except HybridOptError as error:
            raise type(error)(f"Method {method.name!r}: {error}") from error
    return data, budgets


def _check_method(
    experiment: Experiment, method: Method, data: Dataset, network: nn.Module, seed: int
) -> list[Budget]:
    executor, x = experiment.make_executor(seed), data.train.x
    limits = stage_budgets(network, method, experiment.budget, executor, x, seed)
    for stage, part in zip(method.stages, limits, strict=True):
        wrapped = wrap_network(network, stage, executor, seed)
        trained = [p for p in wrapped.parameters() if p.requires_grad]
        optimizer = optim.create(stage.optimizer, trained, lr=stage.base_lr, **stage.options)
        if stage.optimizer == "gd" and stage.step_samples is not None:
            size = stage.step_samples
            raise ArgumentError(f'`batch_size` of "gd" must be None (got {size}). Use "sgd".')
        if stage.scheduler is not None and part.epochs is None:
            raise ArgumentError(
                f"`budget` must limit epochs for scheduler {stage.scheduler!r} "
                f"(got {experiment.budget}). Add for example 10 epochs."
            )
        check_budget(wrapped, optimizer, part, take_rows(x, slice(stage.step_samples)))
    return limits


def make_run(experiment: Experiment, method: Method, seed: int) -> Run:
    """Tune and train one method with one seed; return a failed run if there is an error."""
    trials: list[Trial] = []
    with torch_threads(experiment.threads), isolated(seed):  # an evaluation may draw numbers
        try:
            return _tuned_run(experiment, method, seed, trials)
        except Exception as error:  # noqa: BLE001  # a failed run is a result
            reason = f"{type(error).__name__}: {error}"
            return Run(method.name, seed, "failed", reason, trials=tuple(trials))


def _tuned_run(experiment: Experiment, method: Method, seed: int, trials: list[Trial]) -> Run:
    data, network = experiment.draw(seed)
    assert data.test is not None
    tuning, factor = experiment.tuning, 1.0
    if tuning.trials > 1:
        apart = validation_split(data, tuning.validation_fraction, seed)
        while len(trials) < tuning.trials:
            trials.append(_trial(experiment, apart, method, seed, tuning.next_factor(trials)))
        chosen = best(trials)
        if chosen is None:
            raise DataError(f"All trials of the tuning failed. Last error: {trials[-1].error}")
        factor = chosen.factor
    trained = train(experiment, network, data, method, seed, factor)
    end = trained.curve[-1]
    return Run(
        method=method.name,
        seed=seed,
        test_metric=end.test_metric,
        test_loss=end.test_loss,
        training_seconds=end.seconds,
        inference_seconds=inference_seconds(trained.network, data.test),
        steps=end.steps,
        settings=trained.cost.settings,
        shots=trained.cost.shots,
        simulator_runs=trained.cost.runs,
        trainable=trained.trainable,
        num_test=len(data.test),
        lr_factor=factor,
        rates=tuple(factor * stage.base_lr for stage in method.stages),
        trials=tuple(trials),
        curve=tuple(trained.curve),
    )


def _trial(
    experiment: Experiment, apart: Dataset, method: Method, seed: int, factor: float
) -> Trial:
    try:
        network = experiment.draw_network(apart, seed)
        trained = train(experiment, network, apart, method, seed, factor, watch=False)
    except Exception as error:  # noqa: BLE001  # a network may reject large weights
        ours = isinstance(error, HybridOptError)
        return Trial(factor, error=str(error) if ours else f"{type(error).__name__}: {error}")
    end = trained.curve[-1]
    return Trial(factor, end.test_metric, end.test_loss, end.seconds, end.settings, end.shots)


@dataclass
class Trained:
    """Network after the last stage, curve, largest number of trained parameters, and cost."""

    network: nn.Module
    curve: list[Point] = field(default_factory=list)
    trainable: int = 0
    cost: Cost = field(default_factory=Cost)


def train(
    experiment: Experiment, network: nn.Module, data: Dataset, method: Method, seed: int,
    factor: float = 1.0, *, watch: bool = True,
) -> Trained:  # fmt: skip
    """Train a network in place through all stages; evaluate it every epoch or at the end."""
    x, last, loss = data.train.x, len(method.stages) - 1, experiment.loss
    executor = experiment.make_executor(seed)
    limits = stage_budgets(network, method, experiment.budget, executor, x, seed)
    done, spent = Trained(network), Point(0, 0, 0, 0.0, 0, 0, None, None, math.nan)
    for number, (stage, part) in enumerate(zip(method.stages, limits, strict=True)):
        if number and method.stages[number - 1].bridge:
            network = to_classical(network)
        network = wrap_network(network, stage, executor, seed)
        executors = executors_of(network)
        reseed(executors, seed, number)
        if watch and not number:
            done.curve.append(_evaluated(spent, network, data, loss, "before"))
        size = stage.step_samples
        expected = step_cost(network, take_rows(x, slice(size))) if part.counts_circuits else None
        # seed of the order of samples: all methods share that of the first stage
        order = int(np.random.SeedSequence([seed, number]).generate_state(1)[0]) if number else seed
        batches = MeteredBatches(data.train, size, order, part, executors, expected)
        recorder = _Recorder(batches, spent, number, data, loss, watch, number == last)
        history = fit(
            network,
            DataLoader(batches, batch_size=None),
            optimizer=stage.optimizer,
            lr=factor * stage.base_lr,
            epochs=part.epochs or MAX_EPOCHS,
            scheduler=stage.scheduler,
            loss=loss,
            seed=order,
            callbacks=[recorder],
            **stage.options,
        )
        if history.status == "interrupted":
            raise KeyboardInterrupt
        if history.status == "limit":
            raise LimitError(history.detail)
        spent = recorder.spent()
        trained = sum(p.numel() for p in network.parameters() if p.requires_grad)
        curve, cost = done.curve + recorder.points, done.cost + history.cost
        done = Trained(network, curve, max(done.trainable, trained), cost)
    return done


@dataclass
class _Recorder:
    """Callback that records a point per epoch and stops a stage when its budget is spent."""

    batches: Any  # MeteredBatches; the run-time check does not support its base class
    before: Point
    stage: int
    data: Dataset
    loss: object
    watch: bool
    is_last: bool
    points: list[Point] = field(default_factory=list)

    def __call__(self, record: EpochRecord, network: nn.Module) -> bool:
        ended: bool = self.batches.end_epoch(record.seconds)
        if self.watch or (ended and self.is_last):
            point = replace(self.spent(), train_loss=record.train_loss)
            self.points.append(_evaluated(point, network, self.data, self.loss, "after"))
        return ended

    def spent(self) -> Point:
        """Return the costs of all stages until now."""
        one = self.batches
        now = {"epochs": one.epochs, "steps": one.steps, "seconds": one.seconds}
        now |= {"settings": one.cost.settings, "shots": one.cost.shots}
        sums = {name: getattr(self.before, name) + number for name, number in now.items()}
        return replace(self.before, stage=self.stage, **sums)


def _evaluated(point: Point, network: nn.Module, data: Dataset, loss: object, when: str) -> Point:
    assert data.test is not None
    value, score = evaluate(network, data.test, loss, data.task)
    if not math.isfinite(value) or not math.isfinite(score):
        raise TrainingError(
            f"Test loss and metric must be finite (got {value} and {score} {when} training)."
        )
    return replace(point, test_loss=value, test_metric=score)


def wrap_network(network: nn.Module, stage: Stage, executor: Executor, seed: int) -> nn.Module:
    """Encode the network with the bridge of the stage, if it has one."""
    if stage.bridge is None:
        return network
    bridge = stage.bridge if stage.seeded else _seeded(stage.bridge, seed)
    return to_quantum(network, bridge, executor=executor, gradient=stage.gradient)


def _seeded(bridge: Any, seed: int) -> Any:
    """Return the bridge with this seed; a twin gets the seed of its bridge."""
    if isinstance(bridge, Twin):
        return Twin(of=_seeded(bridge.of, seed))
    return replace(bridge, seed=seed) if hasattr(bridge, "seed") else bridge


def stage_budgets(
    network: nn.Module, method: Method, budget: Budget, executor: Executor, x: Inputs, seed: int
) -> list[Budget]:
    """Return the budgets of the stages; stages with circuits share settings and shots."""
    if len(method.stages) == 1 or not budget.counts_circuits:
        return budget.parts(method.shares)
    steps = [
        step_cost(
            wrap_network(network, stage, executor, seed), take_rows(x, slice(stage.step_samples))
        )
        for stage in method.stages
    ]
    spending = {unit: [getattr(step, unit) > 0 for step in steps] for unit in COUNTED}
    return budget.parts(method.shares, spending)


def reseed(executors: Sequence[Metered], seed: int, stage: int) -> None:
    """Set the random streams of a run, independent of earlier runs."""
    for number, executor in enumerate(executors):
        own = getattr(executor, "seed", None) or 0
        words = np.random.SeedSequence([own, seed, stage, number]).generate_state(4)
        entropy = int.from_bytes(words.tobytes(), "little")
        executor.load_state_dict({**executor.state_dict(), "entropy": hex(entropy), "calls": 0})


@torch.no_grad()
def evaluate(network: nn.Module, part: Part, loss: object, task: str) -> tuple[float, float]:
    """Return loss and metric on samples, in evaluation mode."""
    outputs, y, weight = outputs_on(network, part_batches(part))
    function = choose_loss(loss, task)
    score = metric(outputs, y, function, weight)
    if score is None:
        raise DataError(
            "Accuracy or R^2 cannot be computed from outputs of shape "
            f"{tuple(outputs.shape)} and targets of shape {tuple(part.y.shape)}. "
            "Check that the targets are not constant."
        )
    return BatchLoss(function)(outputs, y, weight).item(), score


@torch.no_grad()
def inference_seconds(network: nn.Module, part: Part) -> float:
    """Return the median time for all samples, measured with copies without cached readouts."""
    seconds: list[float] = []
    while len(seconds) < INFERENCE_REPETITIONS and sum(seconds) < INFERENCE_SECONDS:
        copied = copy_module(network, user="`compare`", after_forward=True)
        fresh = without_readouts(copied).eval()
        began = time.perf_counter()
        for batch in part_batches(part):
            call(fresh, batch.x)
        seconds.append(time.perf_counter() - began)
    return median(seconds)
