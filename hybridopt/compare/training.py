"""One method trained once, on given data, with given learning rates."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import nn

from hybridopt.bridges import Bridge, Twin, to_classical, to_quantum
from hybridopt.compare.budget import Budget
from hybridopt.compare.budget_tracking import COUNTED, BudgetMeter, MeteredBatches, step_cost
from hybridopt.compare.methods import Method, Stage
from hybridopt.compare.resampling import evaluation_mode
from hybridopt.compare.results import Point
from hybridopt.data import Dataset, Part
from hybridopt.errors import DataError, TrainingError
from hybridopt.execution import Cost, Executor, Metered
from hybridopt.training import EpochRecord, fit
from hybridopt.training.loop import EVALUATION_BATCH, executors_of
from hybridopt.training.objective import Loss, as_scalar, choose_loss, metric

INFERENCE_REPETITIONS = 5
INFERENCE_SECONDS = 2.0  # no further repetition after these
MAX_EPOCHS = 10**9  # where only seconds, settings or shots are bounded


@dataclass(frozen=True)
class Trained:
    """The network of the last stage, the most trainable numbers, the curve, and what it cost."""

    network: nn.Module
    curve: tuple[Point, ...]
    trainable: int
    cost: Cost


def train(
    network: nn.Module,
    data: Dataset,
    method: Method,
    *,
    factor: float,
    budget: Budget,
    seed: int,
    executor: Executor,
    loss: object,
    watch: bool = True,
) -> Trained:
    """Train a network through all stages of a method.

    Args:
        network: The plain network; it is changed.
        data: Trained on ``data.train``, evaluated on ``data.test``, which costs neither time nor
            settings here.
        method: What to do.
        factor: Of all base learning rates.
        budget: Of the whole method.
        seed: Of the order of the samples, of dropout and of sampling.
        executor: Of the circuits.
        loss: As `hybridopt.fit` takes it.
        watch: Evaluate after every epoch; without, once at the end.

    Raises:
        HybridOptError: Whatever keeps training from its end.
        KeyboardInterrupt: On Ctrl-C.
    """
    x, last = data.train.x, len(method.stages) - 1
    spent, points = Point(0, 0, 0, 0.0, 0, 0, None, None, math.nan), []
    trainable, cost = 0, Cost()
    limits = stage_budgets(network, method, budget, executor, x, seed)
    for number, (stage, part) in enumerate(zip(method.stages, limits, strict=True)):
        start = to_classical(network) if number and method.stages[number - 1].bridge else network
        network = wrap_network(start, stage, executor, seed)
        executors = executors_of(network)
        reseed(executors, seed, number)
        if watch and not number:
            points.append(_evaluated(spent, network, data, loss, "before"))
        foretold = step_cost(network, x[: stage.step_samples]) if part.counts_circuits else Cost()
        meter = BudgetMeter(part, executors, foretold)
        recorder = _Recorder(meter, replace(spent, stage=number), data, loss, watch, number == last)
        # of the order of the samples: the run's own for a first stage, so all methods share it
        order = int(np.random.SeedSequence([seed, number]).generate_state(1)[0]) if number else seed
        history = fit(
            network,
            MeteredBatches(data.train, stage.step_samples, order, meter).loader(),
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
        spent, cost = recorder.spent(), cost + history.cost
        points += recorder.points
        trainable = max(trainable, sum(p.numel() for p in network.parameters() if p.requires_grad))
    return Trained(network, tuple(points), trainable, cost)


@dataclass
class _Recorder:
    """The points of one stage, noted after epochs; it ends the stage where its budget ends."""

    meter: BudgetMeter
    before: Point
    data: Dataset
    loss: object
    watch: bool
    is_last: bool
    points: list[Point] = field(default_factory=list)

    def __call__(self, record: EpochRecord, network: nn.Module) -> bool:
        self.meter.end_epoch(record.seconds)
        ended = self.meter.exceeded()
        if self.watch or (ended and self.is_last):
            point = replace(self.spent(), train_loss=record.train_loss)
            self.points.append(_evaluated(point, network, self.data, self.loss, "after"))
        return ended

    def spent(self) -> Point:
        """Up to now, in all stages."""
        before, meter = self.before, self.meter
        return replace(
            before,
            epochs=before.epochs + meter.epochs,
            steps=before.steps + meter.steps,
            seconds=before.seconds + meter.seconds,
            settings=before.settings + meter.cost.settings,
            shots=before.shots + meter.cost.shots,
        )


def _evaluated(point: Point, network: nn.Module, data: Dataset, loss: object, when: str) -> Point:
    assert data.test is not None
    value, score = evaluate(network, data.test, loss, data.task)
    if not math.isfinite(value) or not math.isfinite(score):
        raise TrainingError(f"The loss on the samples kept apart is {value} {when} training.")
    return replace(point, test_loss=value, test_metric=score)


def wrap_network(network: nn.Module, stage: Stage, executor: Executor, seed: int) -> nn.Module:
    """The network that a stage trains: the plain one, or that one in the stage's bridge.

    A bridge that draws random numbers of its own draws them from the run's seed, unless the user
    has set its seed.
    """
    if stage.bridge is None:
        return network
    bridge = stage.bridge if stage.seeded else _seeded(stage.bridge, seed)
    return to_quantum(network, bridge, executor=executor, gradient=stage.gradient)


def _seeded(bridge: Bridge, seed: int) -> Bridge:
    """A bridge with this seed; a twin named after a bridge draws what that bridge does."""
    if isinstance(bridge, Twin) and isinstance(bridge.of, str) and hasattr(bridge.original, "seed"):
        return replace(bridge, of=_seeded(bridge.original, seed))
    options: dict[str, Any] = {"seed": seed} if hasattr(bridge, "seed") else {}
    return replace(bridge, **options)


def stage_budgets(
    network: nn.Module,
    method: Method,
    budget: Budget,
    executor: Executor,
    x: torch.Tensor,
    seed: int,
) -> list[Budget]:
    """The parts of a budget, settings and shots cut among the stages that spend them."""
    if len(method.stages) == 1 or not budget.counts_circuits:
        return budget.parts(method.shares)
    steps = [
        step_cost(wrap_network(network, stage, executor, seed), x[: stage.step_samples])
        for stage in method.stages
    ]
    spending = {unit: [getattr(step, unit) > 0 for step in steps] for unit in COUNTED}
    return budget.parts(method.shares, spending)


def reseed(executors: Sequence[Metered], seed: int, stage: int) -> None:
    """Let executors draw what this run alone draws, whatever ran before it."""
    for number, executor in enumerate(executors):
        own = getattr(executor, "seed", None) or 0
        words = np.random.SeedSequence([own, seed, stage, number]).generate_state(4)
        entropy = int.from_bytes(words.tobytes(), "little")
        executor.load_state_dict({**executor.state_dict(), "entropy": hex(entropy), "calls": 0})


@torch.no_grad()
def evaluate(network: nn.Module, part: Part, loss: object, task: str) -> tuple[float, float]:
    """Loss and metric on samples, in evaluation mode.

    Raises:
        DataError: If outputs and targets have neither accuracy nor R^2.
    """
    with evaluation_mode(network):
        outputs = torch.cat([network(x) for x in torch.split(part.x, EVALUATION_BATCH)])
    function: Loss = choose_loss(loss, task)
    score = metric(outputs, part.y, function)
    if score is None:
        raise DataError(
            f"Outputs of shape {tuple(outputs.shape)} and targets of shape {tuple(part.y.shape)} "
            "have neither accuracy nor R^2 (are the targets constant?), so there is nothing to "
            "compare."
        )
    return as_scalar(function(outputs, part.y)).item(), score


@torch.no_grad()
def inference_seconds(network: nn.Module, part: Part) -> float:
    """Median time for all samples of a part, by a copy that has not read its weights yet."""
    seconds: list[float] = []
    while len(seconds) < INFERENCE_REPETITIONS and sum(seconds) < INFERENCE_SECONDS:
        fresh = copy.deepcopy(network).eval()
        began = time.perf_counter()
        for x in torch.split(part.x, EVALUATION_BATCH):
            fresh(x)
        seconds.append(time.perf_counter() - began)
    return median(seconds)
