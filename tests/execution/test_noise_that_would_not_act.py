"""Errors of a noise model that would not act on the circuit as it is run are refused by name."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from qiskit import QuantumCircuit, transpile
from qiskit.circuit import ParameterVector
from qiskit.circuit.library import U1Gate, UnitaryGate
from qiskit.providers.fake_provider import GenericBackendV2
from qiskit.quantum_info import DensityMatrix, SparsePauliOp
from qiskit_aer import AerSimulator
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
    [(with_a_label, "marked"), (with_cswap, "cswap"), (with_a_label, "unitary")],
)
def test_errors_that_would_not_act_are_refused_by_name(make, name, aer_calls):
    executor = AerExecutor(noise_model=errors_on(name))
    with pytest.raises(UnsupportedError, match=f"errors for `{name}`"):
        CircuitLayer(make(), [], list(W), ["ZII"], executor)
    assert aer_calls == []


@pytest.mark.parametrize(
    ("make", "name"), [(with_free_cp, "cp"), (with_free_u, "u"), (with_free_u1, "u1")]
)
def test_gates_with_free_angles_stay_whole_with_their_noise(make, name):
    weights = np.array([0.4, 1.1])
    model = errors_on(name)
    layer = CircuitLayer(
        make(), [], list(W), ["IXX", "YII"], AerExecutor(noise_model=model), initial=weights
    )
    outputs = layer(torch.zeros(1, 0, dtype=torch.float64))[0]

    def by_hand(values: np.ndarray) -> np.ndarray:
        found = []
        for basis in ((0, 1), (2,)):
            bound = make().assign_parameters(dict(zip(W, values, strict=True)))
            if basis == (2,):
                bound.sdg(2)
            bound.h(basis)
            bound = transpile(bound, basis_gates=model.basis_gates, optimization_level=0)
            bound.save_density_matrix()
            simulator = AerSimulator(method="density_matrix", noise_model=model)
            state = DensityMatrix(simulator.run(bound).result().data()["density_matrix"])
            label = "".join("Z" if 2 - k in basis else "I" for k in range(3))
            found.append(state.expectation_value(SparsePauliOp(label)).real)
        return np.array(found)

    np.testing.assert_allclose(outputs.detach().numpy(), by_hand(weights), rtol=0, atol=1e-12)
    for output in range(2):
        (slope,) = torch.autograd.grad(outputs[output], layer.weight, retain_graph=True)
        for place, unit in enumerate(1e-4 * np.eye(2)):
            difference = (by_hand(weights + unit) - by_hand(weights - unit))[output] / 2e-4
            assert slope[place].item() == pytest.approx(difference, abs=1e-7)


def test_gates_in_which_nothing_can_be_written_are_refused(aer_calls):
    backend = GenericBackendV2(3, basis_gates=["cx"], seed=1)
    with pytest.raises(CircuitError, match="cannot be written in the gates of"):
        CircuitLayer(with_free_cp(), [], list(W), ["ZII"], AerExecutor(noise_model=backend))
    assert aer_calls == []
