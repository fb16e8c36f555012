"""Shots without noise: multinomial sampling of exact probabilities, the law of real shots."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64, Int

from hybridopt.execution.job import Stream


class Sampler:
    """Draws the shots of one call, every setting from a stream of its own.

    The streams are counters of one Philox generator (Salmon et al., SC 2011): setting (s, b, g)
    starts at counter (0, g, s, b), so a job may be cut anywhere without changing a number.

    Args:
        entropy: The executor's seed.
        stream: Call and position of the job; different calls share no numbers.
    """

    def __init__(self, entropy: int, stream: Stream) -> None:
        sequence = np.random.SeedSequence(entropy, spawn_key=(stream.call,))
        self._first_shared, self._first_row = stream.first_shared, stream.first_row
        self._first_setting = stream.first_setting
        self._bits = np.random.Philox(key=sequence.generate_state(2, np.uint64))
        self._generator = np.random.Generator(self._bits)
        self._start = self._bits.state  # nothing drawn, nothing left over
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
        """Relative frequencies of ``shots`` measurements.

        Args:
            probabilities: Along the last axis summing to 1 up to rounding.
            shots: Number of measurements of each.
            shared: Indices s of the rows of shared angles.
            rows: Indices b of the samples.
            setting: Index g of the measurement basis.

        Returns:
            Counts over ``shots``, of the same shape.
        """
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
        """A seed for a simulator that draws the shots of this setting itself."""
        self._go_to(shared, row, setting)
        return int(self._generator.integers(2**31))

    def _go_to(self, shared: int, row: int, setting: int) -> None:
        self._counter[1] = self._first_setting + setting
        self._counter[2] = self._first_shared + shared
        self._counter[3] = self._first_row + row
        self._bits.state = self._start
