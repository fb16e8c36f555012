"""One run of a method with a seed: check, tune, train and evaluate."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader

from hybridopt._environment import torch_threads
from hybridopt._inputs import take_rows
from hybridopt._random import isolated
from hybridopt.bridges import to_classical
from hybridopt.compare.budget import MeteredBatches, step_cost
from hybridopt.compare.evaluation import Verdict, evaluate, inference_seconds, judge
from hybridopt.compare.executors import reseed, set_executor
from hybridopt.compare.methods import Method
from hybridopt.compare.resampling import Experiment, validation_split
from hybridopt.compare.results import Point, Run, Trial
from hybridopt.compare.stage_setup import (
    experiment_of,
    stage_budgets,
    stage_networks,
    stage_optimizer,
    stage_schedule,
    wrap_network,
)
from hybridopt.compare.tuning import best
from hybridopt.data import Dataset
from hybridopt.errors import DataError, HybridOptError, LimitError, TrainingError
from hybridopt.execution import Cost
from hybridopt.training import EpochRecord, fit
from hybridopt.training.loop import executors_of

INFERENCE_REPETITIONS = 5
INFERENCE_SECONDS = 2.0  # no further repetition after this time
MAX_EPOCHS = 10**9  # used if a budget does not limit epochs


def make_run(experiment: Experiment, method: Method, seed: int) -> Run:
    """Tune and train one method with one seed; return a failed run if there is an error."""
    trials: list[Trial] = []
    experiment = experiment_of(experiment, method)
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
    verdict = judge(experiment, trained.network, data, seed)
    return Run(
        method=method.name,
        seed=seed,
        **_test_results(end, verdict),
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


def _test_results(end: Point, verdict: Verdict | None) -> dict[str, Any]:
    """Return the fields of a run with its results on the test part."""
    if verdict is None:
        return {"test_metric": end.test_metric, "test_loss": end.test_loss}
    return {
        "test_metric": verdict.metric,
        "test_loss": verdict.loss,
        "metric_error": verdict.error,
        "judgements": verdict.evaluations,
        "judging_seconds": verdict.seconds,
        "judging_settings": verdict.cost.settings,
        "judging_shots": verdict.cost.shots,
    }


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
    networks: list[nn.Module] = []
    if experiment.budget.counts_circuits:
        networks = stage_networks(experiment, method, network, seed)
    limits = stage_budgets(method, experiment.budget, networks, x)
    done, spent = Trained(network), Point(0, 0, 0, 0.0, 0, 0, None, None, math.nan)
    for number, (stage, part) in enumerate(zip(method.stages, limits, strict=True)):
        # seed of the order of samples: all methods share that of the first stage
        order = int(np.random.SeedSequence([seed, number]).generate_state(1)[0]) if number else seed
        if stage.continues:
            set_executor(network, experiment.make_executor(seed, stage.executor))
        else:
            if number and method.stages[number - 1].bridge:
                network = to_classical(network)
            network = wrap_network(experiment, network, stage, seed, stage.executor)
            generator = torch.Generator().manual_seed(order)
            optimizer = stage_optimizer(network, stage, factor)
        executors = executors_of(network)
        reseed(executors, seed, number)
        if watch and not number:
            done.curve.append(_evaluated(spent, network, data, loss, "before"))
        size = stage.step_samples
        expected = step_cost(network, take_rows(x, slice(size))) if part.counts_circuits else None
        batches = MeteredBatches(data.train, size, generator, part, executors, expected)
        if not stage.continues:
            schedule = stage_schedule(method, number, limits, optimizer, len(batches))
        recorder = _Recorder(batches, spent, number, data, loss, watch, number == last)
        history = fit(
            network,
            DataLoader(batches, batch_size=None),
            optimizer=optimizer,
            epochs=part.epochs or MAX_EPOCHS,
            scheduler=schedule,
            loss=loss,
            seed=order,
            callbacks=[recorder],
            progress=False,
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
