"""The progress bar of a training run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, cast

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from hybridopt.training.loop import Training


def progress_bar(
    progress: bool | str, training: Training, epochs: int
) -> AbstractContextManager[Any]:
    """A bar, if one is wanted; gives what is to be called after each step."""
    if progress is False:
        return nullcontext(lambda: None)
    label = progress if isinstance(progress, str) else type(training.network).__name__
    return _bar(label, training, epochs)


@contextmanager
def _bar(label: str, training: Training, epochs: int) -> Iterator[Any]:
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
