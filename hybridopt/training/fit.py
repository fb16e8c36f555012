"""`fit`: train a network, classical or quantum, with any optimizer."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, cast

import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from torch import nn
from torch.nn.parameter import UninitializedParameter
from torch.optim import Optimizer

from hybridopt import checks, optim
from hybridopt.errors import ArgumentError, ArgumentTypeError, DeviceError
from hybridopt.seeding import global_state, isolated, restore_global_state
from hybridopt.training import checkpoint as checkpoints
from hybridopt.training.batches import training_data
from hybridopt.training.history import History
from hybridopt.training.loop import Callback, StoppingRule, Training, executors_of
from hybridopt.training.objective import choose_loss, metric_name
from hybridopt.training.preflight import check_fit

DEVICES = ("cpu", "cuda", "mps")


def fit(
    network: nn.Module,
    data: object,
    *,
    optimizer: str | Optimizer = "adam",
    lr: float | None = None,
    epochs: int = 5,
    batch_size: int | str | None = "auto",
    loss: object = None,
    seed: int | None = 0,
    tol: float | None = None,
    patience: int | None = None,
    callbacks: Sequence[Callback] = (),
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
        lr: Learning rate; None is the optimizer's default (`hybridopt.optim.create`).
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
        callbacks: Functions of (`EpochRecord`, network), called after each epoch; one that returns
            a true value ends training.
        progress: Show a progress bar; a string is its label.
        checkpoint: File that is written, whole or not at all, after each epoch. If it is there
            already, training goes on from it to the numbers of an uninterrupted run.
        device: Where torch computes: ``"cpu"``, ``"cuda"``, ``"mps"``. None is where the network
            is. Circuits run where their executor says.
        **options: Of the optimizer, if it is given by name.

    Returns:
        The `History`. Quantum networks with ``fold="epoch"`` are folded after every epoch; Adam's
        and RMSprop's moments are kept (they are gradients of the same weights), L-BFGS starts anew.

    Raises:
        DataError: If the samples cannot be trained on or do not fit the network.
        ArgumentError, ArgumentTypeError: If another argument is unusable.
        CheckpointError: If the checkpoint is damaged or of another run.
        TrainingError: If the loss is no longer finite; names epoch and batch, and leaves the last
            good weights in the network.

    Example:
        >>> import torch, hybridopt as ho
        >>> data = ho.load_dataset("iris", seed=0)
        >>> history = ho.fit(torch.nn.Linear(4, 3), data, epochs=2)
        >>> history.status
        'epochs'
    """
    epochs = checks.integer("epochs", epochs, minimum=0)
    seed = checks.optional_integer("seed", seed, minimum=0)
    rule = StoppingRule(
        checks.optional_real("tol", tol, minimum=0),
        checks.optional_integer("patience", patience, minimum=1),
    )
    _check_network(network)
    _check_callbacks(callbacks)
    _check_progress(progress)
    if checkpoint is not None:
        checkpoints.check_path(checkpoint)
    if lr is not None:
        checks.real("lr", lr, minimum=0, strict=True)
    spec = optim.spec_of(optimizer)
    target = _device(device)
    if target is not None:
        network.to(target)
    trainable = [parameter for parameter in network.parameters() if parameter.requires_grad]
    built = optim.create(optimizer, trainable, lr=lr, **options)
    generator = torch.Generator()
    if seed is not None:
        generator.manual_seed(seed % 2**64)
    else:
        generator.seed()
    with _training_mode(network):
        with isolated(seed):  # a loader's first batch and a trial of shapes may draw random numbers
            prepared = training_data(data, network, spec, batch_size, generator)
            chosen = choose_loss(loss, prepared.task)
            for batch in prepared.batches.samples():
                check_fit(network, batch, chosen, prepared.largest_label)
        history = History(metric_name(prepared.task, loss))
        training = Training(network, prepared, built, chosen, rule, callbacks, history)
        settings = {
            "network": checkpoints.describe(network),
            "optimizer": type(built).__name__,
            "data": prepared.batches.fingerprint() if checkpoint is not None else "",
            "seed": seed,
            "options": checkpoints.options_of(built),
            "loss": getattr(chosen, "__qualname__", type(chosen).__qualname__),
            "shots": [getattr(executor, "shots", None) for executor in training.executors],
        }
        generator = prepared.batches.generator
        with isolated(seed):
            _resume(training, checkpoint, settings, generator)
            with _bar(progress, training, epochs) as after_step:
                training.run(
                    epochs, after_step, lambda: _save(training, checkpoint, settings, generator)
                )
    return history


