"""Observables of pubs on the qubits of their circuits."""

from __future__ import annotations

from typing import Any

import numpy as np
from qiskit import QuantumCircuit
from qiskit.primitives.containers.estimator_pub import EstimatorPub
from qiskit.primitives.containers.observables_array import ObservablesArray
from qiskit.quantum_info import Operator

from hybridopt.circuits.instructions import without_measurements
from hybridopt.circuits.observable_lines import width_error
from hybridopt.circuits.observables import as_pauli_sum
from hybridopt.circuits.physical import PhysicalCircuit, layout_applies, physical_circuit


def with_layout(pub: Any) -> Any:
    """Return a pub whose observables act on the qubits of its circuit, with the layout applied."""
    if isinstance(pub, EstimatorPub) or not isinstance(pub, tuple | list) or len(pub) < 2:
        return pub
    circuit, observables, *rest = pub
    if not isinstance(circuit, QuantumCircuit):
        return pub
    array = ObservablesArray.coerce(_pauli_sums(observables))
    if circuit.layout is not None:
        array = _array_with_layout(circuit, array)
        return (circuit, array, *rest)
    width = getattr(array, "num_qubits", None)  # None in Qiskit 2.0; 0 without observables
    if width and width != circuit.num_qubits:
        label = next(iter(array.ravel()[0]))
        raise width_error(f"Observable {label}", f"the {circuit.num_qubits} qubits", width)
    return (circuit, array, *rest)


def _array_with_layout(circuit: QuantumCircuit, array: ObservablesArray) -> ObservablesArray:
    found = np.empty(array.shape, dtype=object)
    physical = physical_circuit(without_measurements(circuit)[0])
    for index in np.ndindex(array.shape):
        terms = dict(array[index].items())
        width = len(next(iter(terms), "I" * circuit.num_qubits))
        if layout_applies(physical, f"Observable {next(iter(terms), '')}", width):
            terms = {_placed(physical, label): factor for label, factor in terms.items()}
        found[index] = terms
    return ObservablesArray(found)


def _pauli_sums(observables: Any) -> Any:
    """Return observables with each Operator as a sum of Pauli strings."""
    if isinstance(observables, list | tuple):
        return [_pauli_sums(one) for one in observables]
    return as_pauli_sum(observables) if isinstance(observables, Operator) else observables


def _placed(physical: PhysicalCircuit, label: str) -> str:
    letters = ["I"] * physical.circuit.num_qubits
    for qubit, letter in zip(physical.virtual_qubits, reversed(label), strict=True):
        letters[qubit] = letter
    return "".join(reversed(letters))
