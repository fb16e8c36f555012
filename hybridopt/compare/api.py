"""The function `compare`: train with several methods on equal data and budgets, over seeds."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict
from itertools import combinations
from typing import Any, Literal

import numpy as np
from torch import nn
from torch.utils.data import DataLoader

from hybridopt import _validation
from hybridopt._environment import made_with
from hybridopt._files import check_writable
from hybridopt._suggestions import explain_arguments
from hybridopt.compare.budget import DEFAULT_EPOCHS, Budget
from hybridopt.compare.cluster import DaskCluster
from hybridopt.compare.executors import (
    NO_CIRCUIT,
    ExecutorSource,
    check_source,
    executor_from,
    executor_label,
)
from hybridopt.compare.experiment_checks import CheckedMethod, check_experiment
from hybridopt.compare.methods import EXAMPLES, Method
from hybridopt.compare.resampling import Experiment, NetworkSource, check_network
from hybridopt.compare.run_store import RunStore
from hybridopt.compare.runner import Engine, InProcess, ProcessPools, all_runs, default_workers
from hybridopt.compare.stage_setup import experiment_of
from hybridopt.compare.study import Study
from hybridopt.compare.tuning import DEFAULT_TRIALS, Tuning
from hybridopt.data import Dataset, as_dataset, load_dataset
from hybridopt.data.coerce import without_zero_weights
from hybridopt.data.csv_file import is_csv
from hybridopt.errors import ArgumentError, ArgumentTypeError, HybridOptError, UnknownNameError
from hybridopt.execution import Executor
from hybridopt.training.loop import executors_of
from hybridopt.training.objective import metric_name
from hybridopt.training.sanity_check import check_gradients

MOST_SEEDS = 10_000
_WITH_OWN_EXECUTORS = threading.RLock()  # a run sets the random stream of an executor


@explain_arguments
def compare(
    network: NetworkSource | Mapping[str, NetworkSource],
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
    judge: ExecutorSource = None,
    redraw_split: bool = True,
    output: str | os.PathLike[str] | None = None,
    resume: bool | Literal["force"] = True,
    workers: int | None = 1,
    client: object = None,
    threads: int = 1,
    progress: bool | None = None,
) -> Study:
    """Compare training methods with equal data, budget and tuning, over several seeds.

    Each seed draws a new split, new starting weights and a new order of samples, the same for all
    methods. The learning rate is tuned for each method and seed with the same number of trials on a
    validation part of the training data. No choice depends on the test part. A failed run is
    reported in the study, and the others continue. All arguments are checked before training.
    Several threads may compare at the same time, see `hybridopt.fit`. Comparisons with executors
    of the caller then run one after another.

    Args:
        network: Function without arguments that makes a network; a network, whose layers are
            initialized with their ``reset_parameters``; or a text such as ``"mlp:64-20-10"``. A
            dict of such networks by names compares them, each with every method; the control is
            then the first network.
        data: Name of a dataset or path of a CSV file, see `hybridopt.load_dataset`; a Dataset, a
            pair ``(x, y)`` or triple ``(x, y, sample_weight)``, or a torch dataset or
            ``DataLoader``, see `hybridopt.data.as_dataset`. Datasets and loaders must end, and are
            read once into memory. Samples of weight 0 are left out.
            Without a test part, a fifth of the samples becomes the test part.
        methods: Methods or their texts: an optimizer, a bridge or control with an optimizer, or a
            chain such as ``"adam:3 > memory+adam:5 > adam:10"``. The numbers in a chain are shares
            of the budget. A `Method` can have a network of its own.
        budget: Limit per method, see `Budget.parse`: a number of epochs, ``"10 epochs"``,
            ``"30 seconds"``, ``"5000 settings"``, ``"1e6 shots"``, or several. None is the sum of
            the numbers in the longest chain, or 5 epochs.
        seeds: Number of seeds, counted from 0, or a list of seeds; at least 2.
        tuning: Number of trials of the learning rate per method and seed, or a Tuning. None or 1
            uses the base rates.
        control: Name of the method that the others are compared with. None is the first method
            without a bridge, or else the first method.
        reach: Test metric for "steps to reach"; None is 95 % of the control's mean.
        confidence: Simultaneous confidence level of all intervals.
        batch_size: Number of samples per step, or None for all samples, for optimizers that use
            batches. ``"auto"`` is 32, or the batch size of a DataLoader, and all samples for gd,
            newton and lbfgs.
        loss: Loss function, see `hybridopt.fit`.
        executor: Executor of all circuits, or a function of a seed that makes one. It replaces the
            executors in copies of the network. If None, bridges are simulated exactly, and circuits
            in the network keep their executors. Each run sets its random stream, which is restored
            at the end. `Method` has executors for one method, and schedules of executors.
        judge: Executor under which all trained networks are judged, or a function of a seed that
            makes one; None judges each under the executor of its training. The test metric is that
            of the judge. Training, tuning and curves do not use it. Networks without circuits are
            judged as they are. With shots, the metric is the mean of 5 evaluations, and
            ``Run.metric_error`` its standard error. Costs of judging are separate.
        redraw_split: False keeps the split of a Dataset for all seeds.
        output: Folder for finished runs, study.json and report.html. It belongs to one comparison,
            which continues from its finished runs after an interruption.
        resume: True rejects a folder of another comparison. Methods, seeds, budget, data, starting
            weights, versions of Python and packages, and the code of your functions must be equal.
            ``"force"`` uses finished runs in spite of other code or versions, and for other sets
            of methods and seeds. False rejects each folder with runs.
        workers: Number of processes; 1 is this process, None is one per core. Other processes
            need picklable data, network and executor. When you use them in a script, guard the
            call with ``if __name__ == "__main__":``. Parallel runs disturb each other's times.
        client: Client of a Dask cluster (``distributed.Client``), whose workers make the runs; it
            needs the extra ``dask``. Results are those of ``workers=1``, except times. A run whose
            worker dies starts again; after three deaths it is a failed run. Runs in several threads
            of one worker wait for each other, so start workers with one thread each.
        threads: Number of torch threads per run. Small tensors do not gain from more threads.
        progress: True shows a progress bar on standard error, False none. None shows it in a
            terminal and in a notebook.

    Returns:
        The study of all runs.

    Raises:
        UnknownNameError: If an optimizer, bridge, option or dataset is unknown, or the control is
            not one of the methods.
        ArgumentError, ArgumentTypeError: If an argument is invalid, two methods are equal, or a
            method cannot use up its budget.
        DataError: If the samples are too few or do not fit the network.
        ConversionError: If a bridge does not support the network, or it cannot be copied.
        CheckpointError: If a stored run is damaged or has an earlier schema, or ``output`` belongs
            to another comparison.
        TrainingError: If gradients are disabled (``no_grad``).
        ExecutionError: If the cluster has no worker for a minute, or workers with other versions.
        MissingExtraError: If ``client`` is given and distributed is not installed.
        KeyboardInterrupt: If you press Ctrl-C; finished runs are in ``output``.

    Example:
        >>> import hybridopt as ho
        >>> study = ho.compare("mlp:4-3", "iris", methods=["adam", "gd"], budget="1 epoch",
        ...                    seeds=2, tuning=None)
        >>> study.control, len(study.runs)
        ('adam', 4)
    """
    began = time.perf_counter()
    check_gradients()
    if isinstance(data, DataLoader) and batch_size == "auto":
        batch_size = data.batch_size or "auto"
    chosen = _methods(methods, batch_size)
    if isinstance(network, Mapping):
        network, chosen = _each_network(network, chosen)
    check_network(network)
    _check_different(chosen)
    check_source("executor", executor)
    check_source("judge", judge)
    experiment = Experiment(
        network=network,
        data=_read_once(data),
        redraw=_validation.boolean("redraw_split", redraw_split),
        budget=_budget(budget, chosen),
        tuning=Tuning.parse(tuning),
        executor=executor,
        loss=loss,
        threads=_validation.integer("threads", threads, minimum=1),
        judge=judge,
    )
    numbers, reference = _seeds(seeds), _control(control, chosen)
    confidence = _validation.real("confidence", confidence, minimum=0, below=1, strict=True)
    reach = _validation.optional_real("reach", reach)
    engine = _engine(workers, client)
    _validation.instance("progress", progress, bool | None, "True, False or None")
    if resume not in (True, False, "force"):
        raise ArgumentError(f"`resume` must be True, False or 'force' (got {resume!r}).")
    store = None
    if output is not None:
        store = RunStore(_validation.path("output", output))
        for name in ("study.json", "report.html"):
            check_writable(store.folder / name)
    with _random_streams_restored(experiment, chosen):
        sample, checked = check_experiment(experiment, chosen, numbers[0])
        try:
            runs = all_runs(experiment, chosen, numbers, store, resume, engine, progress)
        except KeyboardInterrupt as error:
            if store is not None:
                error.add_note(f"Finished runs are in {store.folder}; the same call continues.")
            raise
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
            "networks": _networks(experiment, chosen),
            "stages": {method.name: _stages(method, checked[method.name]) for method in chosen},
            **_judged(experiment, chosen, checked),
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


def _read_once(data: object) -> str | Dataset:
    """Return the name of a dataset, or samples that no run reads again."""
    if is_csv(data):
        data = load_dataset(data)  # type: ignore[arg-type]
    return data if isinstance(data, str) else without_zero_weights(as_dataset(data))


def _engine(workers: object, client: object) -> Engine:
    count = _validation.optional_integer("workers", workers, minimum=1)
    if client is not None:
        if count != 1:
            raise ArgumentError(
                f"`workers` must be 1 with a `client`, whose cluster makes the runs (got {count}). "
                "Leave one of them out."
            )
        return DaskCluster(client)
    count = count or default_workers()
    return InProcess() if count == 1 else ProcessPools(count)


def _stages(method: Method, checked: CheckedMethod) -> list[dict[str, Any]]:
    """Return the stages of a method with their budgets and executors, in plain types."""
    return [
        {**stage, "budget": str(part), "executor": label}
        for stage, part, label in zip(
            method.to_dict(), checked.budgets, checked.executors, strict=True
        )
    ]


def _networks(experiment: Experiment, methods: Sequence[Method]) -> list[str]:
    """Return the texts, functions or classes that made the networks."""
    sources = [experiment_of(experiment, method).network for method in methods]
    names = [
        one if isinstance(one, str) else getattr(one, "__name__", type(one).__name__)
        for one in sources
    ]
    return list(dict.fromkeys(names))


def _judged(
    experiment: Experiment, methods: Sequence[Method], checked: Mapping[str, CheckedMethod]
) -> dict[str, Any]:
    """Return the executors of methods and of the judge, if any of them are given."""
    sources = [stage.executor for method in methods for stage in method.stages]
    sources += [experiment.judge]
    given = [executor_from(source, 0) for source in sources if source is not None]
    if not given:
        return {}
    found = {"executors": {repr(one): executor_label(one) for one in given}}
    if experiment.judge is None:
        return found
    judged = {name: one.judged or NO_CIRCUIT for name, one in checked.items()}
    return {**found, "judge": executor_label(given[-1]), "judged": judged}


def _methods(methods: object, batch_size: object) -> list[Method]:
    if isinstance(methods, str | Method) or not isinstance(methods, Sequence):
        raise ArgumentTypeError(f"`methods` must be a list such as [{EXAMPLES}] (got {methods!r}).")
    if not methods:
        raise ArgumentError(f"`methods` must not be empty. Pass for example [{EXAMPLES}].")
    chosen = [Method.parse(method) for method in methods]
    if batch_size != "auto":
        size = _validation.optional_integer("batch_size", batch_size, minimum=1)
        chosen = [method.with_batch_size(size) for method in chosen]
    return chosen


def _each_network(
    networks: Mapping[str, NetworkSource], methods: Sequence[Method]
) -> tuple[NetworkSource, list[Method]]:
    """Return the first network, and every method with every network."""
    if len(networks) < 2 or not all(isinstance(name, str) and name.strip() for name in networks):
        raise ArgumentError(
            "`network` must be one network, or a dict of at least two networks by names such as "
            f'{{"quantum": ..., "classical": ...}} (got the keys {list(networks)}).'
        )
    owners = [method.name for method in methods if method.network is not None]
    if owners:
        raise ArgumentError(
            f"`network` must be one network if a method has its own (got method {owners[0]!r})."
        )
    for source in networks.values():
        check_network(source)
    alone = len(methods) == 1
    chosen = [
        method.on(name, network, alone=alone)
        for name, network in networks.items()
        for method in methods
    ]
    return next(iter(networks.values())), chosen


def _check_different(methods: Sequence[Method]) -> None:
    for one, other in combinations(methods, 2):
        if one.name == other.name:
            raise ArgumentError(
                f"`methods` must have different names (got {one.name!r} twice). Pass "
                "`Method(..., name=...)` to rename one."
            )
        if one.network is other.network and one.to_dict() == other.to_dict():
            raise ArgumentError(
                f"`methods` must be different (got equal {one.name!r} and {other.name!r})."
            )


def _budget(budget: object, methods: Sequence[Method]) -> Budget:
    if budget is None:
        asked = [method.epochs for method in methods if method.epochs is not None]
        budget = max(asked, default=DEFAULT_EPOCHS)
    chosen = Budget.parse(budget)
    for method in methods:
        if not method.is_chain and method.epochs not in (None, chosen.epochs):
            raise ArgumentError(
                f"`budget` must be {method.epochs} epochs for method {method.name!r} (got "
                f"{chosen}). Remove the number from the method."
            )
    return chosen


def _seeds(seeds: object) -> list[int]:
    listed = isinstance(seeds, Sequence | np.ndarray) and not isinstance(seeds, str)
    count: Any = len(seeds) if listed else seeds  # type: ignore[arg-type]
    _validation.integer("seeds", count, minimum=2, maximum=MOST_SEEDS)
    given: Any = seeds if listed else range(count)
    numbers = [_validation.integer("seeds", seed, minimum=0) for seed in given]
    if len(set(numbers)) < len(numbers):
        raise ArgumentError(f"`seeds` must be different from each other (got {numbers}).")
    return numbers


def _control(control: object, methods: Sequence[Method]) -> str:
    names = [method.name for method in methods]
    if control is None:
        return next((method.name for method in methods if not method.uses_bridge), names[0])
    if control not in names:
        with suppress(HybridOptError):
            control = Method.parse(control).name  # normalizes the spelling
    if control not in names:
        known = ", ".join(names)
        raise UnknownNameError(f"`control` must be one of the methods {known} (got {control!r}).")
    return str(control)


@contextmanager
def _random_streams_restored(experiment: Experiment, methods: Sequence[Method]) -> Iterator[None]:
    """Restore the random streams of the caller's executors at the end.

    Comparisons in several threads with executors of the caller run one after another, because each
    run sets the stream of its executor.
    """
    networks = (experiment.network, *(method.network for method in methods))
    modules = [network for network in networks if isinstance(network, nn.Module)]
    executors = [executor for module in modules for executor in executors_of(module)]
    sources = [experiment.executor, experiment.judge]
    sources += [stage.executor for method in methods for stage in method.stages]
    given = [source for source in sources if isinstance(source, Executor)]
    executors = list({id(one): one for one in (*executors, *given)}.values())
    with _WITH_OWN_EXECUTORS if executors else nullcontext():
        before = [one.state_dict() for one in executors]
        try:
            yield
        finally:
            for one, state in zip(executors, before, strict=True):
                one.load_state_dict(state)
