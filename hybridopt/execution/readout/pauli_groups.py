"""Groups of Pauli strings with one measurement basis, and their expectation values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float64, Int64, UInt64
from qiskit.quantum_info import SparsePauliOp

from hybridopt.execution.readout.mitigation import ReadoutInverse

Distribution = Float64[np.ndarray, "*cells outcomes"]
Values = Float64[np.ndarray, "*cells K"]
Word = UInt64[np.ndarray, " words"]
Words = UInt64[np.ndarray, "strings words"]
KEPT_ENTRIES = 1 << 18  # of the tables of all outcomes of all groups; larger ones are not kept
ENTRIES_AT_ONCE = 1 << 18  # of a table that is computed in parts
MOST_DEGREES = 4096  # strings whose conflicts are counted, in quadratic time, as Qiskit does
GROUPS_TRIED = 256  # first; later strings usually fit into an early group


@dataclass(frozen=True, eq=False)
class PauliGroup:
    """Pauli strings that commute on each qubit."""

    basis: tuple[tuple[int, str], ...]  # qubits measured in X or Y
    qubits: tuple[int, ...]  # measured qubits, ascending, then those with correlated errors
    masks: tuple[int, ...]  # per string, the bits of the outcome that give its parity
    outputs: Int64[np.ndarray, " outputs"]  # observables with a string in this group
    weights: Float64[np.ndarray, "outputs strings"]  # coefficients of the strings in them
    num_outputs: int  # K, number of all observables
    keep: bool  # whether the table of all outcomes is kept
    inverse: ReadoutInverse | None = None  # of the readout errors that are corrected

    def mitigated(self, qubits: tuple[int, ...], inverse: ReadoutInverse) -> PauliGroup:
        """Return the group with corrected readout errors, measured on these qubits."""
        keep = self.keep and max(self.weights.shape) << len(qubits) <= KEPT_ENTRIES
        return replace(self, qubits=qubits, inverse=inverse, keep=keep)

    def expectations(self, distribution: Distribution) -> Values:
        """Return the part of each observable in this group, from probabilities or frequencies."""
        return self._of_all(self._expectations(distribution))

    def outcome_weights(
        self, cotangent: Float64[np.ndarray, "*cells K"]
    ) -> Float64[np.ndarray, "*cells outcomes"]:
        """Return the weight of each outcome in a weighted sum of the observables."""
        own = cotangent[..., self.outputs]
        return np.concatenate([own @ table.T for _, table in self._tables()], axis=-1)

    def variances(self, distribution: Distribution) -> Values:
        """Return the variance per shot of the part of each observable in this group."""
        means = self._expectations(distribution)
        result = np.zeros_like(means)
        for outcomes, table in self._tables():
            for place, values in enumerate(table.T):
                deviations = (values - means[..., place, None]) ** 2
                result[..., place] += (distribution[..., outcomes] * deviations).sum(-1)
        return self._of_all(result)

    def moments_of_counts(
        self, counts: Mapping[int, int]
    ) -> tuple[Float64[np.ndarray, " K"], Float64[np.ndarray, " K"]]:
        """Return mean and variance from the counts of outcomes, for any number of qubits."""
        frequencies = np.array(list(counts.values()), dtype=np.float64) / sum(counts.values())
        if self.inverse is None:
            odd = [[(outcome & mask).bit_count() % 2 for mask in self.masks] for outcome in counts]
            signs = 1 - 2 * np.array(odd)
        else:
            signs = self.inverse.parities(self.masks, list(counts))
        values = signs @ self.weights.T  # (outcomes, outputs)
        mean = frequencies @ values
        return self._of_all(mean), self._of_all(frequencies @ (values - mean) ** 2)

    def _of_all(self, values: Float64[np.ndarray, "*cells outputs"]) -> Values:
        """Return the values as columns of all observables; other columns are 0."""
        if len(self.outputs) == self.num_outputs:
            return values
        result = np.zeros((*values.shape[:-1], self.num_outputs))
        result[..., self.outputs] = values
        return result

    def _expectations(self, distribution: Distribution) -> Float64[np.ndarray, "*cells outputs"]:
        return np.asarray(
            sum(_cell_by_cell(distribution[..., part], table) for part, table in self._tables())
        )

    def _tables(self) -> Iterator[tuple[slice, Float64[np.ndarray, "outcomes outputs"]]]:
        """Yield the values of the observables for every outcome, some outcomes at a time."""
        outcomes = 1 << len(self.qubits)
        if self.keep:
            yield slice(0, outcomes), self._table
            return
        size = max(1, ENTRIES_AT_ONCE // max(len(self.masks), len(self.outputs)))
        for start in range(0, outcomes, size):
            part = slice(start, min(start + size, outcomes))
            yield part, self._values(part)

    @cached_property
    def _table(self) -> Float64[np.ndarray, "outcomes outputs"]:
        return self._values(slice(0, 1 << len(self.qubits)))

    def _values(self, part: slice) -> Float64[np.ndarray, "outcomes outputs"]:
        """Return weighted sums of strings; a string is (-1)^(parity of the masked bits)."""
        outcomes = np.arange(part.start, part.stop, dtype=np.uint64)
        masks = np.array(self.masks, dtype=np.uint64)
        if self.inverse is None:
            signs = 1.0 - 2.0 * (np.bitwise_count(outcomes[:, None] & masks) & 1)
        else:
            signs = self.inverse.parities(masks, outcomes)
        return np.asarray(signs @ self.weights.T)


def _cell_by_cell(
    table: Float64[np.ndarray, "*cells n"], matrix: Float64[np.ndarray, "n outputs"]
) -> Float64[np.ndarray, "*cells outputs"]:
    """Return the product with a matrix; rounding does not depend on the number of cells."""
    return np.asarray(np.matmul(table[..., None, :], matrix)[..., 0, :])


class PauliStrings:
    """Different Pauli strings of some observables, with their coefficients in each.

    Attributes:
        constants: Multiple of the identity per observable.
    """

    def __init__(self, observables: Sequence[SparsePauliOp]) -> None:
        self._num_outputs = len(observables)
        simple = [one.simplify(atol=0, rtol=0) for one in observables]  # keep small terms
        x = np.concatenate([one.paulis.x for one in simple])
        z = np.concatenate([one.paulis.z for one in simple])
        outputs = np.repeat(np.arange(len(simple)), [len(one) for one in simple])
        coefficients = np.concatenate([one.coeffs.real for one in simple])
        acts = (x | z).any(axis=1)
        self.constants: Float64[np.ndarray, " K"] = np.bincount(
            outputs[~acts], coefficients[~acts], minlength=len(simple)
        ).astype(np.float64)
        x, z = x[acts], z[acts]
        _, first, place = np.unique(_words(x, z), axis=0, return_index=True, return_inverse=True)
        order = np.argsort(first)  # of the first occurrence
        self._x, self._z = x[first[order]], z[first[order]]
        string = np.argsort(order)[place.ravel()]
        by_string = np.argsort(string, kind="stable")
        self._outputs, self._coefficients = outputs[acts][by_string], coefficients[acts][by_string]
        self._ends = np.cumsum(np.bincount(string, minlength=len(self)))  # of their entries

    def __len__(self) -> int:
        """Return the number of different strings other than the identity."""
        return len(self._x)

    @cached_property
    def members(self) -> list[Int64[np.ndarray, " strings"]]:
        """Strings of each group, by greedy coloring; a group commutes on each qubit."""
        if not len(self):
            return []
        words, acts = _words(self._x, self._z), _words(self._x | self._z, self._x | self._z)
        if len(self) <= MOST_DEGREES:
            pairs = zip(words, acts, strict=True)
            sizes = [np.count_nonzero(_conflicts(words, acts, *one)) for one in pairs]
        else:  # strings on many qubits have many conflicts
            sizes = np.count_nonzero(self._x | self._z, axis=1).tolist()
        order = np.argsort(-np.array(sizes), kind="stable")  # most conflicts first
        group = _first_fit(words[order], acts[order])
        by_group = np.argsort(group, kind="stable")
        return np.split(order[by_group], np.cumsum(np.bincount(group))[:-1])

    @cached_property
    def groups(self) -> tuple[PauliGroup, ...]:
        """Groups of strings with one measurement basis."""
        return tuple(map(self._group, self.members))

    def _group(self, strings: Int64[np.ndarray, " strings"]) -> PauliGroup:
        x, z = self._x[strings], self._z[strings]
        some_x, some_z = x.any(axis=0), z.any(axis=0)  # equal where strings act
        qubits = np.flatnonzero(some_x | some_z).tolist()
        masks = ((x | z)[:, qubits]).astype(object) @ [1 << place for place in range(len(qubits))]
        starts = np.concatenate([[0], self._ends])
        spans = [np.arange(starts[string], starts[string + 1]) for string in strings]
        entries = np.concatenate(spans)
        outputs, row = np.unique(self._outputs[entries], return_inverse=True)
        weights = np.zeros((len(outputs), len(strings)))
        column = np.repeat(np.arange(len(strings)), list(map(len, spans)))
        np.add.at(weights, (row, column), self._coefficients[entries])
        basis = tuple((q, "Y" if some_z[q] else "X") for q in qubits if some_x[q])
        keep = len(self.members) * max(weights.shape) << len(qubits) <= KEPT_ENTRIES
        return PauliGroup(
            basis, tuple(qubits), tuple(masks), outputs, weights, self._num_outputs, keep
        )


def _words(
    low: Bool[np.ndarray, "strings qubits"], high: Bool[np.ndarray, "strings qubits"]
) -> Words:
    """Return strings as bits, two per qubit."""
    pairs = np.stack([low, high], axis=-1).reshape(len(low), 2 * low.shape[1])
    packed = np.packbits(pairs, axis=1, bitorder="little")
    padded = np.pad(packed, ((0, 0), (0, -packed.shape[1] % 8)))
    return np.ascontiguousarray(padded).view(np.uint64)


def _conflicts(words: Words, acts: Words, word: Word, act: Word) -> Bool[np.ndarray, " strings"]:
    """Return which strings have another letter than one string on a qubit where both act."""
    different = ((words ^ word) & acts & act) != 0
    return np.asarray(different[:, 0] if different.shape[1] == 1 else different.any(axis=1))


def _first_fit(words: Words, acts: Words) -> Int64[np.ndarray, " strings"]:
    """Return the group of each string: the first whose strings all commute with it."""
    found = np.empty(len(words), dtype=np.int64)
    bases, measured, count = np.zeros_like(words), np.zeros_like(acts), 0
    for number, (word, act) in enumerate(zip(words, acts, strict=True)):
        group, start, size = count, 0, GROUPS_TRIED
        while start < count:
            end = min(start + size, count)
            fits = ~_conflicts(bases[start:end], measured[start:end], word, act)
            place = int(fits.argmax())
            if fits[place]:
                group = start + place
                break
            start, size = end, 4 * size
        bases[group] |= word
        measured[group] |= act
        found[number] = group
        count = max(count, group + 1)
    return found
