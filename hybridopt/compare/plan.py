"""What a comparison is asked to do, checked before anything trains, and one run of it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

from torch import nn

from hybridopt import optim
from hybridopt._environment import torch_threads
from hybridopt.compare.budget import Budget
from hybridopt.compare.fingerprints import digest_of, hash_of, loss_text, source_text
from hybridopt.compare.methods import Method, Stage
from hybridopt.compare.records import Run, Trial, failed
from hybridopt.compare.resampling import (
    NetworkSource,
    copy_of,
    draw_data,
    draw_network,
    set_executor,
    validation_split,
)
from hybridopt.compare.run_key import digest_of_content, executor_text
from hybridopt.compare.spending import (
    check_can_be_spent,
    samples_of_a_step,
    stage_budgets,
)
from hybridopt.compare.stage_setup import batch_size, enter
from hybridopt.compare.training import (
    Trained,
    evaluate,
    inference_seconds,
    train,
)
from hybridopt.compare.tuning import Tuning, best
from hybridopt.data import Dataset, as_dataset
from hybridopt.errors import ArgumentError, ArgumentTypeError, DataError, HybridOptError
from hybridopt.execution import AerExecutor, Executor
from hybridopt.training.loop import executors_of
from hybridopt.training.objective import choose_loss, metric_name
from hybridopt.training.sanity_check import check_fit

SCHEMA = 2
ExecutorSource = Executor | Callable[[int], Executor] | None


@dataclass(frozen=True)
class Plan:
    """Everything that runs have in common; can be sent to other processes.

    Attributes:
        network: Where networks come from.
        data: Where data come from.
        redraw: Whether each seed draws a new split.
        budget: Of every method.
        tuning: Of every method.
        executor: Of all circuits: an executor, a function of a seed that makes one, or None.
        loss: As `hybridopt.fit` takes it.
        threads: Of torch's, for each run.
    """

    network: NetworkSource
    data: str | Dataset
    redraw: bool
    budget: Budget
    tuning: Tuning
    executor: ExecutorSource
    loss: object
    threads: int = 1

    def draw(self, seed: int) -> tuple[Dataset, nn.Module]:
        """Data and untrained network of a seed, in one dtype."""
        data = draw_data(self.data, seed, redraw=self.redraw)
        network = self._network(data, seed)
        kinds = [p.dtype for p in network.parameters() if p.is_floating_point()]
        return as_dataset(data, dtype=kinds[0] if kinds else None), network

    def _network(self, data: Dataset, seed: int) -> nn.Module:
        """The untrained network of a seed; the executor runs the circuits that it brings, too."""
        network = draw_network(self.network, data, seed)
        if self.executor is None or not executors_of(network):
            return network
        own = copy_of(network)
        set_executor(own, self.make_executor(seed))
        return own

    def make_executor(self, seed: int) -> Executor:
        """The executor of a run; its random stream is set by the run."""
        if self.executor is None:
            return AerExecutor()
        if isinstance(self.executor, Executor):
            return self.executor
        try:
            made = self.executor(seed)
        except Exception as error:
            raise ArgumentError(
                f"The function given as `executor` failed for seed {seed}: {type(error).__name__}: "
                f"{error}. It must take a seed and return an executor such as AerExecutor()."
            ) from error
        if not isinstance(made, Executor):
            raise ArgumentTypeError(
                "The function given as `executor` must return an executor such as AerExecutor(), "
                f"but returned {type(made).__name__}."
            )
        return made

    def metric_name(self, data: Dataset) -> str:
        """``"accuracy"`` or ``"r2"``."""
        return metric_name(data.task, self.loss)

    # -- checks

    def check(self, methods: list[Method], seed: int) -> tuple[Dataset, dict[str, list[Budget]]]:
        """Refuse what cannot work, by the data and the network of one seed; nothing trains or runs.

        Returns:
            The data of the seed, and the budgets of the stages by method.

        Raises:
            HybridOptError: With the method in question.
        """
        data, network = self.draw(seed)
        validation_split(data, self.tuning.share, seed)
        check_fit_of(network, data, self.loss)
        budgets = {}
        for method in methods:
            try:
                budgets[method.name] = self._check_method(method, data, network, seed)
            except HybridOptError as error:
                raise type(error)(f"Method {method.name!r}: {error}") from error
        return data, budgets

    def _check_method(
        self, method: Method, data: Dataset, network: nn.Module, seed: int
    ) -> list[Budget]:
        executor = self.make_executor(seed)
        limits = stage_budgets(network, method, self.budget, executor, data.train.x, seed)
        for stage, part in zip(method.stages, limits, strict=True):
            entered = enter(network, stage, executor, seed)
            trained = [p for p in entered.parameters() if p.requires_grad]
            optimizer = optim.create(stage.optimizer, trained, lr=stage.base_lr, **stage.options)
            size = batch_size(stage)
            if stage.optimizer == "gd" and size is not None:
                raise ArgumentError(
                    f'optimizer "gd" uses all samples in every step, but the batch size is {size}. '
                    'Leave it out, or use "sgd".'
                )
            if stage.scheduler is not None and part.epochs is None:
                raise ArgumentError(
                    f"scheduler {stage.scheduler!r} runs over the epochs of the budget, but "
                    f"{self.budget} has none. Add some; the first limit to be met stops."
                )
            samples = samples_of_a_step(stage, data.train.x)
            check_can_be_spent(entered, optimizer, part, samples)
        return limits

    # -- one run

    def run(self, method: Method, seed: int) -> Run:
        """Tune and train one method with one seed.

        Returns:
            The run; one with ``status="failed"`` and the reason where training broke.

        Raises:
            KeyboardInterrupt: On Ctrl-C.
        """
        trials: list[Trial] = []
        with torch_threads(self.threads):
            try:
                return self._run(method, seed, trials)
            except Exception as error:  # noqa: BLE001  # a failure is a result, and reported
                return failed(method.name, seed, f"{type(error).__name__}: {error}", tuple(trials))

    def _run(self, method: Method, seed: int, trials: list[Trial]) -> Run:
        data, network = self.draw(seed)
        assert data.test is not None
        factor = 1.0
        if self.tuning.trials > 1:
            apart = validation_split(data, self.tuning.share, seed)
            while len(trials) < self.tuning.trials:
                candidate = self.tuning.next_factor(trials)
                trials.append(self._trial(method, apart, candidate, seed))
            chosen = best(trials)
            if chosen is None:
                raise DataError(f"All trials of tuning failed, the last with: {trials[-1].error}")
            factor = chosen.factor
        trained = self._train(network, data, method, factor, seed)
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
            factor=factor,
            rates=tuple(factor * stage.base_lr for stage in method.stages),
            trials=tuple(trials),
            curve=trained.curve,
        )

    def _trial(self, method: Method, apart: Dataset, factor: float, seed: int) -> Trial:
        try:
            network = self._network(apart, seed)
            trained = self._train(network, apart, method, factor, seed, watch=False)
        except HybridOptError as error:
            return Trial(factor, error=str(error))
        except Exception as error:  # noqa: BLE001  # the user's network may refuse large weights
            return Trial(factor, error=f"{type(error).__name__}: {error}")
        end = trained.curve[-1]
        return Trial(factor, end.test_metric, end.test_loss, end.seconds, end.settings, end.shots)

    def _train(
        self,
        network: nn.Module,
        data: Dataset,
        method: Method,
        factor: float,
        seed: int,
        *,
        watch: bool = True,
    ) -> Trained:
        return train(
            network,
            data,
            method,
            factor=factor,
            budget=self.budget,
            seed=seed,
            executor=self.make_executor(seed),
            loss=self.loss,
            watch=watch,
        )

    # -- what tells one run from another

    def seed_settings(self, seed: int) -> dict[str, Any]:
        """What the numbers of a seed's runs follow from, but for the method; plain types."""
        data, network = self.draw(seed)
        return {
            "schema": SCHEMA,
            "seed": seed,
            "budget": asdict(self.budget),
            "tuning": asdict(self.tuning),
            "loss": loss_text(self.loss),
            "threads": self.threads,
            "executor": executor_text(self.make_executor(seed)),
            "data": digest_of(data),
            "network": str(network),
            "code": digest_of_content(network),
            "file": source_text(self.network),
            "start": hash_of(network.state_dict()),
        }


def check_fit_of(network: nn.Module, data: Dataset, loss: object) -> None:
    """Refuse data, network and loss that do not go together, or a metric that does not exist."""
    assert data.test is not None
    function = choose_loss(loss, data.task)
    largest = None
    if data.task == "classification":
        largest = max(int(data.train.y.max()), int(data.test.y.max()))
    check_fit(network, (data.train.x[:32], data.train.y[:32]), function, largest)
    if not any(isinstance(executor, Executor) for executor in executors_of(network)):
        evaluate(network, data.test, loss, data.task)


def with_batch_size(method: Method, size: int | str | None) -> Method:
    """The method with the comparison's batch size, where it has none of its own."""
    if size == "auto":
        return method
    changed = copy.copy(method)
    changed.stages = tuple(_with_batch(stage, size) for stage in method.stages)
    return changed


def _with_batch(stage: Stage, size: int | str | None) -> Stage:
    own = stage.batch_size != "auto" or stage.full_batch
    return stage if own else replace(stage, batch_size=size)
