"""Random numbers of an executor: seed, position in the stream, and drawn shots."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float64, Int

from hybridopt import _validation
from hybridopt.errors import ArgumentError
from hybridopt.execution.job import Stream

_COUNTING = threading.Lock()  # not an attribute, because a lock cannot be copied


class RandomStream:
    """Seed and number of calls; copies are the same object, so that no noise is drawn twice."""

    def __init__(self, seed: int | None = None) -> None:
        given = _validation.optional_integer("seed", seed, minimum=0)
        self._entropy: Any = np.random.SeedSequence(given).entropy
        self._calls = 0

    def state_dict(self) -> dict[str, Any]:
        """Return the position in the random stream, as plain types."""
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

    def __deepcopy__(self, memo: dict[int, Any]) -> RandomStream:
        return self

    def _next_call(self) -> int:
        """Return the index of the next call."""
        with _COUNTING:  # two threads must not draw the same noise
            self._calls += 1
            return self._calls - 1

    def _next_generator(self) -> np.random.Generator:
        """Return the generator of the next call."""
        key = (self._next_call(),)
        return np.random.default_rng(np.random.SeedSequence(self._entropy, spawn_key=key))


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
        clipped = np.clip(probabilities, 0.0, None)
        clipped /= clipped.sum(axis=-1, keepdims=True)
        counts = np.empty_like(clipped)
        multinomial = self._generator.multinomial
        for i, s in enumerate(shared.tolist()):
            for j, b in enumerate(rows.tolist()):
                self._go_to(s, b, setting)
                counts[i, j] = multinomial(shots, clipped[i, j])
        return np.asarray(counts / shots)

    def seed(self, shared: int, row: int, setting: int) -> int:
        """Return a seed for the setting, for a simulator that draws the shots itself."""
        self._go_to(shared, row, setting)
        return int(self._generator.integers(2**31))

    def _go_to(self, shared: int, row: int, setting: int) -> None:
        self._counter[1] = self._stream.first_setting + setting
        self._counter[2] = self._stream.first_shared + shared
        self._counter[3] = self._stream.first_row + row
        self._bits.state = self._start
