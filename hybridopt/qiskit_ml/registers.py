"""Results of a sampler: bits of shots, or exact probabilities, for each classical register."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NoReturn

import numpy as np
from jaxtyping import Float64, Shaped, UInt8
from qiskit.primitives import BitArray, DataBin
from qiskit.primitives.containers import SamplerPubResult
from qiskit.primitives.containers.sampler_pub import SamplerPub

from hybridopt.errors import (
    ArgumentError,
    ExactResultAttributeError,
    ResourceError,
    UnsupportedError,
)
from hybridopt.execution import Executor
from hybridopt.execution.memory_budget import physical_memory

BYTES_PER_SHOT = 8  # index of its outcome


class ShotOrder:
    """Random order of the shots of one call of an executor.

    The executor returns counts. A random order makes the shots independent, so that a part of them
    is a sample, too. The order depends on the position of the executor in its random stream.
    """

    def __init__(self, executor: Executor) -> None:
        position = repr(sorted(executor.state_dict().items())).encode()
        seed = int.from_bytes(hashlib.sha256(position).digest())
        self._generator = np.random.default_rng(seed)

    def draw(self, frequencies: Float64[np.ndarray, "n outcomes"], shots: int) -> Shots:
        """Return the shots of relative frequencies.

        Raises:
            UnsupportedError: If these are not frequencies of ``shots`` shots.
        """
        counts = np.rint(frequencies * shots).astype(np.int64)
        if (counts.sum(axis=1) != shots).any():
            raise UnsupportedError(
                f"`executor` must draw the shots of a job (`job.shots`, here {shots}); it returned "
                "other frequencies. Use AerExecutor, or give the executor as many shots."
            )
        outcomes = np.flatnonzero(counts.any(axis=0))
        numbers = np.arange(len(outcomes), dtype=np.min_scalar_type(len(outcomes)))
        drawn = np.empty((len(counts), shots), dtype=numbers.dtype)
        for row, found in zip(drawn, counts[:, outcomes], strict=True):
            row[:] = np.repeat(numbers, found)
        return Shots(outcomes, self._generator.permuted(drawn, axis=1, out=drawn))


@dataclass(frozen=True, eq=False)
class Shots:
    """Outcomes of some shots, and the place of the outcome of each shot among them."""

    outcomes: Shaped[np.ndarray, " distinct"]
    drawn: Shaped[np.ndarray, "n shots"]

    def bit_array(self, sources: Sequence[int | None], shape: tuple[int, ...]) -> BitArray:
        """Return bits of the shots, the least significant first; None for 0."""
        bits = np.zeros((len(self.outcomes), -(-len(sources) // 8) * 8), dtype=np.uint8)
        for place, source in enumerate(sources):
            if source is not None:
                bits[:, -1 - place] = (self.outcomes >> source) & 1
        packed: UInt8[np.ndarray, "distinct bytes"] = np.packbits(bits, axis=1)
        array = packed[self.drawn]
        return BitArray(array.reshape(*shape, *array.shape[1:]), len(sources))


def check_shots_fit(pub: SamplerPub, executor: Executor) -> None:
    """Raise ResourceError if the bits of all shots do not fit into memory."""
    if pub.shots is None:
        return
    num_bytes = BYTES_PER_SHOT + sum(-(-register.size // 8) for register in pub.circuit.cregs)
    needed = num_bytes * pub.shots * math.prod(pub.shape)
    limit = getattr(executor, "max_memory", None) or physical_memory() // 2
    if needed > limit:
        raise ResourceError(
            f"`shots` must need at most {limit / 1e9:.3g} GB for the bits of all parameter sets "
            f"(got {pub.shots} shots, {needed / 1e9:.3g} GB). Use fewer shots, or several calls."
        )


@dataclass(frozen=True, eq=False)
class Distributions:
    """Exact probabilities of a register for an array of parameter sets, in place of `BitArray`.

    It has no shots: access to other methods of `BitArray`, such as ``get_bitstrings``, raises an
    error.
    """

    joint: Float64[np.ndarray, "*shape outcomes"]  # probabilities of all outcomes of a run
    # bit of the outcome for each bit of the register, least significant first; None for 0
    sources: tuple[int | None, ...]
    num_shots: ClassVar[None] = None  # the probabilities are exact

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array of parameter sets."""
        return self.joint.shape[:-1]

    @property
    def num_bits(self) -> int:
        """Number of bits of the register."""
        return len(self.sources)

    def get_probabilities(self, loc: int | tuple[int, ...] | None = None) -> dict[str, float]:
        """Return the probability of every possible bit string, as a mean over sets without loc."""
        chosen = self.joint if loc is None or not self.shape else self.joint[loc]
        mean = chosen.reshape(-1, self.joint.shape[-1]).mean(axis=0)
        found: dict[str, float] = {}
        for outcome in np.flatnonzero(mean).tolist():
            bits = ["0" if s is None else str((outcome >> s) & 1) for s in self.sources]
            name = "".join(reversed(bits))
            found[name] = found.get(name, 0.0) + float(mean[outcome])
        return found

    get_counts = get_probabilities  # counts relative to their total

    @staticmethod
    def concatenate_bits(registers: Sequence[Distributions]) -> Distributions:
        """Join registers of one run, the first the least significant."""
        sources = tuple(source for register in registers for source in register.sources)
        return Distributions(registers[0].joint, sources)

    def __getitem__(self, index: Any) -> Distributions:
        chosen = index if isinstance(index, tuple) else (index,)
        return Distributions(self.joint[(*chosen, ..., slice(None))], self.sources)

    def __getattr__(self, name: str) -> NoReturn:
        remedy = ""
        if hasattr(BitArray, name) and not name.startswith("__"):
            remedy = ": it holds probabilities, not shots. Use `AerSampler()` without exact=True"
        raise ExactResultAttributeError(f"An exact result has no attribute `{name}`{remedy}.")


