"""Transfer matrices against their definition, and features of every gate with free angles."""

from __future__ import annotations

from functools import reduce
from itertools import product

import numpy as np
import pytest
from qiskit.circuit import Reset
from qiskit.circuit import library as lib
from qiskit.quantum_info import Pauli, SparsePauliOp, SuperOp
from qiskit_aer.noise import amplitude_damping_error, depolarizing_error

from hybridopt.circuits.gates import angle_rules
from hybridopt.execution.aer.channels import channel
from hybridopt.execution.aer.density_adjoint.pauli_transfer import (
    dense_observables,
    feature_slopes,
    features,
    positive_frequencies,
    transfer_coefficients,
    transfer_matrix,
)

ERROR = depolarizing_error(0.1, 2).compose(
    amplitude_damping_error(0.3).tensor(amplitude_damping_error(0.1))
)
OPERATIONS = {
    "rzx": (lib.RZXGate(0.7), lib.RZXGate(0.7)),
    "ecr": (lib.ECRGate(), lib.ECRGate()),
    "ccx": (lib.CCXGate(), lib.CCXGate()),
    "diagonal": (lib.DiagonalGate([1, 1j, -1, 1]), lib.DiagonalGate([1, 1j, -1, 1])),
    "reset": (Reset(), Reset()),
    "error": (channel(ERROR), ERROR),
}


@pytest.mark.parametrize(("operation", "known"), OPERATIONS.values(), ids=OPERATIONS)
def test_matrices_equal_their_definition(operation, known):
    count = operation.num_qubits
    paulis = [Pauli("".join(one)).to_matrix() for one in product("IXYZ", repeat=count)]
    images = [evolved(SuperOp(known), pauli) for pauli in paulis]
    expected = [[np.trace(row @ image).real / 2**count for image in images] for row in paulis]
    np.testing.assert_allclose(transfer_matrix(operation), expected, rtol=0, atol=1e-14)


def evolved(superoperator: SuperOp, matrix: np.ndarray) -> np.ndarray:
    """Return the image of a matrix, whose columns Qiskit stacks."""
    image = superoperator.data @ matrix.ravel(order="F")
    return image.reshape(matrix.shape, order="F")


def test_observables_as_matrices():
    labels = ["".join(one) for one in product("IXYZ", repeat=3)]
    coefficients = np.random.default_rng(0).normal(size=(2, 64))
    expected = [SparsePauliOp(labels, one).to_matrix() for one in coefficients]
    np.testing.assert_allclose(dense_observables(coefficients, 3), expected, rtol=0, atol=1e-14)


GATES = [
    lib.CPhaseGate, lib.PhaseGate, lib.RGate, lib.RXGate, lib.RXXGate, lib.RYGate, lib.RYYGate,
    lib.RZGate, lib.RZXGate, lib.RZZGate, lib.UGate, lib.U2Gate, lib.CRXGate, lib.CU3Gate,
]  # fmt: skip
NUMBERS = {lib.RGate: 2, lib.U2Gate: 2, lib.UGate: 3, lib.CU3Gate: 3}  # of angles


@pytest.mark.parametrize("kind", GATES)
def test_features_give_matrices_and_their_slopes_at_any_angle(kind):
    angles = [0.7, -2.1, 4.3][: NUMBERS.get(kind, 1)]
    count, rules = len(angles), angle_rules(kind(*angles))
    coefficients = transfer_coefficients(kind(*angles), list(enumerate(rules)))

    def at(functions):
        parts = [
            function(np.array(angle), positive_frequencies(rule))
            for function, angle, rule in zip(functions, angles, rules, strict=True)
        ]
        return np.tensordot(reduce(np.kron, parts), coefficients, axes=1)

    found = at([features] * count)
    np.testing.assert_allclose(found, transfer_matrix(kind(*angles)), rtol=0, atol=1e-13)
    step = 1e-5
    for place in range(count):
        moved = [[*angles] for _ in range(2)]
        moved[0][place] += step
        moved[1][place] -= step
        high, low = (transfer_matrix(kind(*one)) for one in moved)
        slope = at([feature_slopes if n == place else features for n in range(count)])
        np.testing.assert_allclose(slope, (high - low) / (2 * step), rtol=0, atol=1e-8)
