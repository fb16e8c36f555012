"""Observables in all forms that Qiskit's estimators take, as `SparsePauliOp`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from qiskit import QuantumCircuit
from qiskit.primitives.containers.estimator_pub import EstimatorPub
from qiskit.primitives.containers.observables_array import ObservablesArray
from qiskit.quantum_info import Operator, Pauli, SparseObservable, SparsePauliOp

from hybridopt import _validation
from hybridopt.circuits.instructions import without_measurements
from hybridopt.circuits.observable_lines import check_letters
from hybridopt.circuits.physical import PhysicalCircuit, layout_applies, physical_circuit


def as_pauli_sum(observable: object) -> SparsePauliOp:
    """Return the observable as a weighted sum of Pauli strings."""
    expected = "a SparsePauliOp, Pauli, Operator, SparseObservable or a string such as 'ZIX'"
    _validation.instance("observable", observable, tuple(CONVERSIONS), expected)
    kind = next(kind for kind in CONVERSIONS if isinstance(observable, kind))
    return CONVERSIONS[kind](observable)


def with_layout(pub: Any) -> Any:
    """Return a pub whose observables act on the qubits of its circuit, with the layout applied."""
    if isinstance(pub, EstimatorPub) or not isinstance(pub, tuple | list) or len(pub) < 2:
        return pub
    circuit, observables, *rest = pub
    if not isinstance(circuit, QuantumCircuit):
        return pub
    array = ObservablesArray.coerce(observables)
    found = np.empty(array.shape, dtype=object)
    physical = physical_circuit(without_measurements(circuit)[0])
    for index in np.ndindex(array.shape):
        terms = dict(array[index].items())
        width = len(next(iter(terms), "I" * circuit.num_qubits))
        if layout_applies(physical, f"Observable {next(iter(terms), '')}", width):
            terms = {_placed(physical, label): factor for label, factor in terms.items()}
        found[index] = terms
    return (circuit, ObservablesArray(found), *rest)


def _placed(physical: PhysicalCircuit, label: str) -> str:
    letters = ["I"] * physical.circuit.num_qubits
    for qubit, letter in zip(physical.virtual_qubits, reversed(label), strict=True):
        letters[qubit] = letter
    return "".join(reversed(letters))


def _from_labels(labels: Mapping[str, float]) -> SparsePauliOp:
    for label in labels:
        check_letters(label, "IXYZ01+-rl")
    terms = [(label, complex(factor)) for label, factor in labels.items()]
    if set().union(*labels) <= set("IXYZ"):
        return SparsePauliOp.from_list(terms)
    # labels with projectors are those of `SparseObservable`
    return SparsePauliOp.from_sparse_observable(SparseObservable.from_list(terms))


CONVERSIONS: dict[type, Callable[[Any], SparsePauliOp]] = {
    SparsePauliOp: lambda observable: observable,
    SparseObservable: SparsePauliOp.from_sparse_observable,
    Operator: SparsePauliOp.from_operator,
    Pauli: SparsePauliOp,
    str: lambda label: _from_labels({label: 1.0}),
    Mapping: _from_labels,
}
