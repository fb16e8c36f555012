"""Shots without noise: multinomial sampling of exact probabilities, the law of real shots."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

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
        self._first = (stream.first_shared, stream.first_row)
        self._bits = np.random.Philox(key=sequence.generate_state(2, np.uint64))
        self._generator = np.random.Generator(self._bits)
        self._state = self._bits.state

    def frequencies(
        self,
        probabilities: Float64[np.ndarray, " outcomes"],
        shots: int,
        shared: int,
        row: int,
        setting: int,
    ) -> Float64[np.ndarray, " outcomes"]:
        """Relative frequencies of ``shots`` measurements.

        Args:
            probabilities: Summing to 1 up to rounding.
            shots: Number of measurements.
            shared: Index s of the row of shared angles.
            row: Index b of the sample.
            setting: Index g of the measurement basis.

        Returns:
            Counts over ``shots``, of the same shape.
        """
        self._go_to(shared, row, setting)
        clipped = np.clip(probabilities, 0.0, None)
        counts = self._generator.multinomial(shots, clipped / clipped.sum())
        return np.asarray(counts / shots, dtype=np.float64)

    def seed(self, shared: int, row: int, setting: int) -> int:
        """A seed for a simulator that draws the shots of this setting itself."""
        self._go_to(shared, row, setting)
        return int(self._generator.integers(2**31))

    def _go_to(self, shared: int, row: int, setting: int) -> None:
        first_shared, first_row = self._first
        position = [0, setting, first_shared + shared, first_row + row]
        self._state["state"]["counter"] = np.array(position, dtype=np.uint64)
        self._state["buffer_pos"] = 4  # nothing left over from the stream before
        self._state["has_uint32"] = 0
        self._bits.state = self._state