class Registers(DataBin):  # type: ignore[misc]
    """Registers of one circuit, also as one register for a SamplerQNN."""

    # otherwise a SamplerQNN whose register is not named ``meas`` averages over the batch

    def get_counts(self, loc: int | tuple[int, ...] | None = None) -> dict[str, float]:
        """Return the counts of the register ``meas`` if it exists, else of all registers joined."""
        registers = dict(self.items())
        chosen = [registers["meas"]] if "meas" in registers else list(registers.values())
        if not chosen:
            return {}
        if loc is not None and self.shape:
            chosen = [register[loc] for register in chosen]
        first, *more = chosen
        joined = type(first).concatenate_bits(chosen) if more else first
        return {**(counts_of(joined) if isinstance(joined, BitArray) else joined.get_counts())}


def counts_of(bits: BitArray) -> dict[str, int]:
    """Return the counts of all shots in the order of Qiskit's `BitArray.get_counts`."""
    if not bits.array.size:
        return dict(bits.get_counts())
    rows = np.ascontiguousarray(bits.array).reshape(-1, bits.array.shape[-1])
    # Qiskit reads shot by shot, which takes longer than the simulation of a few qubits
    packed = rows[:, 0] if rows.shape[1] == 1 else rows.view(f"V{rows.shape[1]}")[:, 0]
    _, places, counts = np.unique(packed, return_index=True, return_counts=True)
    order = np.argsort(places)  # of their first occurrence
    names = BitArray(rows[places[order]], bits.num_bits).get_bitstrings()
    return dict(zip(names, counts[order].tolist(), strict=True))


class ExactResult(SamplerPubResult):  # type: ignore[misc]
    """Result of one circuit without shots."""

    def join_data(self, names: Iterable[str] | None = None) -> Distributions:
        """Join the registers, the first the least significant.

        Raises:
            ArgumentError: If a name is unknown, or no name is left.
        """
        registers = dict(self.data.items())
        chosen = list(registers if names is None else names)
        if not chosen:
            raise ArgumentError("`names` must have at least one register (got none).")
        unknown = ", ".join(name for name in chosen if name not in registers)
        if unknown:
            raise ArgumentError(f"Unknown register {unknown}. Available: {', '.join(registers)}.")
        return Distributions.concatenate_bits([registers[name] for name in chosen])
