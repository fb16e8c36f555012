r"""Learning-rate range test: find a rate that is large and still stable.

A copy of the network is trained while the rate grows from 1e-6 to 10 by a constant factor per
step. The loss is first constant, then falls, then rises. The test looks for the last fall of the
smoothed loss to its minimum, and the rate at half of this fall. The result is half of this rate.
A fall within the noise between batches gives no rate; then the default of the optimizer is used.

Smith reads the rate from the plot. Automatic rules take a tenth of the rate at the least loss or
the steepest point (fastai's ``minimum`` and ``steep``, Lightning's ``suggestion``), or a point
within the longest fall (``valley``). The table compares them on digits, iris, wine,
breast_cancer and diabetes with adam, sgd, rmsprop and adagrad, three seeds each. The network is
an MLP with 20 hidden units, trained for 3 to 10 epochs. Entries are geometric means of ratios of
final training losses; the best rate is from a grid of four rates per decade.

================  =========  ============  =========================  =====
rule              / best     / default     over 1.1 times default     worst
================  =========  ============  =========================  =====
halfway, halved   2.1        0.60          5 of 60                    1.6
least, tenth      2.2        0.61          11 of 60                   2.3
steepest          2.6        0.74          22 of 60                   30
valley            5.7        1.6           35 of 60                   14
default           3.5        1
================  =========  ============  =========================  =====

References:
    Smith, Cyclical learning rates for training neural networks, arXiv:1506.01186.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from itertools import chain, pairwise, repeat

from torch import nn
from torch.optim import Optimizer

from hybridopt._copies import copy_module
from hybridopt._inputs import call
from hybridopt._random import give_way
from hybridopt.errors import TrainingError
from hybridopt.execution import Metered
from hybridopt.training.batches import ReadBatches, TensorBatches
from hybridopt.training.gradient_steps import StepOptions
from hybridopt.training.history import RangeTest
from hybridopt.training.loop import usage_of
from hybridopt.training.objective import Loss
from hybridopt.training.weighted_loss import BatchLoss

LOWEST, HIGHEST = 1e-6, 10.0
STEPS = 60  # 8.4 per decade
RATES = [LOWEST * ((HIGHEST / LOWEST) ** (1 / (STEPS - 1))) ** step for step in range(STEPS)]
SMOOTHING = 0.8  # weight of the past in the running mean, about 5 steps
DIVERGED = 4.0  # factor above the least loss that ends the test
EARLY = 7  # steps up to a rate of 5e-6, whose losses differ only by the noise between batches
MARGIN = 2.0  # divisor of the rate; measured, see above
SIGNIFICANT = 3.0  # standard errors; the minimum of a dozen independent means is at about 2
WITHIN_NOISE = (
    "the loss fell by no more than its noise between batches, so the optimizer's default is used"
)


def run_range_test(
    network: nn.Module,
    batches: TensorBatches | ReadBatches,
    loss: Loss,
    build: Callable[[list[nn.Parameter], float | None], Optimizer],
    executors: Sequence[Metered],
    step_options: StepOptions,
) -> RangeTest:
    """Test growing rates on a copy; ``build`` makes an optimizer, with None at its default rate.

    Each step has one batch, also if `fit` accumulates the gradients of several.
    """
    before, started = usage_of(executors), time.perf_counter()
    positions = [executor.state_dict() for executor in executors]
    order = batches.generator.get_state()
    # a copied executor would spend settings that are not counted
    trial = copy_module(network, {id(one): one for one in executors}, user='lr="auto"')
    optimizer = build([p for p in trial.parameters() if p.requires_grad], LOWEST)
    losses: list[float] = []
    batch_loss = BatchLoss(loss)
    draws_shots = any(executor.shots is not None for executor in executors)
    try:
        for rate, batch in zip(RATES, chain.from_iterable(repeat(batches)), strict=False):
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.zero_grad()
            value = batch_loss(call(trial, batch.x), batch.y, batch.sample_weight)
            losses.append(value.item())
            means = smoothed(losses)
            first, least = means[:EARLY][-1], min(means)
            # four times the least loss, relative to a minimum of the loss that may not be 0
            bound = first + (DIVERGED - 1) * max(abs(least), abs(first - least))
            diverged = len(losses) > EARLY and means[-1] > bound
            if diverged or not math.isfinite(losses[-1]):
                break
            value.backward()  # type: ignore[no-untyped-call]
            step_options.clip(optimizer)
            optimizer.step()
            if not draws_shots:  # another thread may draw from the stream that is restored below
                give_way()
    finally:
        batches.generator.set_state(order)
        for executor, position in zip(executors, positions, strict=True):
            executor.load_state_dict(position)
    rates = RATES[: len(losses)]
    spent = usage_of(executors) - before
    rate, reason = choose_rate(rates, losses), ""
    if rate is None:
        default = build([p for p in network.parameters() if p.requires_grad], None)
        rate, reason = float(default.param_groups[0]["lr"]), WITHIN_NOISE
    seconds = time.perf_counter() - started
    return RangeTest(
        rate, rates, losses, seconds, spent.settings, spent.shots, spent.runs, reason,
        spent.jobs, spent.seconds,
    )  # fmt: skip


def choose_rate(rates: Sequence[float], losses: Sequence[float]) -> float | None:
    """Return half of the rate at half of the smoothed fall; None for a fall within the noise."""
    finite = [loss for loss in losses if math.isfinite(loss)]
    if all(later >= loss for loss, later in pairwise(finite)):  # also if none is finite
        raise TrainingError(
            f'lr="auto" must find a rate from {LOWEST:g} to {HIGHEST:g} that lowers the loss (got '
            "none). Pass a number as `lr`, and check that the loss can decrease."
        )
    means = smoothed(finite)
    least = min(range(len(means)), key=means.__getitem__)
    early = finite[: max(1, least // 3)]
    start = sum(early) / len(early)
    fall = start - means[least]
    if least == 0 or fall <= SIGNIFICANT * _error_of_fall(finite, least, len(early)):
        return None
    halfway = least
    while halfway and means[halfway - 1] <= start - fall / 2:
        halfway -= 1
    return rates[halfway] / MARGIN


def _error_of_fall(losses: Sequence[float], least: int, early: int) -> float:
    """Return the standard error of the difference between a smoothed loss and early losses."""
    # neighbours differ only by noise, even if the loss falls
    jumps = [b - a for a, b in pairwise(losses[: max(3, least // 2)])]
    variance = sum(jump * jump for jump in jumps) / (2 * len(jumps))
    decay = SMOOTHING ** (least + 1)
    weights = (1 - SMOOTHING) / (1 + SMOOTHING) * (1 + decay) / (1 - decay)  # sum of squares
    return math.sqrt(variance * (weights + 1 / early))


def smoothed(losses: Sequence[float]) -> list[float]:
    """Return running means with exponential weights that sum to one at every step."""
    means, total, weight = [], 0.0, 0.0
    for loss in losses:
        total = SMOOTHING * total + (1 - SMOOTHING) * loss
        weight = SMOOTHING * weight + (1 - SMOOTHING)
        means.append(total / weight)
    return means
