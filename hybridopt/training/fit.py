"""`fit`: train a network, classical or quantum, with any optimizer."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from hybridopt import _validation, optim
from hybridopt._files import check_writable
from hybridopt._random import isolated
from hybridopt._streams import shows_progress
from hybridopt._suggestions import explain_arguments
from hybridopt.errors import ArgumentError, ArgumentTypeError, LimitError
from hybridopt.nn.frozen_state import eval_locked
from hybridopt.optim import OPTIMIZERS
from hybridopt.optim.registry import option_names
from hybridopt.training.batches import ReadBatches, TrainingData, training_data
from hybridopt.training.callbacks import Callback, EpochFunction, check_callbacks
from hybridopt.training.checkpoint import Checkpoint
from hybridopt.training.gradient_steps import StepOptions
from hybridopt.training.history import History
from hybridopt.training.loop import StoppingRule, Training
from hybridopt.training.lr_range_test import run_range_test
from hybridopt.training.objective import Loss, choose_loss, metric_name
from hybridopt.training.sanity_check import (
    check_fit,
    check_gradients,
    check_network,
    checked_device,
)
from hybridopt.training.schedulers import create_schedule


@explain_arguments
def fit(
    network: nn.Module,
    data: object,
    *,
    optimizer: str | Optimizer = "adam",
    lr: float | str | None = None,
    epochs: int = 5,
    batch_size: int | str | None = "auto",
    loss: object = None,
    seed: int | None = 0,
    tol: float | None = None,
    patience: int | None = None,
    scheduler: str | LRScheduler | Callable[[Optimizer], LRScheduler] | None = None,
    callbacks: Sequence[Callback | EpochFunction] = (),
    progress: bool | str | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    device: str | torch.device | None = None,
    clip_grad_norm: float | None = None,
    accumulate: int = 1,
    **options: Any,
) -> History:
    """Train a network in place.

    The same seed gives the same result. The global random state of the caller is unchanged.
    Ctrl-C ends training with status ``"interrupted"`` and the weights of the last complete step. A
    limit of an executor, as of `PrimitiveExecutor`, does the same with status ``"limit"``. Then
    `History.reason` contains the cost so far.

    Several threads may train at the same time, each its own network. Their steps take turns, and
    each gives the numbers that it gives alone. Other threads must not draw from the global
    generators of torch, numpy and Python meanwhile, for example to initialise a network: these
    numbers would come from the seed of the training and change its result. Networks may share an
    executor. With shots, no noise is drawn twice, but the order of the threads decides who draws
    it. Give each network its own executor for reproducible shots.

    Args:
        network: Any module with one output tensor; quantum networks are modules.
        data: Dataset, pair ``(x, y)`` or triple ``(x, y, sample_weight)`` of tensors or arrays, or
            any torch dataset or ``DataLoader`` with such samples. A tuple ``x`` has several inputs,
            a dict those of ``network(**x)``; a dict with inputs and ``"y"`` is one sample or batch.
            Real numbers are cast to the dtype of the network. Datasets that are not in memory are
            read again in each epoch, an IterableDataset in its order and without a metric.
        optimizer: ``gd sgd newton adagrad rmsprop adam lbfgs``, or an instance of a torch
            optimizer.
        lr: Learning rate; None for the optimizer's default (`hybridopt.optim.create`). ``"auto"``
            runs a range test of up to 60 steps on a copy, which counts in ``History.cost``
            (`hybridopt.training.lr_range_test`). If the range test shows only noise, the default is
            used, and ``History.range_test.reason`` reports this.
        epochs: Total number of passes through the data, including those in a checkpoint.
        batch_size: Number of samples per step; None for all samples. ``"auto"`` is None for gd,
            newton and lbfgs, otherwise 32.
        loss: Module or function of (outputs, targets) that returns a mean over samples. None for
            cross entropy with class labels and mean squared error with real targets. With sample
            weights w, a step minimizes ``sum(w * l) / sum(w)``: your own loss must then return one
            value per sample. Samples of weight 0 are left out.
        seed: Seed for the order of samples, dropout, and the global generators of torch, numpy and
            Python. If None, a random seed is used. Executors have their own seeds.
        tol: Smallest change of the training loss between two epochs; training stops at or below it.
        patience: Number of epochs without a lower test loss (training loss without a test part)
            after which training stops. The weights of the last epoch are kept.
        scheduler: Name of a learning-rate schedule: ``cosine exponential linear one-cycle plateau
            step`` (`hybridopt.training.schedulers.Schedule` has the formulas). Alternatively,
            torch's scheduler of the given optimizer, or a function that makes one from an
            optimizer. OneCycleLR and CyclicLR are stepped after each batch, others per epoch.
        callbacks: `Callback` objects, or functions of (`EpochRecord`, network) that are called
            after each epoch. A true return value ends training.
        progress: True shows a progress bar on standard error, a string is its label, False shows
            none. None shows it in a terminal and in a notebook.
        checkpoint: Path of a file that is replaced after each epoch. If it exists, training
            continues from it and gives the numbers of an uninterrupted run.
        device: Device of torch modules: ``"cpu"``, ``"cuda"``, ``"mps"``; None keeps the device of
            the network. Circuits run on the device of their executor, `AerExecutor(device=)`.
        clip_grad_norm: Largest 2-norm of the gradient of all parameters in a step, as in
            `torch.nn.utils.clip_grad_norm_`. None for no limit.
        accumulate: Number of batches per step of the optimizer; the gradient is that of the mean
            loss over their samples. The last step of an epoch may have fewer batches.
        **options: Further arguments of the optimizer, if ``optimizer`` is a name.

    Returns:
        The `History`. Quantum networks with ``merge="epoch"`` are merged after every epoch: the
        trained weights become the new start. A merge keeps the moments of Adam and RMSprop and
        clears the state of L-BFGS.

    Raises:
        DataError: If the samples are unusable or do not fit the network.
        ArgumentError, ArgumentTypeError: If another argument is unusable.
        CheckpointError: If the checkpoint is damaged or belongs to another run.
        TrainingError: If gradients are disabled, or the loss is no longer finite. The message
            contains epoch and batch, and the network has its last weights with a finite loss.

    Example:
        >>> import torch, hybridopt as ho
        >>> data = ho.load_dataset("iris", seed=0)
        >>> history = ho.fit(torch.nn.Linear(4, 3), data, epochs=2)
        >>> history.status
        'epochs'
    """
    epochs = _validation.integer("epochs", epochs, minimum=0)
    seed = _validation.optional_integer("seed", seed, minimum=0)
    rule = StoppingRule(
        _validation.optional_real("tol", tol, minimum=0),
        _validation.optional_integer("patience", patience, minimum=1),
    )
    check_network(network)
    hooks = check_callbacks(callbacks)
    _validation.instance("progress", progress, bool | str | None, "True, False, None or a label")
    if checkpoint is not None:
        checkpoint = _validation.path("checkpoint", checkpoint)
        check_writable(checkpoint)
    _check_rate(lr, optimizer)
    _check_options(optimizer, options)
    target = checked_device(device, network)
    if target is not None:
        network.to(target)

    def build(parameters: list[nn.Parameter], rate: float | str | None) -> Optimizer:
        number = None if isinstance(rate, str) else rate
        return optim.create(optimizer, parameters, lr=number, **options)

    to_unfreeze = {id(p) for hook in hooks for p in hook.parameters_to_come(network)}
    built = build([p for p in network.parameters() if p.requires_grad or id(p) in to_unfreeze], lr)
    if epochs:
        check_gradients(built)
    with _training_mode(network):
        prepared, chosen = _prepared(network, data, optimizer, batch_size, loss, seed)
        file = Checkpoint(checkpoint, seed=seed, auto_lr=lr == "auto")
        history = History(metric_name(prepared.task, loss))
        step_options = StepOptions.checked(clip_grad_norm, accumulate, built, hooks)
        steps = -(-len(prepared.batches) // step_options.accumulate)
        shown = shows_progress() if progress is None else progress is not False
        bar = [_ProgressBar(progress, steps, epochs)] if shown else []
        hooks = [*bar, *hooks]
        training = Training(
            network, prepared, built, chosen, rule, hooks, history, to_unfreeze,
            step_options=step_options,
        )  # fmt: skip
        if lr == "auto":
            trained = [p for group in built.param_groups for p in group["params"]]
            create_schedule(scheduler, build(trained, None), epochs=epochs, steps=steps)
            if not _choose_rate(training, build, file, epochs, seed):
                return history
        training.schedule = create_schedule(scheduler, built, epochs=epochs, steps=steps)
        with isolated(seed):
            file.open(training)
            training.run(epochs, lambda: file.save(training))
    return history


def _check_rate(lr: object, optimizer: str | Optimizer) -> None:
    spec = optim.spec_of(optimizer)
    if not isinstance(lr, str):
        return
    if lr != "auto":
        raise ArgumentTypeError(f'`lr` must be a number, None or "auto" (got {lr!r}).')
    if isinstance(optimizer, Optimizer):
        raise ArgumentError(
            'lr="auto" must have an optimizer by name (got an instance of '
            f"{type(optimizer).__name__}). Name the optimizer, or set `lr` when you create it."
        )
    if spec is not None and spec.name in {"newton", "lbfgs"}:
        raise ArgumentError(
            f'lr="auto" must have an optimizer without a line search (got {spec.name!r}). Leave '
            "`lr` out."
        )


def _check_options(optimizer: str | Optimizer, options: dict[str, Any]) -> None:
    """Reject options that no optimizer has; those of other optimizers are rejected by `create`."""
    taken = [*inspect.signature(fit).parameters][:-1]
    build = type(optimizer) if isinstance(optimizer, Optimizer) else OPTIMIZERS[optimizer].build
    known = [*taken, *option_names(build)]
    others = {name for spec in OPTIMIZERS.values() for name in option_names(spec.build)}
    _validation.keywords("fit", [name for name in options if name not in others], known)


def _prepared(
    network: nn.Module,
    data: object,
    optimizer: str | Optimizer,
    batch_size: object,
    loss: object,
    seed: int | None,
) -> tuple[TrainingData, Loss]:
    """Return samples and loss after a check of their shapes."""
    generator = torch.Generator()
    generator.manual_seed(generator.seed() if seed is None else seed % 2**64)
    with isolated(seed):  # a loader and the check of shapes may draw random numbers
        spec = optim.spec_of(optimizer)
        prepared = training_data(data, network, spec, batch_size, generator)
        chosen = choose_loss(loss, prepared.task)
        for batch in prepared.batches.samples():
            check_fit(network, batch, chosen, prepared.largest_label)
    if isinstance(prepared.batches, ReadBatches):
        prepared.batches.trial = lambda batch: check_fit(network, batch, chosen)
    return prepared, chosen


def _choose_rate(
    training: Training,
    build: Callable[[list[nn.Parameter], float | str | None], Optimizer],
    file: Checkpoint,
    epochs: int,
    seed: int | None,
) -> bool:
    """Set the rate of a range test or of the checkpoint; return False if the test is stopped."""
    found = None if file.history is None else file.history.range_test
    if file.history is None and epochs:
        try:
            with isolated(seed):
                found = run_range_test(
                    training.network, training.data.batches, training.loss, build,
                    training.executors, training.step_options,
                )  # fmt: skip
        except KeyboardInterrupt:
            training.history.status = "interrupted"
            return False
        except LimitError as error:
            training.history.status, training.history.detail = "limit", str(error)
            return False
    if found is not None:
        training.history.range_test = found
        for group in training.optimizer.param_groups:
            group["lr"] = found.lr
    return True


@contextmanager
def _training_mode(network: nn.Module) -> Iterator[None]:
    """Set a network to training mode, and restore the modes of all modules afterwards."""
    modes = {module: module.training for module in network.modules()}
    locked = {module for module in modes if eval_locked(module)}
    if not network.training:
        network.train()
    try:
        yield
    finally:
        for module, mode in modes.items():
            unfrozen = module in locked and not eval_locked(module)
            module.training = not eval_locked(module) and (modes[network] if unfrozen else mode)


class _ProgressBar(Callback):
    """Progress bar with one tick per step and the loss of the last epoch."""

    def __init__(self, progress: bool | str | None, steps: int, epochs: int) -> None:
        self._label, self._steps, self._epochs = progress, steps, epochs

    def on_fit_begin(self, network: nn.Module, history: History) -> None:
        from rich.progress import TextColumn, TimeElapsedColumn

        from hybridopt._progress import progress_bar

        text, loss = (TextColumn(f"{{task.{x}}}") for x in ("description", "fields[loss]"))
        self._bar = progress_bar(text, loss, TimeElapsedColumn(), automatic=self._label is None)
        self._history = history
        self._task = self._bar.add_task(
            self._label if isinstance(self._label, str) else type(network).__name__,
            total=self._epochs * self._steps or None,
            completed=len(history) * self._steps,
            loss="",
        )
        self._bar.start()

    def on_step_end(self, loss: float, network: nn.Module) -> None:
        losses = self._history.train_loss
        shown = f"loss {losses[-1]:.4f}" if losses else ""
        self._bar.update(self._task, advance=1, loss=shown)

    def on_fit_end(self, network: nn.Module, history: History) -> None:
        self._bar.stop()
