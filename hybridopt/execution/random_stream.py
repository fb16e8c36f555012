"""Where an executor, or what stands in for one, is in its stream of random numbers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from hybridopt import _validation
from hybridopt.errors import ArgumentError, ArgumentTypeError

_HEXADECIMAL = re.compile(r"0x[0-9a-f]+", re.IGNORECASE)


class RandomStream:
    """A seed and the number of calls that have drawn from it: each call has numbers of its own.

    Copies are the thing itself, so that copies of a network never draw the same noise twice.

    Args:
        seed: None draws fresh entropy.

    Raises:
        ArgumentTypeError: If the seed is no int.
        ArgumentError: If the seed is negative.
    """

    def __init__(self, seed: int | None = None) -> None:
        entropy = _validation.optional_integer("seed", seed, minimum=0)
        if entropy is None:
            drawn = np.random.SeedSequence().entropy
            assert isinstance(drawn, int)
            entropy = drawn
        self._entropy = entropy
        self._calls = 0

    def state_dict(self) -> dict[str, Any]:
        """Position in the sampling stream; plain types only."""
        return {"entropy": hex(self._entropy), "calls": self._calls}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on sampling where `state_dict` was taken.

        Raises:
            ArgumentTypeError: If the state is no dict of the types that `state_dict` gives.
            ArgumentError: If a key is missing, or its value is out of range.
        """
        if not isinstance(state, Mapping):
            raise ArgumentTypeError(
                "The state of an executor must be the dict that `state_dict` gives, but is of "
                f"type {type(state).__name__}."
            )
        for key in ("entropy", "calls"):
            if key not in state:
                raise ArgumentError(
                    f"The state of the executor has no key `{key}`. Give what `state_dict` gave."
                )
        entropy, calls = state["entropy"], _validation.integer("calls", state["calls"], minimum=0)
        if not isinstance(entropy, str):
            raise ArgumentTypeError(
                f"Key `entropy` of the state must be a str, but is of type "
                f"{type(entropy).__name__}. Give what `state_dict` gave."
            )
        if _HEXADECIMAL.fullmatch(entropy) is None:
            raise ArgumentError(
                f"Key `entropy` of the state must be a number such as '0x2a', but is {entropy!r}."
            )
        self._entropy, self._calls = int(entropy, 16), calls

    def __deepcopy__(self, memo: dict[int, Any]) -> RandomStream:
        return self

    def _next_call(self) -> int:
        """The number of a call that draws now."""
        self._calls += 1
        return self._calls - 1

    def _next_generator(self) -> np.random.Generator:
        """A generator for a call that draws now."""
        sequence = np.random.SeedSequence(self._entropy, spawn_key=(self._next_call(),))
        return np.random.default_rng(sequence)
