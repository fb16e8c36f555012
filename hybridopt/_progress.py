"""Progress bars on standard error and in notebooks; the module imports rich."""

from __future__ import annotations

import io
import sys
import threading
import time
from importlib import import_module
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID

from hybridopt._streams import SafeStream, in_notebook

NOTEBOOK_COLUMNS = 100
NOTEBOOK_SECONDS = 0.2  # between two updates of the output of a cell
_AUTOMATIC = threading.Lock()  # of the one automatic bar of the process


class ProgressBar(Progress):
    """Bar of rich. Automatic bars are shown one at a time, because each moves the cursor."""

    def __init__(self, *columns: Any, automatic: bool, **options: Any) -> None:
        self._automatic, self._holds_turn = automatic, False
        options.setdefault("console", progress_console())
        super().__init__(*columns, **options)

    def start(self) -> None:
        """Show the bar, unless another automatic bar is shown."""
        if self._automatic and not self.disable:
            self._holds_turn = _AUTOMATIC.acquire(blocking=False)
            self.disable = not self._holds_turn
        super().start()

    def stop(self) -> None:
        """Show the last state, and end."""
        super().stop()
        if self._holds_turn:
            self._holds_turn = False
            _AUTOMATIC.release()


class NotebookBar(ProgressBar):
    """Bar as a text in the output of a cell, without further packages."""

    _last = 0.0

    def start(self) -> None:
        """Create the output, which updates replace."""
        super().start()
        if not self.disable:
            display = import_module("IPython.display").display
            self._output = display(self._shown(), raw=True, display_id=True)

    def update(self, task_id: TaskID, **changes: Any) -> None:
        """Change the state of a task; the output follows every `NOTEBOOK_SECONDS`."""
        super().update(task_id, **changes)
        if not self.disable and time.monotonic() - self._last > NOTEBOOK_SECONDS:
            self._last = time.monotonic()
            self._output.update(self._shown(), raw=True)

    def stop(self) -> None:
        """Show the last state, and end."""
        if not self.disable:
            self._output.update(self._shown(), raw=True)
        super().stop()

    def _shown(self) -> dict[str, str]:
        text = io.StringIO()
        lines = Console(file=text, width=NOTEBOOK_COLUMNS, color_system=None, force_jupyter=False)
        lines.print(self.get_renderable())
        return {"text/plain": text.getvalue().rstrip()}


def progress_bar(*columns: Any, automatic: bool) -> ProgressBar:
    """Return a bar that is not yet started; text columns surround the bar and its numbers."""
    before, *after = columns
    parts = before, BarColumn(), MofNCompleteColumn(), *after
    if in_notebook():  # a live display of rich needs ipywidgets there
        unused = Console(file=io.StringIO(), force_jupyter=False)
        return NotebookBar(*parts, automatic=automatic, auto_refresh=False, console=unused)
    return ProgressBar(*parts, automatic=automatic)


def progress_console() -> Console:
    """Return a console for progress bars, on standard error."""
    return Console(file=SafeStream(sys.stderr), force_jupyter=False)  # type: ignore[arg-type]
