"""Exact probabilities in the containers that programs for samplers expect."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float64
from qiskit.primitives import DataBin, SamplerPubResult

from hybridopt.errors import ArgumentError


class Distributions:
    """Exact probabilities of the values of a register, for an array of parameter sets.

    Args:
        joint: Probabilities of all outcomes of a run, shape ``(*shape, outcomes)``.
        sources: For each bit of the register, the least significant first, the bit of the outcome
            that it takes; None reads 0.
    """

    num_shots = None  # no shots: the probabilities are exact

    def __init__(
        self, joint: Float64[np.ndarray, "*shape outcomes"], sources: tuple[int | None, ...]
    ) -> None:
        self.joint = joint
        self.sources = sources

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the array of parameter sets."""
        return self.joint.shape[:-1]

    @property
    def num_bits(self) -> int:
        """Of the register."""
        return len(self.sources)

    def get_probabilities(self, loc: int | tuple[int, ...] | None = None) -> dict[str, float]:
        """Probability of every bit string that occurs.

        Args:
            loc: Which parameter set, if there is an array of them; None averages over all.
        """
        chosen = self.joint if loc is None or not self.shape else self.joint[loc]
        mean = chosen.reshape(-1, self.joint.shape[-1]).mean(axis=0)
        found: dict[str, float] = {}
        for outcome in np.flatnonzero(mean).tolist():
            bits = ["0" if s is None else str((outcome >> s) & 1) for s in self.sources]
            name = "".join(reversed(bits))
            found[name] = found.get(name, 0.0) + float(mean[outcome])
        return found

    def get_counts(self, loc: int | tuple[int, ...] | None = None) -> dict[str, float]:
        """The same: counts relative to their total, which exact execution does not have."""
        return self.get_probabilities(loc)

    @staticmethod
    def concatenate_bits(registers: Sequence[Distributions]) -> Distributions:
        """Registers of one run as one, the first the least significant, as `BitArray` has it."""
        sources = tuple(source for register in registers for source in register.sources)
        return Distributions(registers[0].joint, sources)

    def __getitem__(self, index: Any) -> Distributions:
        chosen = index if isinstance(index, tuple) else (index,)
        return Distributions(self.joint[(*chosen, ..., slice(None))], self.sources)

    def __repr__(self) -> str:
        return f"Distributions(<shape={self.shape}, num_bits={self.num_bits}>)"


class Registers(DataBin):  # type: ignore[misc]
    """The registers of one circuit, which a SamplerQNN can also read together, sample by sample.

    Without it, a SamplerQNN whose register is not named ``meas`` gives the mean over the batch to
    every sample.
    """

    def get_counts(self, loc: int | tuple[int, ...] | None = None) -> dict[str, float]:
        """Of the register ``meas`` if there is one, else of all registers joined."""
        registers = dict(self.items())
        chosen = [registers["meas"]] if "meas" in registers else list(registers.values())
        counts: dict[str, float] = type(chosen[0]).concatenate_bits(chosen).get_counts(loc)
        return counts


class ExactResult(SamplerPubResult):  # type: ignore[misc]
    """The result for one circuit, without shots."""

    def join_data(self, names: Iterable[str] | None = None) -> Distributions:
        """The registers as one, the first the least significant.

        Raises:
            ArgumentError: If there is no register of a name.
        """
        registers = dict(self.data.items())
        chosen = list(registers) if names is None else list(names)
        unknown = [name for name in chosen if name not in registers]
        if unknown or not chosen:
            raise ArgumentError(
                f"There is no register {', '.join(unknown)}. There are {', '.join(registers)}."
            )
        return Distributions.concatenate_bits([registers[name] for name in chosen])
