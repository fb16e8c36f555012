"""Training loop: steps, evaluation, and restored weights after errors."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import LBFGS, Optimizer

from hybridopt._inputs import call
from hybridopt._modules import evaluation_mode
from hybridopt._random import give_way, lent
from hybridopt.data.dataset import Batch
from hybridopt.errors import LimitError, TrainingError
from hybridopt.execution import Cost, Metered
from hybridopt.nn.output_errors import errors_seen
from hybridopt.optim import Newton
from hybridopt.training.batches import TrainingData
from hybridopt.training.callbacks import Callback
from hybridopt.training.gradient_steps import StepOptions, accumulated_gradient
from hybridopt.training.history import EpochRecord, History, Status
from hybridopt.training.objective import Loss, metric
from hybridopt.training.schedulers import Schedule
from hybridopt.training.weighted_loss import BatchLoss, samples_in


@dataclass(frozen=True)
class StoppingRule:
    """Rules that end training before its last epoch."""

    tol: float | None = None  # change of the training loss that counts as zero
    patience: int | None = None  # epochs without a lower test (or training) loss

    def status(self, history: History) -> Status | None:
        """Return the reason to stop; None to continue."""
        losses = history.train_loss
        if self.tol is not None and len(losses) > 1 and abs(losses[-1] - losses[-2]) <= self.tol:
            return "converged"
        watched = [r.train_loss if r.test_loss is None else r.test_loss for r in history]
        if self.patience is None or len(watched) - 1 - watched.index(min(watched)) < self.patience:
            return None
        return "patience"


class WeightSnapshot:
    """Copies of weights and buffers: after the last complete step, and at the last finite loss."""

    def __init__(self, network: nn.Module) -> None:
        self._live: list[Tensor] = [*network.parameters(), *network.buffers()]
        self._sets = [[tensor.detach().clone() for tensor in self._live] for _ in range(2)]
        self._complete = self._good = 0

    @torch.no_grad()
    def keep(self) -> None:
        """Store the current values after a complete step."""
        self._complete = 1 - self._good
        for kept, tensor in zip(self._sets[self._complete], self._live, strict=True):
            kept.copy_(tensor)

    def approve(self) -> None:
        """Mark the values after the last complete step as values with a finite loss."""
        self._good = self._complete

    @torch.no_grad()
    def restore(self, *, complete: bool = False) -> None:
        """Restore the values at the last finite loss, or those after the last complete step."""
        for kept, tensor in zip(
            self._sets[self._complete if complete else self._good], self._live, strict=True
        ):
            tensor.copy_(kept)

    def all_finite(self) -> bool:
        """Return False if a value has become NaN or inf since the last finite loss."""
        pairs = zip(self._sets[self._good], self._live, strict=True)
        return not any(bool((kept.isfinite() & ~live.isfinite()).any()) for kept, live in pairs)


class FrozenRandomStream:
    """Random streams of a step in which all evaluations of the loss have the same shot noise."""

    def __init__(self, executors: Sequence[Metered]) -> None:
        self._starts = [(executor, executor.state_dict()) for executor in executors]
        self._ends = [int(start["calls"]) for _, start in self._starts]

    def rewind(self) -> None:
        """Return to the start of the step."""
        for number, (executor, start) in enumerate(self._starts):
            self._ends[number] = max(self._ends[number], int(executor.state_dict()["calls"]))
            executor.load_state_dict(start)

    def release(self) -> None:
        """Continue after all numbers that the step has drawn."""
        self.rewind()
        for (executor, start), end in zip(self._starts, self._ends, strict=True):
            executor.load_state_dict({**start, "calls": end})


@dataclass
class Training:
    """State of a training run."""

    network: nn.Module
    data: TrainingData
    optimizer: Optimizer
    loss: Loss
    rule: StoppingRule
    callbacks: Sequence[Callback]
    history: History
    to_unfreeze: set[int] = field(default_factory=set)  # ids of parameters, for callbacks
    schedule: Schedule | None = None
    step_options: StepOptions = field(default_factory=StepOptions)
    executors: list[Metered] = field(init=False)
    good: WeightSnapshot = field(init=False)
    of_others: Cost = field(default_factory=Cost)  # runs of shared executors in other threads

    def __post_init__(self) -> None:
        self.executors = executors_of(self.network)
        self.good = WeightSnapshot(self.network)
        self._batch_loss = BatchLoss(self.loss)

    def run(self, epochs: int, after_epoch: Callable[[], object]) -> None:
        """Train until the history has ``epochs`` records, a rule or a limit applies, or Ctrl-C."""
        self.history.status = "failed"  # replaced at a regular end
        self.history.mitigation = mitigation_of(self.executors)
        stopped = self.rule.status(self.history) if len(self.history) else None
        with ExitStack() as ends:
            try:
                for callback in self.callbacks:
                    self._call(callback.on_fit_begin, self.network, self.history)
                    ends.callback(self._call, callback.on_fit_end, self.network, self.history)
                while stopped is None and len(self.history) < epochs:
                    stopped = self._epoch()
                    after_epoch()
                self.history.status = stopped or "epochs"
            except KeyboardInterrupt:
                self.good.restore(complete=True)  # the last step may be incomplete
                self.history.status = "interrupted"
            except LimitError as error:  # raised before a job, within a step or an evaluation
                self.good.restore(complete=True)
                self.history.status, self.history.detail = "limit", str(error)

    def _call(self, event: Callable[..., object], *arguments: Any) -> object:
        """Call a method of a callback, which may wait for training in other threads."""
        with lent():
            return event(*arguments)

    @contextmanager
    def _paused(self) -> Iterator[None]:
        """Leave the runs of other threads out of the cost."""
        before = usage_of(self.executors)
        try:
            yield
        finally:
            self.of_others += usage_of(self.executors) - before

    def _epoch(self) -> Status | None:
        before, started = usage_of(self.executors) - self.of_others, time.perf_counter()
        errors_before = errors_seen(self.network)
        rate = float(self.optimizer.param_groups[0]["lr"])
        train_loss, stopped, steps, clipped = self._steps()
        self._merge()
        self.good.keep()
        seconds = time.perf_counter() - started
        if not self.good.all_finite():
            self._fail("a weight or buffer is no longer finite after the last batch")
        test_loss, score = self._evaluate()
        cost = usage_of(self.executors) - self.of_others - before
        errors = errors_seen(self.network) - errors_before
        number = len(self.history) + 1
        record = EpochRecord(
            number, train_loss, test_loss, score, seconds, cost.settings, cost.shots, cost.runs,
            rate, steps, clipped, errors.root_mean_square, cost.jobs, cost.seconds,
        )  # fmt: skip
        self.history.records.append(record)
        if self.schedule is not None:
            self.schedule.after_epoch(train_loss)
        answers = [self._call(one.on_epoch_end, record, self.network) for one in self.callbacks]
        stopped = any(answers) or stopped
        if not self.good.all_finite():
            self.good.restore()
            raise TrainingError(
                f"Weights and buffers must be finite after the callbacks of epoch {number}. The "
                "network has its last weights with a finite loss."
            )
        self.good.keep()  # callbacks may change weights
        return "callback" if stopped else self.rule.status(self.history)

    def _steps(self) -> tuple[float, bool, int, int]:
        """Run an epoch; return mean loss, stop by a callback, numbers of steps and clipped ones."""
        total = seen = 0.0
        steps = clipped = number = 0
        step = self._closure_step if isinstance(self.optimizer, Newton | LBFGS) else self._step
        batches = iter(self.data.batches)
        for first in batches:
            group = chain([first], islice(batches, self.step_options.accumulate - 1))
            loss, samples, count, is_clipped = step(group, number + 1)
            total, seen = total + loss * samples, seen + samples
            steps, clipped, number = steps + 1, clipped + is_clipped, number + count
            self.good.keep()
            if self.schedule is not None:
                self.schedule.after_step()
            if steps == 1:
                self._check_unfrozen()
            answers = [self._call(one.on_step_end, loss, self.network) for one in self.callbacks]
            if any(answers):
                return total / seen, True, steps, clipped
            give_way(self._paused)
        return total / seen, False, steps, clipped

    def _check_unfrozen(self) -> None:
        """Raise an error if unfrozen parameters with gradients are missing from the optimizer."""
        held = {id(p) for group in self.optimizer.param_groups for p in group["params"]}
        missing = [
            name
            for name, p in self.network.named_parameters()
            if id(p) in self.to_unfreeze - held and p.requires_grad
            if p.grad is not None and bool(p.grad.any())
        ]
        if missing:
            raise TrainingError(
                f"Unfrozen parameters are missing from the optimizer: {', '.join(missing)}. Create "
                "it with `hybridopt.parameter_groups(network, lr=...)`, or name the optimizer."
            )

    def _step(self, group: Iterable[Batch], number: int) -> tuple[float, float, int, bool]:
        """Take a step; return loss, samples, number of batches, and whether it was clipped."""
        value, samples, count = accumulated_gradient(
            self.network, self._batch_loss, group, self.optimizer,
            lambda loss, offset: self._checked_loss(loss, number + offset),
        )  # fmt: skip
        groups = self.optimizer.param_groups
        first = number == 1 and not len(self.history)
        if first and all(p.grad is None for group in groups for p in group["params"]):
            raise TrainingError(
                "`loss` must depend on a trained parameter. Register all weights as parameters of "
                "modules; weights in a list are not registered."
            )
        for callback in self.callbacks:
            self._call(callback.on_before_step, value, self.network)
        clipped = self.step_options.clip(self.optimizer)
        self.optimizer.step()
        return value, samples, count, clipped

    def _closure_step(self, group: Iterable[Batch], number: int) -> tuple[float, float, int, bool]:
        (batch,) = group
        streams = FrozenRandomStream(self.executors)
        first: list[float] = []

        def evaluate() -> Any:
            streams.rewind()
            outputs = call(self.network, batch.x)
            loss = self._batch_loss(outputs, batch.y, batch.sample_weight)
            if not first:
                first.append(self._checked_loss(loss, number))
            if isinstance(self.optimizer, LBFGS):
                self.optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
            elif self.optimizer.param_groups[0]["curvature"] == "gauss-newton":
                return loss, outputs
            return loss

        self.optimizer.step(evaluate)
        streams.release()
        return first[0], samples_in(batch), 1, False

    def _checked_loss(self, loss: Tensor, number: int) -> float:
        value = loss.item()
        if not math.isfinite(value):
            self._fail(f"the loss is {value} in batch {number}")
        self.good.approve()
        return value

    def _fail(self, what: str) -> None:
        self.good.restore()
        raise TrainingError(
            f"Training stopped in epoch {len(self.history) + 1}: {what}. The network has its "
            "last weights with a finite loss. Lower the learning rate, or standardise the data."
        )

    def _merge(self) -> None:
        for module in self.network.modules():
            if getattr(module, "merge_every_epoch", False):
                module.merge()  # type: ignore[operator]
                if isinstance(self.optimizer, LBFGS):
                    self.optimizer.state.clear()  # its pairs of steps are from before the merge

    @torch.no_grad()
    def _evaluate(self) -> tuple[float | None, float | None]:
        if self.data.evaluation is None:
            return None, None
        outputs, y, weight = outputs_on(self.network, self.data.evaluation)
        score = metric(outputs, y, self.loss, weight)
        if not self.data.has_test:
            return None, score
        value = self._batch_loss(outputs, y, weight).item()
        if not math.isfinite(value):
            self._fail(f"the test loss is {value} after the last batch")
        return value, score


def outputs_on(
    network: nn.Module, batches: Iterable[Batch]
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Return outputs in evaluation mode, targets and weights of all samples."""
    with evaluation_mode(network):
        rows = [(call(network, one.x), one.y, one.sample_weight) for one in batches]
    outputs, targets, weights = zip(*rows, strict=True)
    known = [weight for weight in weights if weight is not None]
    return torch.cat(outputs), torch.cat(targets), torch.cat(known) if known else None


def executors_of(network: nn.Module) -> list[Metered]:
    """Return the executors in a network without duplicates."""
    found = (getattr(module, "executor", None) for module in network.modules())
    return list({id(one): one for one in found if isinstance(one, Metered)}.values())


def mitigation_of(executors: Iterable[Metered]) -> str:
    """Return the error mitigation of executors in words; empty without any."""
    words = []
    for executor in executors:
        own = getattr(executor, "readout_mitigation", None)
        words.append(getattr(executor, "mitigation", own and f"readout_mitigation={own!r}"))
    return "; ".join(dict.fromkeys(filter(None, words)))


def usage_of(executors: Iterable[Metered]) -> Cost:
    """Return the total cost of all calls of executors so far."""
    return sum((executor.usage for executor in executors), Cost())
