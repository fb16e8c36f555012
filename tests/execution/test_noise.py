"""Noise compared with direct simulations of transpiled circuits on Aer."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.circuit.library import CPhaseGate, U1Gate, UGate
from qiskit.providers.fake_provider import GenericBackendV2
from qiskit.quantum_info import DensityMatrix
from qiskit_aer import AerSimulator
from qiskit_aer.noise import (
    NoiseModel,
    ReadoutError,
    amplitude_damping_error,
    coherent_unitary_error,
    depolarizing_error,
    pauli_error,
    thermal_relaxation_error,
)
from qiskit_ibm_runtime.fake_provider import FakeManilaV2

from hybridopt import AerExecutor, CircuitLayer
from hybridopt.errors import ArgumentTypeError, ResourceError, UnsupportedError
from hybridopt.execution import Cost, Probabilities
from hybridopt.execution.noise import noise_of
from tests.execution.noisy import noisy_expectation, rotate_into

X, W = ParameterVector("x", 2), ParameterVector("w", 4)
ROWS = np.array([[0.3, 0.9], [-0.7, 0.4]])
WEIGHTS = np.array([0.3, 0.8, -0.5, 1.1])
LABELS = ["XIZ", "IXY", "YYX"]
ASYMMETRIC = ReadoutError([[0.9, 0.1], [0.25, 0.75]])
DEVICE = GenericBackendV2(5, seed=1)


def circuit() -> QuantumCircuit:
    """Return a circuit whose gates are in the basis of every model below."""
    result = QuantumCircuit(3)
    result.sx([0, 1, 2])
    result.rz(X[0], 0)
    result.rz(W[0], 1)
    result.sx([0, 1])
    result.cx(0, 1)
    result.rz(W[1] * X[1], 1)
    result.cx(1, 2)
    result.sx([1, 2])
    result.rz(W[2], 2)
    result.sx(2)
    result.cx(2, 0)
    result.rz(W[3], 0)
    result.sx(0)
    return result


def bound(row, weights) -> QuantumCircuit:
    return circuit().assign_parameters({**dict(zip(X, row)), **dict(zip(W, weights))})  # noqa: B905


def layer_with(executor: AerExecutor, observables=LABELS, **arguments) -> CircuitLayer:
    initial = torch.tensor(WEIGHTS)
    return CircuitLayer(circuit(), X, W, observables, executor, initial=initial, **arguments)


def model_of(*errors, readout=None) -> NoiseModel:
    model = NoiseModel(basis_gates=["sx", "rz", "cx", "x", "h", "sdg"])
    for error, gates, *qubits in errors:
        if qubits:
            model.add_quantum_error(error, gates, qubits[0])
        else:
            model.add_all_qubit_quantum_error(error, gates)
    if readout is not None:
        model.add_all_qubit_readout_error(readout)
    return model


COHERENT = coherent_unitary_error(
    np.array([[math.cos(0.1), -1j * math.sin(0.1)], [-1j * math.sin(0.1), math.cos(0.1)]])
)
MODELS = {
    "none": model_of(),
    "depolarizing": model_of(
        (depolarizing_error(0.02, 1), ["sx", "h"]), (depolarizing_error(0.05, 2), "cx")
    ),
    "damping of some": model_of(
        (amplitude_damping_error(0.3), "sx", [1]), (amplitude_damping_error(0.1), "sx", [2])
    ),
    "directed": model_of(
        (depolarizing_error(0.3, 2), "cx", [0, 1]),
        (depolarizing_error(0.1, 2), "cx", [1, 2]),
        (depolarizing_error(0.2, 2), "cx", [2, 0]),
    ),
    "coherent": model_of((COHERENT, "sx")),
    "relaxation": model_of((thermal_relaxation_error(50, 70, 10), ["sx", "cx"][:1])),
}


def direct(model: NoiseModel, label: str, row, weights=WEIGHTS) -> float:
    return noisy_expectation(model, bound(row, weights), label)


def direct_counts(simulator: AerSimulator, transpiled: QuantumCircuit, shots: int) -> dict:
    counts = simulator.run(transpiled, shots=shots, seed_simulator=5).result().get_counts()
    return {outcome: count / shots for outcome, count in counts.items()}


def parity(frequencies: dict[str, float]) -> float:
    return sum((-1) ** outcome.count("1") * f for outcome, f in frequencies.items())


def measured_circuit(label: str, row=ROWS[0]) -> QuantumCircuit:
    acting = [k for k, letter in enumerate(reversed(label)) if letter != "I"]
    result = QuantumCircuit(3, len(acting))
    result.compose(bound(row, WEIGHTS), inplace=True)
    rotate_into(result, label)
    result.measure(acting, range(len(acting)))
    return result


@pytest.mark.parametrize("name", list(MODELS))
def test_exact_values_are_those_of_the_density_matrix(name):
    executor = AerExecutor(noise_model=MODELS[name])
    outputs = layer_with(executor)(torch.tensor(ROWS)).detach()
    assert executor.usage == Cost(settings=6, shots=0, runs=6)
    expected = [[direct(MODELS[name], label, row) for label in LABELS] for row in ROWS]
    np.testing.assert_allclose(outputs.numpy(), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", ["depolarizing", "damping of some", "coherent"])
def test_parameter_shift_is_exact_with_noise(name):
    layer = layer_with(AerExecutor(noise_model=MODELS[name]), ["XIZ"])
    x = torch.tensor(ROWS[:1], requires_grad=True)
    by_x, by_weight = torch.autograd.grad(layer(x).sum(), [x, layer.weight])
    for place, unit in enumerate(np.eye(4)):
        up, down = (
            direct(MODELS[name], "XIZ", ROWS[0], WEIGHTS + s * 1e-4 * unit) for s in (1, -1)
        )
        assert by_weight[place].item() == pytest.approx((up - down) / 2e-4, abs=1e-6)
    for place, unit in enumerate(np.eye(2)):
        up, down = (direct(MODELS[name], "XIZ", ROWS[0] + s * 1e-4 * unit) for s in (1, -1))
        assert by_x[0, place].item() == pytest.approx((up - down) / 2e-4, abs=1e-6)


@pytest.mark.parametrize("method", ["automatic", "statevector", "matrix_product_state"])
def test_shots_have_the_noisy_mean(method, aer_calls):
    shots = 2000
    model = MODELS["depolarizing"]
    executor = AerExecutor(noise_model=model, method=method, shots=shots, seed=4)
    outputs = layer_with(executor)(torch.tensor(ROWS)).detach().numpy()
    expected = np.array([[direct(model, label, row) for label in LABELS] for row in ROWS])
    deviation = np.sqrt((1 - expected**2) / shots)
    assert np.all(np.abs(outputs - expected) <= 5 * deviation)
    assert executor.usage.settings == 6
    assert executor.usage.shots == 6 * shots
    assert sum(aer_calls) >= 3
    again = AerExecutor(noise_model=model, method=method, shots=shots, seed=4)
    assert (layer_with(again)(torch.tensor(ROWS)).detach().numpy() == outputs).all()


READOUTS = {
    "of all": model_of(readout=ASYMMETRIC),
    "of measure": model_of((pauli_error([("X", 0.1), ("I", 0.9)]), "measure")),
    "of measure, by qubit": model_of(
        (amplitude_damping_error(0.4), "measure", [1]),
        (pauli_error([("X", 0.1), ("I", 0.9)]), "measure", [2]),
    ),
    "both": model_of(
        (amplitude_damping_error(0.3), "measure"),
        (depolarizing_error(0.02, 1), "sx"),
        readout=ASYMMETRIC,
    ),
}
READOUTS["by qubit"] = model_of()
READOUTS["by qubit"].add_readout_error(ASYMMETRIC, [1])
READOUTS["by qubit"].add_readout_error(ReadoutError([[0.7, 0.3], [0.05, 0.95]]), [2])


@pytest.mark.parametrize("shots", [None, 4000])
@pytest.mark.parametrize("name", list(READOUTS))
def test_readout_errors(name, shots):
    reference_shots = 40_000
    model = READOUTS[name]
    executor = AerExecutor(noise_model=model, shots=shots, seed=2)
    outputs = layer_with(executor)(torch.tensor(ROWS[:1])).detach().numpy()[0]
    simulator = AerSimulator(noise_model=model)
    for value, label in zip(outputs, LABELS, strict=True):
        expected = parity(direct_counts(simulator, measured_circuit(label), reference_shots))
        variance = 1 / reference_shots + (0 if shots is None else 1 / shots)
        assert abs(value - expected) <= 5 * math.sqrt(variance)


def test_each_qubit_has_its_own_readout_error():
    model = READOUTS["by qubit"]
    layer = layer_with(AerExecutor(noise_model=model), Probabilities(qubits=(2, 0, 1)))
    outputs = layer(torch.tensor(ROWS[:1])).detach().numpy()[0]
    ideal = DensityMatrix(bound(ROWS[0], WEIGHTS)).probabilities([2, 0, 1])
    confusion = np.kron(
        np.array([[0.9, 0.1], [0.25, 0.75]]).T,
        np.kron(np.eye(2), np.array([[0.7, 0.3], [0.05, 0.95]]).T),
    )
    np.testing.assert_allclose(outputs, confusion @ ideal, rtol=0, atol=1e-12)


A = ParameterVector("a", 2)
FREE = {
    "cp": (CPhaseGate(A[1]), [0, 1]),
    "u": (UGate(A[0], 0.1, A[1]), [2]),
    "u1": (U1Gate(A[1]), [1]),  # runs as p
}


@pytest.mark.parametrize("name", ["u3", "u2", "rx", "ry", "r", *FREE])
def test_noise_acts_on_all_gates_of_aer(name):
    model = NoiseModel()
    model.add_all_qubit_quantum_error(depolarizing_error(0.2, 2 if name == "cp" else 1), name)
    turned = QuantumCircuit(3)
    turned.ry(A[0], 0)
    turned.h(1)
    turned.ry(A[1], 2)
    if name in FREE:
        turned.append(*FREE[name])
    weights, labels = np.array([0.4, 1.1]), ["IXX", "YII"]
    executor = AerExecutor(noise_model=model)
    layer = CircuitLayer(turned, [], list(A), labels, executor, initial=weights)
    outputs = layer(torch.zeros(1, 0, dtype=torch.float64))[0]

    def by_hand(values: np.ndarray) -> np.ndarray:
        numbers = turned.assign_parameters(dict(zip(A, values, strict=True)))
        return np.array([noisy_expectation(model, numbers, label) for label in labels])

    np.testing.assert_allclose(outputs.detach().numpy(), by_hand(weights), rtol=0, atol=1e-10)
    slopes = torch.stack(
        [torch.autograd.grad(one, layer.weight, retain_graph=True)[0] for one in outputs]
    )
    steps = 1e-4 * np.eye(2)
    expected = [(by_hand(weights + step) - by_hand(weights - step)) / 2e-4 for step in steps]
    np.testing.assert_allclose(slopes.T.numpy(), expected, rtol=0, atol=1e-7)


def test_simulator_of_a_device_keeps_its_noise():
    simulator = AerSimulator.from_backend(DEVICE)
    noise = noise_of(simulator)
    assert noise is not None
    assert noise.model is simulator.options.noise_model
    assert noise.device is simulator  # with its couplings
    plain = noise_of(AerSimulator())
    assert plain is not None
    assert plain.model is not None
    assert plain.device is None
    assert plain.model.is_ideal()


def test_too_many_qubits_for_the_device_raise(aer_calls):
    wide = QuantumCircuit(6)
    wide.ry(W[0], range(6))
    with pytest.raises(UnsupportedError, match=r"at most 5 qubits .*6"):
        CircuitLayer(wide, (), [W[0]], executor=AerExecutor(noise_model=FakeManilaV2()))
    assert aer_calls == []


def test_too_many_qubits_for_a_density_matrix_raise(aer_calls):
    wide = QuantumCircuit(12)
    wide.ry(W[0], range(12))
    model = MODELS["depolarizing"]
    small = {"noise_model": model, "max_memory": 80 * 4**8}
    with pytest.raises(ResourceError, match=r"12 qubits.*density_matrix.*`shots`"):
        CircuitLayer(wide, (), [W[0]], executor=AerExecutor(**small))
    assert aer_calls == []
    sampled = CircuitLayer(wide, (), [W[0]], ["Z" * 12], AerExecutor(**small, shots=5, seed=1))
    assert sampled(torch.zeros(1, 0)).abs() <= 1
    assert "Aer statevector" in sampled.explain()
    assert "the density matrix does not fit" in sampled.explain()


@pytest.mark.parametrize("value", ["depolarizing", depolarizing_error(0.1, 1), NoiseModel])
def test_other_types_of_noise_raise(value):
    with pytest.raises(ArgumentTypeError, match="`noise_model`"):
        AerExecutor(noise_model=value)