@contextmanager
def _training_mode(network: nn.Module) -> Iterator[None]:
    """Training mode for a network in eval mode; a network that trains keeps its parts' modes."""
    modes = {module: module.training for module in network.modules()}
    if not network.training:
        network.train()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def _check_network(network: object) -> None:
    if not isinstance(network, nn.Module):
        raise ArgumentTypeError(
            "Argument `network` must be a torch.nn.Module, but is of type "
            f"{type(network).__name__}."
        )
    parameters = list(network.parameters())
    if not any(parameter.requires_grad for parameter in parameters):
        what = "has frozen parameters only" if parameters else "has no parameters"
        raise ArgumentError(
            f"The network {type(network).__name__} {what}, so there is nothing to train."
        )
    for name, parameter in network.named_parameters():
        if isinstance(parameter, UninitializedParameter):
            raise ArgumentError(
                f"Parameter `{name}` of the network has no shape yet. Run the lazy network on one "
                "batch first."
            )
        if not bool(torch.isfinite(parameter.detach()).all()):
            raise ArgumentError(
                f"Parameter `{name}` of the network is NaN or infinite before training. "
                "Initialise it again."
            )
    if not any(parameter.is_floating_point() for parameter in parameters):
        raise ArgumentError(
            "The network has no real floating-point parameter, only integer or complex ones."
        )


def _check_callbacks(callbacks: object) -> None:
    if not isinstance(callbacks, Sequence) or not all(callable(c) for c in callbacks):
        raise ArgumentTypeError(
            "Argument `callbacks` must be a list of functions of (record, network), but is "
            f"{callbacks!r}."
        )


def _check_progress(progress: object) -> None:
    if not isinstance(progress, bool | str):
        raise ArgumentTypeError(
            f"Argument `progress` must be True, False or a label, but is {progress!r}."
        )


def _device(device: object) -> torch.device | None:
    if device is None:
        return None
    text = str(device)
    kind, _, _ = text.lower().partition(":")
    name = checks.choice("device", {"gpu": "cuda"}.get(kind, kind), DEVICES)
    there = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if not there[name]:
        raise DeviceError(
            f'device="{text}", but torch finds no such device here. Use device="cpu", or install '
            "a torch build for it."
        )
    try:
        return torch.device(text.lower().replace("gpu", "cuda"))
    except RuntimeError as error:
        raise DeviceError(
            f'device="{text}" is not understood. Write "cpu", "cuda" or "cuda:0".'
        ) from error


def _save(
    training: Training,
    path: str | os.PathLike[str] | None,
    settings: dict[str, Any],
    generator: torch.Generator,
) -> None:
    if path is None:
        return
    state = {
        "settings": settings,
        "network": training.network.state_dict(),
        "optimizer": training.optimizer.state_dict(),
        "executors": [executor.state_dict() for executor in training.executors],
        "order": generator.get_state(),
        "random": global_state(),
        "history": training.history.to_dict(),
    }
    checkpoints.save(path, state)


def _resume(
    training: Training,
    path: str | os.PathLike[str] | None,
    settings: dict[str, Any],
    generator: torch.Generator,
) -> None:
    state = None if path is None else checkpoints.load(path)
    if state is None or path is None:
        return
    checkpoints.check_match(path, state, settings)
    training.network.load_state_dict(state["network"])
    training.optimizer.load_state_dict(state["optimizer"])
    for executor, position in zip(executors_of(training.network), state["executors"], strict=True):
        executor.load_state_dict(position)
    generator.set_state(state["order"])
    restore_global_state(state["random"])
    training.history.records = History.from_dict(state["history"]).records
    training.good.keep()
    training.good.approve()


def _bar(progress: bool | str, training: Training, epochs: int) -> AbstractContextManager[Any]:
    if progress is False:
        return nullcontext(lambda: None)
    label = progress if isinstance(progress, str) else type(training.network).__name__
    return _progress_bar(label, training, epochs)


@contextmanager
def _progress_bar(label: str, training: Training, epochs: int) -> Iterator[Any]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[loss]}"),
        TimeElapsedColumn(),
    )
    steps = len(training.data.batches)
    with Progress(*columns) as bar:
        done = len(training.history) * steps
        task = bar.add_task(label, total=epochs * steps or None, completed=done, loss="")

        def after_step() -> None:
            losses = training.history.train_loss
            bar.update(task, advance=1, loss=f"loss {losses[-1]:.4f}" if losses else "")

        yield cast(Any, after_step)
