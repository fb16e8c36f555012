"""Equal shots in a forward pass and in its repetition by `torch.utils.checkpoint`.

Checkpointed segments run again in the backward pass, where torch restores its own random state
only. Every segment therefore keeps the positions in the random streams at its calls of modules
with circuits. A repetition starts from these positions, and then the streams continue as before.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import CheckpointFunction

from hybridopt.execution import Metered

FORWARD, BACKWARD = CheckpointFunction.forward.__code__, CheckpointFunction.backward.__code__
KEY = "_hybridopt_positions"  # attribute of a segment, an object of torch that lives as long


@dataclass
class _Positions:
    """Positions in random streams at each call in a segment, and the next one to repeat."""

    states: list[dict[str, Any]] = field(default_factory=list)
    backward_pass: int | None = None
    place: int = 0

    def repeat(self) -> dict[str, Any] | None:
        """Return the position of the next call; each backward pass starts from the first."""
        task = torch._C._current_graph_task_id()
        if task != self.backward_pass:
            self.backward_pass, self.place = task, 0
        self.place += 1
        return self.states[self.place - 1] if self.place <= len(self.states) else None


@contextmanager
def repeatable(executor: Metered | None, inputs: Sequence[Any]) -> Iterator[None]:
    """Draw the shots of the first run again if a checkpointed segment runs again.

    Runs on the meta device draw nothing. They are left out, as the repetition may not have them.
    """
    on_meta = any(isinstance(x, Tensor) and x.is_meta for x in inputs)
    if executor is None or executor.shots is None or on_meta:
        yield
        return
    repeated = None
    running: list[_Positions] = []
    for segment, again in _segments():
        if again:
            repeated = segment.repeat()
            break
        running.append(segment)
    before = executor.state_dict()
    for segment in running:
        segment.states.append(repeated or before)
    if repeated is None:
        yield
        return
    executor.load_state_dict(repeated)
    try:
        yield
    finally:
        calls = max(int(before["calls"]), int(executor.state_dict()["calls"]))
        executor.load_state_dict({**before, "calls": calls})


def _segments() -> Iterator[tuple[_Positions, bool]]:
    """Yield the segments that are running, from the innermost, and whether one runs again."""
    frame = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_filename == FORWARD.co_filename:
            found = _segment(frame.f_code, frame.f_locals)
            if found is not None:
                segment, again = found
                if not hasattr(segment, KEY):
                    setattr(segment, KEY, _Positions())
                yield getattr(segment, KEY), again
        if frame.f_back is None:
            return
        frame = frame.f_back


def _segment(code: Any, variables: dict[str, Any]) -> tuple[Any, bool] | None:
    """Return torch's object for the segment of a function in `torch.utils.checkpoint`."""
    if code is FORWARD or code is BACKWARD:  # use_reentrant=True
        return variables["ctx"], code is BACKWARD
    if code.co_name == "unpack_hook" and "frame" in variables:
        return variables["frame"], True
    if code.co_name == "checkpoint" and "gen" in variables:
        return variables["gen"].gi_frame.f_locals["new_frame"], False
    return None
