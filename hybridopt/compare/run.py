"""What the runs of a comparison have in common, checked before anything trains, and one run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import nn

from hybridopt import optim
from hybridopt._environment import torch_threads
from hybridopt.compare.budget import Budget
from hybridopt.compare.budget_tracking import check_budget
from hybridopt.compare.methods import Method
from hybridopt.compare.resampling import (
    NetworkSource,
    copy_of,
    draw_data,
    draw_network,
    set_executor,
    validation_split,
)
from hybridopt.compare.results import Run, Trial, failed
from hybridopt.compare.training import (
    Trained,
    evaluate,
    inference_seconds,
    stage_budgets,
    train,
    wrap_network,
)
from hybridopt.compare.tuning import Tuning, best
from hybridopt.data import Dataset, as_dataset
from hybridopt.errors import ArgumentError, ArgumentTypeError, DataError, HybridOptError
from hybridopt.execution import AerExecutor, Executor
from hybridopt.training.loop import executors_of
from hybridopt.training.objective import choose_loss
from hybridopt.training.sanity_check import check_fit

ExecutorSource = Executor | Callable[[int], Executor] | None


@dataclass(frozen=True)
class Experiment:
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

    # -- checks

    def check(
        self, methods: Sequence[Method], seed: int
    ) -> tuple[Dataset, dict[str, list[Budget]]]:
        """Refuse what cannot work, by the data and the network of one seed; nothing trains or runs.

        Returns:
            The data of the seed, and the budgets of the stages by method.

        Raises:
            HybridOptError: With the method in question.
        """
        data, network = self.draw(seed)
        validation_split(data, self.tuning.validation_fraction, seed)
        self._check_fit(network, data)
        budgets = {}
        for method in methods:
            try:
                budgets[method.name] = self._check_method(method, data, network, seed)
            except HybridOptError as error:
                raise type(error)(f"Method {method.name!r}: {error}") from error
        return data, budgets

    def _check_fit(self, network: nn.Module, data: Dataset) -> None:
        """Refuse data, network and loss that do not go together, or have no metric."""
        assert data.test is not None
        largest = None
        if data.task == "classification":
            largest = max(int(data.train.y.max()), int(data.test.y.max()))
        samples = (data.train.x[:32], data.train.y[:32])
        check_fit(network, samples, choose_loss(self.loss, data.task), largest)
        if not any(isinstance(executor, Executor) for executor in executors_of(network)):
            evaluate(network, data.test, self.loss, data.task)

    def _check_method(
        self, method: Method, data: Dataset, network: nn.Module, seed: int
    ) -> list[Budget]:
        executor = self.make_executor(seed)
        limits = stage_budgets(network, method, self.budget, executor, data.train.x, seed)
        for stage, part in zip(method.stages, limits, strict=True):
            wrapped = wrap_network(network, stage, executor, seed)
            trained = [p for p in wrapped.parameters() if p.requires_grad]
            optimizer = optim.create(stage.optimizer, trained, lr=stage.base_lr, **stage.options)
            if stage.optimizer == "gd" and stage.step_samples is not None:
                raise ArgumentError(
                    'optimizer "gd" uses all samples in every step, but the batch size is '
                    f'{stage.step_samples}. Leave it out, or use "sgd".'
                )
            if stage.scheduler is not None and part.epochs is None:
                raise ArgumentError(
                    f"scheduler {stage.scheduler!r} runs over the epochs of the budget, but "
                    f"{self.budget} has none. Add some; the first limit to be met stops."
                )
            check_budget(wrapped, optimizer, part, data.train.x[: stage.step_samples])
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
            apart = validation_split(data, self.tuning.validation_fraction, seed)
            while len(trials) < self.tuning.trials:
                candidate = self.tuning.next_factor(trials)
                trials.append(self._trial(method, apart, candidate, seed))
            chosen = best(trials)
            if chosen is None:
                raise DataError(f"All trials of tuning failed, the last with: {trials[-1].error}")
            factor = chosen.factor
        trained = self._train(network, data, method, factor, seed, watch=True)
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
        watch: bool,
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
