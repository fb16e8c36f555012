"""`compare`: methods side by side on the same data and budgets, over several seeds."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from itertools import combinations
from pathlib import Path
from typing import Any, Literal

import numpy as np
from torch import nn

from hybridopt import _validation
from hybridopt._environment import made_with
from hybridopt._files import check_writable
from hybridopt.compare.budget import DEFAULT_EPOCHS, Budget
from hybridopt.compare.methods import FORMS, Method
from hybridopt.compare.resampling import ExecutorSource, Experiment, NetworkSource, check_network
from hybridopt.compare.run import check_experiment
from hybridopt.compare.run_store import RunStore
from hybridopt.compare.runner import all_runs, default_workers
from hybridopt.compare.study import Study
from hybridopt.compare.tuning import DEFAULT_TRIALS, Tuning
from hybridopt.data import as_dataset
from hybridopt.errors import ArgumentError, ArgumentTypeError, HybridOptError, UnknownNameError
from hybridopt.execution import Executor
from hybridopt.training.loop import executors_of
from hybridopt.training.objective import metric_name
from hybridopt.training.sanity_check import check_gradients

MOST_SEEDS = 10_000


def compare(
    network: NetworkSource,
    data: object,
    *,
    methods: Sequence[str | Method],
    budget: int | str | Mapping[str, Any] | Budget | None = None,
    seeds: int | Sequence[int] | np.ndarray = 5,
    tuning: int | Tuning | None = DEFAULT_TRIALS,
    control: str | None = None,
    reach: float | None = None,
    confidence: float = 0.95,
    batch_size: int | str | None = "auto",
    loss: object = None,
    executor: ExecutorSource = None,
    redraw_split: bool = True,
    output: str | os.PathLike[str] | None = None,
    resume: bool | Literal["force"] = True,
    workers: int | None = 1,
    threads: int = 1,
    progress: bool = False,
) -> Study:
    """Compare ways to train a network: same data, same budget, same tuning, several seeds.

    Each seed draws split, starting weights and order of the samples anew, the same for all
    methods. The learning rate of every method is chosen by as many trials on a validation part of
    the training part, for each seed apart; the test part never chooses anything. A run that fails
    is reported in the study, and the others go on. Everything is checked before anything trains.

    Args:
        network: A function without arguments that makes a network; a network, whose layers are
            drawn anew by their ``reset_parameters``; or a text such as ``"mlp:64-20-10"``.
        data: Name of a dataset; or what `hybridopt.fit` takes: a Dataset, a pair ``(x, y)``, a
            ``TensorDataset``. A fifth is kept for testing where the data bring no test part.
        methods: Texts as `Method` reads them, or Methods: an optimizer, a bridge or control with
            an optimizer, or a chain such as ``"adam:3 > memory+adam:5 > adam:10"``, whose numbers
            share the budget out.
        budget: What each method may spend, as `Budget.parse` reads it: a number of epochs,
            ``"10 epochs"``, ``"30 seconds"``, ``"5000 settings"``, ``"1e6 shots"``, or several.
            None is the sum of the numbers in the (longest) chain, or 5 epochs.
        seeds: How many, from 0 on; or a list of them. At least 2.
        tuning: Trials of the learning rate for every method and seed, or a Tuning; None or 1
            tries nothing and takes the base rates.
        control: What the others are compared with; None is the first method without a bridge, or
            else the first.
        reach: Test metric for "steps to reach"; None is 95 % of the mean of the control.
        confidence: Of all intervals together.
        batch_size: ``"auto"`` is 32, and all samples for gd, newton and lbfgs; a number or None
            (all samples) is for the optimizers that take batches.
        loss: As `hybridopt.fit` takes it.
        executor: What runs the circuits, those of the bridges and those that the network brings
            (whose own executors it replaces, in copies); or a function of a seed that makes it.
            None is exact for bridges, and leaves the network's circuits what they have. Its random
            stream is set anew for each run, and left as it was.
        redraw_split: False keeps the split of a Dataset for all seeds.
        output: Folder for finished runs, study.json and report.html. It belongs to one
            comparison, which goes on from its finished runs after an interruption.
        resume: True refuses a folder of another comparison: with other methods, seeds, budget,
            data, starting weights, versions of Python and packages, or another text of your
            functions. ``"force"`` takes over the finished runs nevertheless, by method and seed.
            False refuses a folder that holds any run.
        workers: Processes; None is one for each core. With 1, runs follow each other in this
            process. Other processes need a network, data and
            executor that can be pickled, and in scripts the guard
            ``if __name__ == "__main__":``; runs that share a machine also disturb each other's
            times.
        threads: Of torch's, for each run, wherever it is made. Small tensors gain nothing from
            more, and on a busy machine threads that wait for each other spoil the times.
        progress: Show a bar.

    Returns:
        The `Study`.

    Raises:
        UnknownNameError: For unknown optimizers, bridges, options and datasets.
        ArgumentError, ArgumentTypeError: If an argument is unusable, a method doubled, the control
            not among the methods, or a budget one that a method never spends.
        DataError: If the samples cannot be trained on or do not fit the network.
        ConversionError: If a bridge cannot carry the network.
        CheckpointError: If a stored run is damaged or of an earlier schema, or ``output`` belongs
            to another comparison.
        TrainingError: Where gradients are switched off (``no_grad``).
        KeyboardInterrupt: On Ctrl-C; finished runs are in ``output``.

    Example:
        >>> import hybridopt as ho
        >>> study = ho.compare("mlp:4-3", "iris", methods=["adam", "gd"], budget="1 epoch",
        ...                    seeds=2, tuning=None)
        >>> study.control, len(study.runs)
        ('adam', 4)
    """
    began = time.perf_counter()
    check_gradients()
    chosen = _methods(methods, batch_size)
    check_network(network)
    if executor is not None and not callable(executor):
        expected = "an executor such as AerExecutor(), a function of a seed that makes one, or None"
        _validation.instance("executor", executor, Executor, expected)
    experiment = Experiment(
        network=network,
        data=data if isinstance(data, str) else as_dataset(data),
        redraw=_validation.boolean("redraw_split", redraw_split),
        budget=_budget(budget, chosen),
        tuning=Tuning.parse(tuning),
        executor=executor,
        loss=loss,
        threads=_validation.integer("threads", threads, minimum=1),
    )
    numbers, reference = _seeds(seeds), _control(control, chosen)
    confidence = _validation.real("confidence", confidence, minimum=0, below=1, strict=True)
    reach = _validation.optional_real("reach", reach)
    _validation.optional_integer("workers", workers, minimum=1)
    _validation.boolean("progress", progress)
    if resume not in (True, False, "force"):
        raise ArgumentError(f"Argument `resume` must be True, False or 'force', but is {resume!r}.")
    store = None
    if output is not None:
        output = _validation.path("output", output)
        store = RunStore(Path(output))
        for name in ("study.json", "report.html"):
            check_writable(store.folder / name)
    with _streams_left_alone(experiment):
        sample, budgets = check_experiment(experiment, chosen, numbers[0])
        count = default_workers() if workers is None else workers
        runs = all_runs(experiment, chosen, numbers, store, resume, count, show=progress)
    assert sample.test is not None
    study = Study(
        data=sample.name,
        task=sample.task,
        metric_name=metric_name(sample.task, loss),
        methods=tuple(method.name for method in chosen),
        control=reference,
        seeds=tuple(numbers),
        budget=str(experiment.budget),
        tuning=asdict(experiment.tuning),
        runs=runs,
        confidence=confidence,
        reach=reach,
        details={
            "stages": {
                method.name: [
                    {**stage, "budget": str(part)}
                    for stage, part in zip(method.to_dict(), budgets[method.name], strict=True)
                ]
                for method in chosen
            },
            "samples": {"train": len(sample.train), "test": len(sample.test)},
            "redraw_split": experiment.redraw,
            **made_with(),
        },
        seconds=time.perf_counter() - began,
    )
    if store is not None:
        study.save(store.folder / "study.json")
        study.to_html(store.folder / "report.html")
    return study


def _methods(methods: object, batch_size: object) -> list[Method]:
    if isinstance(methods, str | Method) or not isinstance(methods, Sequence):
        raise ArgumentTypeError(
            f"Argument `methods` must be a list of methods such as {FORMS}, but is {methods!r}."
        )
    if not methods:
        raise ArgumentError(f"Argument `methods` is empty. Give one or more, such as {FORMS}.")
    chosen = [Method.parse(method) for method in methods]
    if batch_size != "auto":
        size = _validation.optional_integer("batch_size", batch_size, minimum=1)
        chosen = [method.with_batch_size(size) for method in chosen]
    for one, other in combinations(chosen, 2):
        if one.name == other.name:
            raise ArgumentError(f"The method {one.name!r} is given twice. Give a Method a `name`.")
        if one.to_dict() == other.to_dict():
            raise ArgumentError(f"The methods {one.name!r} and {other.name!r} are the same.")
    return chosen


def _budget(budget: object, methods: Sequence[Method]) -> Budget:
    if budget is None:
        asked = [method.epochs for method in methods if method.epochs is not None]
        budget = max(asked, default=DEFAULT_EPOCHS)
    chosen = Budget.parse(budget)
    for method in methods:
        if len(method.stages) == 1 and method.epochs not in (None, chosen.epochs):
            raise ArgumentError(
                f"The method {method.name!r} asks for {method.epochs} epochs, but the budget of "
                f"every method is {chosen}. Leave the number out."
            )
    return chosen


def _seeds(seeds: object) -> list[int]:
    listed = isinstance(seeds, Sequence | np.ndarray) and not isinstance(seeds, str)
    count = len(seeds) if listed else _validation.integer("seeds", seeds, minimum=0)  # type: ignore[arg-type]
    if count > MOST_SEEDS:
        raise ArgumentError(f"Argument `seeds` must be {MOST_SEEDS:,} or fewer, but is {count:,}.")
    given: Any = seeds if listed else range(count)
    numbers = [_validation.integer("seeds", seed, minimum=0) for seed in given]
    if len(set(numbers)) < len(numbers):
        raise ArgumentError(f"Argument `seeds` holds a seed twice: {numbers}.")
    if count < 2:
        raise ArgumentError(
            f"Argument `seeds` must be 2 or more, but is {count}: a single seed has no spread."
        )
    return numbers


def _control(control: object, methods: Sequence[Method]) -> str:
    names = [method.name for method in methods]
    if control is None:
        return next((method.name for method in methods if not method.uses_bridge), names[0])
    if control not in names:
        with suppress(HybridOptError):
            control = Method.parse(control).name  # another spelling of a method
    if control not in names:
        known = ", ".join(names)
        raise UnknownNameError(f"The control {control!r} is not among the methods: {known}.")
    return str(control)


@contextmanager
def _streams_left_alone(experiment: Experiment) -> Iterator[None]:
    """Give executors of the caller's their places in their random streams back."""
    network, executor = experiment.network, experiment.executor
    executors = executors_of(network) if isinstance(network, nn.Module) else []
    if isinstance(executor, Executor):
        executors.append(executor)
    before = [one.state_dict() for one in executors]
    try:
        yield
    finally:
        for one, state in zip(executors, before, strict=True):
            one.load_state_dict(state)
