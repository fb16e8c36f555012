"""Effects of measured qubits, and observables as their transposes."""

from __future__ import annotations

import numpy as np
import pytest
from qiskit.quantum_info import Pauli, SparsePauliOp, random_density_matrix

from hybridopt.circuits import lower
from hybridopt.execution import Expectations, Probabilities
from hybridopt.execution.aer.density_adjoint.effects import (
    PLAIN,
    MeasuredReadout,
    MeasuredSetting,
)
from tests.circuits.families import FAMILIES

CONFUSION = np.array([[0.9, 0.1], [0.3, 0.7]])  # true, read


def vector_of(state) -> np.ndarray:
    letters = np.array(["I", "X", "Y", "Z"])
    labels = ["".join(letters[list(digits)]) for digits in np.ndindex(4, 4, 4)]
    return np.array([state.expectation_value(Pauli(label)).real for label in labels])


@pytest.mark.parametrize("qubits", [(0, 1, 2), (2, 0), (1,), (2, 0, 1)], ids=str)
def test_probabilities_of_reported_outcomes(qubits):
    state = random_density_matrix(8, seed=1)
    vector = vector_of(state)[None]
    wrong = len(qubits) - 1  # one qubit has readout errors
    effects = tuple(CONFUSION.T @ PLAIN if k == wrong else PLAIN for k in range(len(qubits)))
    setting = MeasuredSetting(qubits, effects)
    true = state.probabilities(list(qubits)).reshape((2,) * len(qubits))
    read = np.tensordot(CONFUSION.T, true, axes=(1, 0)).ravel()  # the last qubit is the first axis
    np.testing.assert_allclose(setting.probabilities(vector, 3)[0], read, rtol=0, atol=1e-14)
    weights = np.random.default_rng(0).normal(size=(2, 1 << len(qubits)))
    pulled = setting.observables(weights, 3) @ vector[0]
    np.testing.assert_allclose(pulled, weights @ read, rtol=0, atol=1e-13)


READOUTS = {
    "observables": Expectations((SparsePauliOp(["ZIZ", "III", "IZI"], [1, 0.4, -2]),)),
    "probabilities": Probabilities((1, 2)),
}


@pytest.mark.parametrize("readout", READOUTS.values(), ids=READOUTS)
def test_observables_are_the_transpose_of_values(readout):
    program = lower(FAMILIES[0].circuit, FAMILIES[0].inputs, FAMILIES[0].weights)
    settings = [
        MeasuredSetting(one.qubits, (PLAIN,) * len(one.qubits)) for one in readout.settings(program)
    ]
    measured = MeasuredReadout(program, readout, settings, 3)
    vectors = np.stack([vector_of(random_density_matrix(8, seed=seed)) for seed in range(2)])
    values = measured.values(vectors)
    cotangent = np.random.default_rng(0).normal(size=(2, measured.num_outputs))
    pulled = measured.observables(cotangent) @ vectors.T
    expected = cotangent @ (values - measured.constants()).T
    np.testing.assert_allclose(pulled, expected, rtol=0, atol=1e-13)
