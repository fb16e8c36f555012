"""Shots without noise: multinomial sampling of exact probabilities, the law of real shots."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64


def frequencies(
    probabilities: Float64[np.ndarray, " outcomes"],
    shots: int,
    *,
    entropy: int,
    key: tuple[int, ...],
) -> Float64[np.ndarray, " outcomes"]:
    """Relative frequencies of ``shots`` measurements.

    Args:
        probabilities: Non-negative, summing to 1 up to rounding.
        shots: Number of measurements.
        entropy: The executor's seed.
        key: Spawn key; different keys give independent streams.

    Returns:
        Counts over ``shots``, of the same shape.
    """
    generator = np.random.default_rng(np.random.SeedSequence(entropy, spawn_key=key))
    clipped = np.clip(probabilities, 0.0, None)
    counts = generator.multinomial(shots, clipped / clipped.sum())
    return np.asarray(counts / shots, dtype=np.float64)
