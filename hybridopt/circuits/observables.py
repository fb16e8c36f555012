"""Observables in all forms that Qiskit has, as `SparsePauliOp`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from qiskit.quantum_info import Operator, Pauli, SparseObservable, SparsePauliOp

from hybridopt import _validation
from hybridopt.circuits.observable_lines import check_letters, pauli_sum
from hybridopt.errors import ArgumentError

WIDEST_OPERATOR = 10  # qubits; a matrix has 4^n Pauli strings
ROUNDING = 1e-12  # of a matrix that is Hermitian up to rounding, relative to its largest element


def as_pauli_sum(observable: object, name: str = "observable") -> SparsePauliOp:
    """Return the observable as a weighted sum of Pauli strings.

    Args:
        observable: SparsePauliOp, SparseObservable, Pauli, Hermitian Operator of at most 10
            qubits, string such as "ZIX", or mapping from strings to factors.
        name: Name of the argument in errors.

    Raises:
        ArgumentTypeError: If it is of another type.
        ArgumentError: If a string has other letters, or an Operator is too wide or not Hermitian.
    """
    expected = "a SparsePauliOp, Pauli, Operator, SparseObservable or a string such as 'ZIX'"
    _validation.instance(name, observable, tuple(CONVERSIONS), expected)
    kind = next(kind for kind in CONVERSIONS if isinstance(observable, kind))
    return CONVERSIONS[kind](observable)


def _from_labels(labels: Mapping[str, float]) -> SparsePauliOp:
    for label in labels:
        check_letters(label, "IXYZ01+-rl")
    terms = [(label, complex(factor)) for label, factor in labels.items()]
    if set().union(*labels) <= set("IXYZ"):
        return pauli_sum(terms)
    # labels with projectors are those of `SparseObservable`
    return SparsePauliOp.from_sparse_observable(SparseObservable.from_list(terms))


def _from_operator(operator: Operator) -> SparsePauliOp:
    if operator.num_qubits is None or operator.num_qubits > WIDEST_OPERATOR:
        raise ArgumentError(
            f"An Operator must act on 1 to {WIDEST_OPERATOR} qubits (got dimensions "
            f"{operator.dim}). Give a SparsePauliOp."
        )
    matrix = operator.data
    largest = float(abs(matrix).max())
    if not np.isfinite(largest) or abs(matrix - matrix.conj().T).max() > ROUNDING * largest:
        raise ArgumentError("An Operator must be Hermitian and finite to be an observable.")
    hermitian = Operator((matrix + matrix.conj().T) / 2)
    terms = SparsePauliOp.from_operator(hermitian, atol=0, rtol=0)
    return SparsePauliOp(terms.paulis, terms.coeffs.real)


CONVERSIONS: dict[type, Callable[[Any], SparsePauliOp]] = {
    SparsePauliOp: lambda observable: observable,
    SparseObservable: SparsePauliOp.from_sparse_observable,
    Operator: _from_operator,
    Pauli: SparsePauliOp,
    str: lambda label: _from_labels({label: 1.0}),
    Mapping: _from_labels,
}
