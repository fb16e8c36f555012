"""Errors of a noise model that would not act on the circuit as it is run are refused by name."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.circuit.library import U1Gate, UnitaryGate
from qiskit.providers.fake_provider import GenericBackendV2
from qiskit_aer.noise import (
    NoiseModel,
    depolarizing_error,
)

from hybridopt import AerExecutor, CircuitLayer
from hybridopt.errors import CircuitError, UnsupportedError

W = ParameterVector("w", 2)


def errors_on(name: str) -> NoiseModel:
    model = NoiseModel()
    qubits = {"cp": 2, "cswap": 3}.get(name, 1)
    model.add_all_qubit_quantum_error(depolarizing_error(0.1, qubits), name)
    return model


def with_free_cp() -> QuantumCircuit:
    one = QuantumCircuit(3)
    one.ry(W[0], 0)
    one.cp(W[1], 0, 1)
    return one


def with_free_u() -> QuantumCircuit:
    one = QuantumCircuit(3)
    one.u(W[0], 0.1, W[1], 2)
    return one


def with_free_u1() -> QuantumCircuit:
    one = QuantumCircuit(3)
    one.ry(W[0], 0)
    one.append(U1Gate(W[1]), [1])  # run as p
    return one


def with_a_label() -> QuantumCircuit:
    one = QuantumCircuit(3)
    one.ry(W[0], 0)
    one.append(UnitaryGate(np.eye(2), label="marked"), [1])
    one.ry(W[1], 1)
    return one


def with_cswap() -> QuantumCircuit:
    one = QuantumCircuit(3)
    one.ry(W[0], 0)
    one.ry(W[1], 1)
    one.cswap(0, 1, 2)
    return one


@pytest.mark.parametrize(
    ("make", "name"),
    [(with_free_cp, "cp"), (with_free_u, "u"), (with_free_u1, "u1"),
     (with_a_label, "marked"), (with_cswap, "cswap"),
     (with_a_label, "unitary")],
)  # fmt: skip
def test_errors_that_would_not_act_are_refused_by_name(make, name, aer_calls):
    executor = AerExecutor(noise_model=errors_on(name))
    with pytest.raises(UnsupportedError, match=f"errors for `{name}`"):
        CircuitLayer(make(), [], list(W), ["ZII"], executor)
    assert aer_calls == []


def test_gates_in_which_nothing_can_be_written_are_refused():
    backend = GenericBackendV2(3, basis_gates=["cx"], seed=1)
    layer = CircuitLayer(with_free_cp(), [], list(W), ["ZII"], AerExecutor(noise_model=backend))
    with pytest.raises(CircuitError, match="cannot be written in the gates of"):
        layer(torch.zeros(1, 0))
