"""One method trained once, on given data, with given learning rates."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import nn

from hybridopt.bridges import Bridge, Twin, to_classical, to_quantum
from hybridopt.compare.budget import Budget
from hybridopt.compare.budget_tracking import COUNTED, BudgetMeter, MeteredBatches, step_cost
from hybridopt.compare.methods import Method, Stage
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
    """What training came to.

    Attributes:
        network: Of the last stage; a quantum network if that has a bridge.
        curve: From the start to the end.
        trainable: Trainable numbers of the stage with the most.
        cost: Of training, without evaluation.
    """

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
        data: Trained on ``data.train``, evaluated on ``data.test`` after every epoch, which costs
            neither time nor settings here.
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
    recorder = CurveRecorder(data, loss, None if watch else len(method.stages) - 1)
    limits = stage_budgets(network, method, budget, executor, data.train.x, seed)
    for number, (stage, part) in enumerate(zip(method.stages, limits, strict=True)):
        start = to_classical(network) if number and method.stages[number - 1].bridge else network
        network = wrap_network(start, stage, executor, seed)
        executors = executors_of(network)
        reseed(executors, seed, number)
        if watch and not number:
            recorder.note(network, 0, None)
        foretold = Cost()
        if part.counts_circuits:
            foretold = step_cost(network, data.train.x[: stage.step_samples])
        meter = BudgetMeter(part, executors, foretold)
        recorder.fit(network, stage, number, meter, factor, _order_seed(seed, number))
    return Trained(network, tuple(recorder.points), recorder.trainable, recorder.cost)


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


def _order_seed(seed: int, stage: int) -> int:
    """Of the order of the samples: the run's own for a first stage, so all methods share it."""
    return int(np.random.SeedSequence([seed, stage]).generate_state(1)[0]) if stage else seed


def stage_budgets(
    network: nn.Module,
    method: Method,
    budget: Budget,
    executor: Executor,
    x: torch.Tensor,
    seed: int,
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
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        outputs = torch.cat([network(x) for x in torch.split(part.x, EVALUATION_BATCH)])
    finally:
        for module, training in modes:
            module.training = training
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


class CurveRecorder:
    """The points of a run, summed over its stages.

    Args:
        data: Trained on and evaluated with.
        loss: As `hybridopt.fit` takes it.
        only_stage: Its end alone is evaluated; None evaluates every epoch of all stages.
    """

    def __init__(self, data: Dataset, loss: object, only_stage: int | None) -> None:
        assert data.test is not None
        self._only_stage = only_stage
        self._data, self._test, self._loss = data, data.test, loss
        self._before = Point(0, 0, 0, 0.0, 0, 0, None, None, 0.0)
        self.points: list[Point] = []
        self.trainable = 0
        self.cost = Cost()

    def note(
        self,
        network: nn.Module,
        stage: int,
        meter: BudgetMeter | None,
        train_loss: float | None = None,
    ) -> None:
        """Evaluate, and add a point."""
        loss, score = evaluate(network, self._test, self._loss, self._data.task)
        if not math.isfinite(loss) or not math.isfinite(score):
            when = "before training" if meter is None else "after training"
            raise TrainingError(f"The loss on the samples kept apart is {loss} {when}.")
        spent = self._before if meter is None else self._after(meter)
        self.points.append(
            replace(spent, stage=stage, train_loss=train_loss, test_loss=loss, test_metric=score)
        )

    def _after(self, meter: BudgetMeter) -> Point:
        before = self._before
        return replace(
            before,
            epochs=before.epochs + meter.epochs,
            steps=before.steps + meter.steps,
            seconds=before.seconds + meter.seconds,
            settings=before.settings + meter.cost.settings,
            shots=before.shots + meter.cost.shots,
        )

    def fit(
        self,
        network: nn.Module,
        stage: Stage,
        number: int,
        meter: BudgetMeter,
        factor: float,
        seed: int,
    ) -> None:
        """Train one stage until its budget is spent."""
        batches = MeteredBatches(self._data.train, stage.step_samples, seed, meter)

        def after_epoch(record: EpochRecord, trained: nn.Module) -> bool:
            meter.end_epoch(record.seconds)
            ended = meter.exceeded()
            if self._only_stage is None or (ended and number == self._only_stage):
                self.note(trained, number, meter, record.train_loss)
            return ended

        history = fit(
            network,
            batches.loader(),
            optimizer=stage.optimizer,
            lr=factor * stage.base_lr,
            epochs=meter.limits.epochs or MAX_EPOCHS,
            scheduler=stage.scheduler,
            loss=self._loss,
            seed=seed,
            callbacks=[after_epoch],
            **stage.options,
        )
        if history.status == "interrupted":
            raise KeyboardInterrupt
        self._before = self._after(meter)
        trained = sum(p.numel() for p in network.parameters() if p.requires_grad)
        self.trainable = max(self.trainable, trained)
        self.cost = self.cost + history.cost
