"""Test metric, inference time and verdict of the judge for a network of a run."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from statistics import fmean, median, stdev

import torch
from torch import nn

from hybridopt._copies import copy_module
from hybridopt._inputs import call
from hybridopt.bridges.base import FormulaStream
from hybridopt.bridges.readout_cache import without_readouts
from hybridopt.compare.executors import reseed, set_executor
from hybridopt.compare.resampling import Experiment
from hybridopt.data import Dataset, Part
from hybridopt.errors import DataError, TrainingError
from hybridopt.execution import AerExecutor, Cost, Metered
from hybridopt.training.batches import part_batches
from hybridopt.training.loop import executors_of, outputs_on, usage_of
from hybridopt.training.objective import choose_loss, metric
from hybridopt.training.weighted_loss import BatchLoss

INFERENCE_REPETITIONS = 5
INFERENCE_SECONDS = 2.0  # no further repetition after this time
JUDGEMENTS = 5  # evaluations on a judge with shots, for a mean and its standard error
JUDGING = 2**31  # number of the random stream of the judge, above those of stages


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


@dataclass(frozen=True)
class Verdict:
    """Results of a trained network on the judge."""

    loss: float
    metric: float
    error: float | None  # standard error of the metric from shots; None without shots
    evaluations: int
    cost: Cost
    seconds: float


def judge(experiment: Experiment, network: nn.Module, data: Dataset, seed: int) -> Verdict | None:
    """Evaluate a trained network on the judge; None without a judge or without circuits.

    With shots, loss and metric are means of `JUDGEMENTS` evaluations. The standard error comes from
    the spread of these, because all samples may share the noise of one readout of the weights.
    """
    if experiment.judge is None or not executors_of(network):
        return None
    assert data.test is not None
    judged = copy_module(network, user="`compare`", after_forward=True)
    set_executor(judged, experiment.make_judge(seed), trains=False)
    executors = executors_of(judged)
    reseed(executors, seed, JUDGING)
    count = 1 if all(map(_is_exact, executors)) else JUDGEMENTS
    before, began = usage_of(executors), time.perf_counter()
    found = [
        evaluate(without_readouts(judged), data.test, experiment.loss, data.task)
        for _ in range(count)
    ]
    losses, metrics = zip(*found, strict=True)
    if not all(map(math.isfinite, (*losses, *metrics))):
        raise TrainingError(
            f"Test loss and metric must be finite on the judge (got {losses[0]} and {metrics[0]})."
        )
    return Verdict(
        loss=fmean(losses),
        metric=fmean(metrics),
        error=stdev(metrics) / math.sqrt(count) if count > 1 else None,
        evaluations=count,
        cost=usage_of(executors) - before,
        seconds=time.perf_counter() - began,
    )


def _is_exact(executor: Metered) -> bool:
    """Return whether repeated runs are known to give equal values."""
    return isinstance(executor, AerExecutor | FormulaStream) and executor.shots is None
