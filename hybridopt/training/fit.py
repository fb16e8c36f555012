"""`fit`: train a network, classical or quantum, with any optimizer."""

from __future__ import annotations

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
from hybridopt.errors import ArgumentError, ArgumentTypeError
from hybridopt.nn.frozen_state import eval_locked
from hybridopt.training.batches import TrainingData, training_data
from hybridopt.training.callbacks import Callback, EpochFunction, check_callbacks
from hybridopt.training.checkpoint import Checkpoint
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
    progress: bool | str = False,
    checkpoint: str | os.PathLike[str] | None = None,
    device: str | torch.device | None = None,
    **options: Any,
) -> History:
    """Train a network in place.

    The same seed gives the same result, and the caller's global random state is left as it was.
    Ctrl-C ends training with the status ``"interrupted"`` and the weights of the last whole step.

    Args:
        network: Any module with one input and one output tensor; quantum networks are modules.
        data: A Dataset, a pair ``(x, y)`` of tensors or arrays, a ``TensorDataset``, or a
            ``DataLoader``. Real numbers are cast to the network's dtype.
        optimizer: ``gd sgd newton adagrad rmsprop adam lbfgs``, or an instance.
        lr: Learning rate; None is the optimizer's default (`hybridopt.optim.create`); ``"auto"``
            finds one by a range test on a copy (`hybridopt.training.lr_range_test`), which takes
            up to 60 steps. They count in ``History.cost``, and training goes on as if the rate
            that was found had been given. Where the loss falls by no more than its noise the
            default is taken, and ``History.range_test.reason`` says so.
        epochs: Passes through the data in all, those in a checkpoint included. 0 trains nothing.
        batch_size: ``"auto"`` is all samples for gd, newton and lbfgs and 32 otherwise; None is
            all samples.
        loss: Module or function of (outputs, targets), averaged over the samples; None is cross
            entropy for class labels and mean squared error otherwise.
        seed: Of the order of the samples, dropout, and everything else that draws torch's, numpy's
            or Python's global random numbers; None draws fresh entropy. Executors have their own.
        tol: Stop when the training loss changes by no more than this from one epoch to the next.
        patience: Stop after so many epochs without an improvement of the test loss (of the
            training loss, if there is no test part). The weights stay those of the last epoch.
        scheduler: Changes the learning rate on the way: ``cosine exponential linear one-cycle
            plateau step`` (`hybridopt.training.schedulers.Schedule` has the formulas), torch's
            scheduler of the optimizer that is passed, or a function of the optimizer that returns
            one. It is stepped after each epoch (torch's OneCycleLR and CyclicLR after each
            batch); ``plateau`` watches the training loss.
        callbacks: `Callback` objects, or functions of (`EpochRecord`, network), called after
            each epoch; one that returns a true value ends training.
        progress: Show a progress bar; a string is its label.
        checkpoint: File that is written, whole or not at all, after each epoch. If it is there
            already, training goes on from it to the numbers of an uninterrupted run.
        device: Where torch computes: ``"cpu"``, ``"cuda"``, ``"mps"``. None is where the network
            is. Circuits run where their executor says.
        **options: Of the optimizer, if it is given by name.

    Returns:
        The `History`. Quantum networks with ``merge="epoch"`` are merged after every epoch; Adam's
        and RMSprop's moments are kept (they are gradients of the same weights), L-BFGS starts anew.

    Raises:
        DataError: If the samples cannot be trained on or do not fit the network.
        ArgumentError, ArgumentTypeError: If another argument is unusable.
        CheckpointError: If the checkpoint is damaged or of another run.
        TrainingError: If the loss is no longer finite; names epoch and batch, and leaves the last
            good weights in the network. Also where gradients are switched off (``no_grad``).

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
    _validation.instance("progress", progress, bool | str, "True, False or a label")
    if checkpoint is not None:
        checkpoint = _validation.path("checkpoint", checkpoint)
        check_writable(checkpoint)
    _check_rate(lr, optimizer)
    target = checked_device(device)
    if target is not None:
        network.to(target)

    def build(parameters: list[nn.Parameter], rate: float | str | None) -> Optimizer:
        number = None if isinstance(rate, str) else rate
        return optim.create(optimizer, parameters, lr=number, **options)

    to_come = {id(p) for hook in hooks for p in hook.parameters_to_come(network)}
    built = build([p for p in network.parameters() if p.requires_grad or id(p) in to_come], lr)
    if epochs:
        check_gradients(built)
    with _training_mode(network):
        prepared, chosen = _prepared(network, data, optimizer, batch_size, loss, seed)
        file = Checkpoint(checkpoint, seed=seed, auto_lr=lr == "auto")
        history = History(metric_name(prepared.task, loss))
        steps = len(prepared.batches)
        bar = [_ProgressBar(progress, steps, epochs)] if progress is not False else []
        hooks = [*bar, *hooks]
        training = Training(network, prepared, built, chosen, rule, hooks, history, to_come)
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
        raise ArgumentTypeError(
            f'Argument `lr` must be a number, but is {lr!r}. The one word it takes is "auto".'
        )
    if isinstance(optimizer, Optimizer):
        raise ArgumentError(
            'lr="auto" cannot be given beside an optimizer instance, which has its own. Name the '
            f"optimizer, or set its rate where you make the {type(optimizer).__name__}."
        )
    if spec is not None and spec.name in {"newton", "lbfgs"}:
        raise ArgumentError(
            f'lr="auto" is for optimizers whose rate sets the length of a step, but {spec.name!r} '
            "finds it by a line search. Leave `lr` out."
        )


def _prepared(
    network: nn.Module,
    data: object,
    optimizer: str | Optimizer,
    batch_size: object,
    loss: object,
    seed: int | None,
) -> tuple[TrainingData, Loss]:
    """The samples and the loss, once their shapes were tried."""
    generator = torch.Generator()
    generator.manual_seed(generator.seed() if seed is None else seed % 2**64)
    with isolated(seed):  # a loader's first batch and a trial of shapes may draw random numbers
        spec = optim.spec_of(optimizer)
        prepared = training_data(data, network, spec, batch_size, generator)
        chosen = choose_loss(loss, prepared.task)
        for batch in prepared.batches.samples():
            check_fit(network, batch, chosen, prepared.largest_label)
    return prepared, chosen


def _choose_rate(
    training: Training,
    build: Callable[[list[nn.Parameter], float | str | None], Optimizer],
    file: Checkpoint,
    epochs: int,
    seed: int | None,
) -> bool:
    """Set the rate that a range test finds, or found in the run in the file; False for Ctrl-C."""
    found = None if file.history is None else file.history.range_test
    if file.history is None and epochs:
        try:
            with isolated(seed):
                found = run_range_test(
                    training.network, training.data.batches, training.loss, build,
                    training.executors,
                )  # fmt: skip
        except KeyboardInterrupt:
            training.history.status = "interrupted"
            return False
    if found is not None:
        training.history.range_test = found
        for group in training.optimizer.param_groups:
            group["lr"] = found.lr
    return True


@contextmanager
def _training_mode(network: nn.Module) -> Iterator[None]:
    """Put a network in eval mode in training mode, and restore the modes of all modules."""
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

    def __init__(self, progress: bool | str, steps: int, epochs: int) -> None:
        self._label, self._steps, self._epochs = progress, steps, epochs

    def on_fit_begin(self, network: nn.Module, history: History) -> None:
        from rich import progress as rich

        text, loss = (rich.TextColumn(f"{{task.{x}}}") for x in ("description", "fields[loss]"))
        columns = (text, rich.BarColumn(), rich.MofNCompleteColumn(), loss)
        self._bar = rich.Progress(*columns, rich.TimeElapsedColumn())
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
