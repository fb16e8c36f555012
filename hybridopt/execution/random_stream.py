"""Random numbers of an executor: seed, position in the stream, and drawn shots."""

from __future__ import annotations

import os
import re
import sys
import threading
from collections.abc import Mapping
from typing import Any
from weakref import WeakSet

import numpy as np
from jaxtyping import Float64, Int

from hybridopt import _validation
from hybridopt.errors import ArgumentError
from hybridopt.execution.job import Stream

# Sampled probabilities are multiples of 2^-30 / outcomes. Otherwise, numpy draws other shots from
# 1e-34 than from 0, and from 1/2 + 1e-16 than from 1/2, so that they depend on rounding errors.
GRID_BITS = 30
EXACT_BITS = 52  # of sums of multiples
BRANCH = 0xB4A2C4  # separates the seeds of branches from the calls of their stream
_COUNTING = threading.RLock()  # not an attribute, because a lock cannot be copied


class RandomStream:
    """Seed and number of calls; copies are the same object, so that no noise is drawn twice.

    A pickled copy continues at the same position, so that a worker repeats a run exactly. Two kinds
    of copies get a branch of the stream instead, because several of them continue one run: those
    in a worker of a torch `DataLoader`, from torch's seed of the worker, and those in a forked
    process, from the number of the fork. With one seed, every run draws the same numbers.
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        """Return a stream that learns of forks, also when it is unpickled."""
        stream = super().__new__(cls)
        _STREAMS.add(stream)
        return stream

    def __init__(self, seed: int | None = None) -> None:
        given = _validation.optional_integer("seed", seed, minimum=0)
        self._entropy: Any = np.random.SeedSequence(given).entropy
        self._calls = 0
        self._fork: int | None = None  # number of the last fork, until the next draw
        self._worker = _worker_seed()  # torch's seed of the worker with this branch

    def state_dict(self) -> dict[str, Any]:
        """Return the position in the random stream, as plain types."""
        self._enter_process()
        return {"entropy": hex(self._entropy), "calls": self._calls}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue at the position that `state_dict` returned."""
        _validation.instance("state", state, Mapping, "the dict that `state_dict` returned")
        for key in ("entropy", "calls"):
            if key not in state:
                raise ArgumentError(
                    f"`state` has no key `{key}`. Give a dict that `state_dict` returned."
                )
        entropy = _validation.instance("entropy", state["entropy"], str, "a str")
        calls = _validation.integer("calls", state["calls"], minimum=0)
        if re.fullmatch(r"0[xX][0-9a-fA-F]+", entropy) is None:
            raise ArgumentError(f"`entropy` must be a number such as '0x2a' (got {entropy!r}).")
        self._entropy, self._calls = int(entropy, 16), calls
        self._fork, self._worker = None, _worker_seed()

    def __deepcopy__(self, memo: dict[int, Any]) -> RandomStream:
        return self

    def _next_call(self) -> int:
        """Return the index of the next call."""
        with _COUNTING:  # two threads must not draw the same noise
            self._enter_process()
            self._calls += 1
            return self._calls - 1

    def _next_generator(self) -> np.random.Generator:
        """Return the generator of the next call."""
        key = (self._next_call(),)
        return np.random.default_rng(np.random.SeedSequence(self._entropy, spawn_key=key))

    def _enter_process(self) -> None:
        """Change to the branch of a forked process or of a torch worker, once in each."""
        worker = _worker_seed()
        if worker is not None and worker != self._worker:
            self._branch(worker)
        elif worker is None and self._fork is not None:
            self._branch(self._fork)
        self._fork, self._worker = None, worker

    def _branch(self, key: int) -> None:
        sequence = np.random.SeedSequence(self._entropy, spawn_key=(BRANCH, key))
        words = sequence.generate_state(4).tolist()
        self._entropy = sum(word << 32 * place for place, word in enumerate(words))


_STREAMS: WeakSet[RandomStream] = WeakSet()
_FORKS = [0]  # number of forks of this process and of its parents


def _before_fork() -> None:
    _COUNTING.acquire()  # no other thread may hold it in the new process
    _FORKS[0] += 1


def _after_fork_in_child() -> None:
    for stream in _STREAMS:
        if stream._fork is not None:  # nothing was drawn since the last fork
            stream._branch(stream._fork)
        stream._fork = _FORKS[0]
    _COUNTING.release()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=_COUNTING.release,
        after_in_child=_after_fork_in_child,
    )


def _worker_seed() -> int | None:
    """Return the seed of this process as a worker of a torch `DataLoader`; None outside of one."""
    data = sys.modules.get("torch.utils.data")  # loaded in every such worker
    worker = None if data is None else data.get_worker_info()
    return None if worker is None else int(worker.seed)


class Sampler:
    """Shots of one call: multinomial samples, with a separate stream for each setting.

    The streams are counters of one Philox generator (Salmon et al., SC 2011). Setting (s, b, g)
    starts at counter (0, g, s, b), so that the parts of a job draw the same numbers.
    """

    def __init__(self, entropy: int, stream: Stream) -> None:
        sequence = np.random.SeedSequence(entropy, spawn_key=(stream.call,))
        self._stream = stream
        self._bits = np.random.Philox(key=sequence.generate_state(2, np.uint64))
        self._generator = np.random.Generator(self._bits)
        self._start = self._bits.state  # before the first draw
        self._counter = np.zeros(4, dtype=np.uint64)
        self._start["state"]["counter"] = self._counter

    def frequencies(
        self,
        probabilities: Float64[np.ndarray, "s b outcomes"],
        shots: int,
        shared: Int[np.ndarray, " s"],
        rows: Int[np.ndarray, " b"],
        setting: int,
    ) -> Float64[np.ndarray, "s b outcomes"]:
        """Return relative frequencies of ``shots`` measurements of each distribution."""
        bits = min(EXACT_BITS, GRID_BITS + (probabilities.shape[-1] - 1).bit_length())
        result: Float64[np.ndarray, "s b outcomes"] = probabilities * 2.0**bits
        np.rint(result, out=result)
        np.maximum(result, 0.0, out=result)
        result /= result.sum(axis=-1, keepdims=True)  # a sum of integers, exact in any order
        multinomial = self._generator.multinomial
        for i, s in enumerate(shared.tolist()):
            for j, b in enumerate(rows.tolist()):
                self._go_to(s, b, setting)
                result[i, j] = multinomial(shots, result[i, j])
        result /= shots
        return result

    def seed(self, shared: int, row: int, setting: int) -> int:
        """Return a seed for the setting, for a simulator that draws the shots itself."""
        self._go_to(shared, row, setting)
        return int(self._generator.integers(2**31))

    def _go_to(self, shared: int, row: int, setting: int) -> None:
        self._counter[1] = self._stream.first_setting + setting
        self._counter[2] = self._stream.first_shared + shared
        self._counter[3] = self._stream.first_row + row
        self._bits.state = self._start
