"""Groups of Pauli strings with one measurement basis, and their expectation values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float64
from qiskit.quantum_info import PauliList, SparsePauliOp

Distribution = Float64[np.ndarray, "*cells outcomes"]
Values = Float64[np.ndarray, "*cells K"]
MAX_TABLE = 1 << 22  # entries kept for all outcomes; larger tables are computed one by one


@dataclass(frozen=True, eq=False)
class PauliGroup:
    """Pauli strings that commute on each qubit."""

    basis: tuple[tuple[int, str], ...]  # qubits measured in X or Y
    qubits: tuple[int, ...]  # measured qubits, ascending
    masks: tuple[int, ...]  # per string, the bits of the outcome that give its parity
    weights: Float64[np.ndarray, "K strings"]  # coefficients of the strings in the observables

    def expectations(self, distribution: Distribution) -> Values:
        """Return the part of each observable in this group, from probabilities or frequencies."""
        parts = [_cell_by_cell(distribution, table) for table in self._tables()]
        return np.concatenate(parts, axis=-1)

    def variances(self, distribution: Distribution) -> Values:
        """Return the variance per shot of the part of each observable in this group."""
        columns = []
        for values in (column for table in self._tables() for column in table.T):
            deviations = (values - _cell_by_cell(distribution, values[:, None])) ** 2
            columns.append((distribution * deviations).sum(-1))
        return np.stack(columns, axis=-1)

    def moments_of_counts(
        self, counts: Mapping[int, int]
    ) -> tuple[Float64[np.ndarray, " K"], Float64[np.ndarray, " K"]]:
        """Return mean and variance from the counts of outcomes, for any number of qubits."""
        frequencies = np.array(list(counts.values()), dtype=np.float64) / sum(counts.values())
        parities = [[(outcome & mask).bit_count() % 2 for mask in self.masks] for outcome in counts]
        signs = 1 - 2 * np.array(parities)
        values = signs @ self.weights.T  # (outcomes, K)
        mean = frequencies @ values
        return mean, frequencies @ (values - mean) ** 2

    def _tables(self) -> Iterable[Float64[np.ndarray, "outcomes _"]]:
        """Return the values of the observables for every outcome, as one table or one by one."""
        if len(self.weights) << len(self.qubits) <= MAX_TABLE:
            return (self._table,)
        return (self._values(weights[:, None]) for weights in self.weights)

    @cached_property
    def _table(self) -> Float64[np.ndarray, "outcomes K"]:
        return self._values(self.weights.T)

    def _values(
        self, weights: Float64[np.ndarray, "strings n"]
    ) -> Float64[np.ndarray, "outcomes n"]:
        """Return weighted sums of strings; a string is (-1)^(parity of the masked bits)."""
        outcomes = np.arange(1 << len(self.qubits), dtype=np.uint64)
        result = np.zeros((len(outcomes), weights.shape[1]))
        for mask, of_string in zip(self.masks, weights, strict=True):
            if of_string.any():
                signs = 1.0 - 2.0 * (np.bitwise_count(outcomes & np.uint64(mask)) & 1)
                result += np.outer(signs, of_string)
        return result


def _cell_by_cell(
    table: Float64[np.ndarray, "*cells n"], matrix: Float64[np.ndarray, "n K"]
) -> Float64[np.ndarray, "*cells K"]:
    """Return the product with a matrix; rounding does not depend on the number of cells."""
    return np.asarray(np.matmul(table[..., None, :], matrix)[..., 0, :])


def grouped(
    observables: Sequence[SparsePauliOp],
) -> tuple[tuple[PauliGroup, ...], Float64[np.ndarray, " K"]]:
    """Return the groups of all strings, and the multiple of the identity per observable."""
    weights: dict[str, Float64[np.ndarray, " K"]] = {}  # of each string in all observables
    constants = np.zeros(len(observables))
    for k, observable in enumerate(observables):
        for label, coefficient in observable.simplify(atol=0, rtol=0).to_list():  # keep small terms
            if set(label) == {"I"}:
                constants[k] += coefficient.real
            else:
                weights.setdefault(label, np.zeros(len(observables)))[k] += coefficient.real
    if not weights:
        return (), constants
    groups = []
    for members in PauliList(list(weights)).group_qubit_wise_commuting():
        some_x, some_z = members.x.any(axis=0), members.z.any(axis=0)  # equal where strings act
        qubits = tuple(np.flatnonzero(some_x | some_z).tolist())
        masks = tuple(
            sum(1 << place for place, qubit in enumerate(qubits) if x[qubit] or z[qubit])
            for x, z in zip(members.x, members.z, strict=True)
        )
        columns = np.stack([weights[label] for label in members.to_labels()], axis=1)
        basis = tuple((q, "Y" if some_z[q] else "X") for q in qubits if some_x[q])
        groups.append(PauliGroup(basis, qubits, masks, columns))
    return tuple(groups), constants
