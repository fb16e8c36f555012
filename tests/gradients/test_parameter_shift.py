"""One common shift against single shifts, and sweeps against runs of every shifted circuit."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit.library import real_amplitudes
from qiskit.primitives import StatevectorSampler
from qiskit.quantum_info import Statevector
from qiskit_machine_learning.circuit.library import raw_feature_vector
from scipy.linalg import hadamard

import hybridopt as ho
from hybridopt.bridges.memory.circuit import MemoryProgram
from hybridopt.bridges.memory.readout import CircuitReader
from hybridopt.errors import UnknownNameError, UnsupportedError
from hybridopt.execution import AerExecutor, Cost, Probabilities, StateExecutor
from hybridopt.gradients import ParameterShift
from tests.circuits.families import FAMILIES
from tests.execution.aer.density_adjoint.noise_models import many_errors
from tests.nn.layers import layer_of, tensors

SWEEP = ParameterShift(simulate="sweep")
THETA = np.random.default_rng(3).uniform(-np.pi, np.pi, 8)


def chain(walsh: np.ndarray) -> QuantumCircuit:
    """Return eight rotations of the data qubit between CX in Gray order, on three index qubits."""
    circuit = QuantumCircuit(4)
    circuit.h([0, 1, 2])
    for code, control in zip([0, 1, 3, 2, 6, 7, 5, 4], [0, 1, 0, 2, 0, 1, 0, 2], strict=True):
        circuit.ry(walsh[code], 3)
        circuit.cx(control, 3)
    return circuit


def readout(walsh: np.ndarray) -> np.ndarray:
    """Return N <Z_data |k><k|> for all k."""
    probabilities = Statevector(chain(walsh)).probabilities()
    return 8 * (probabilities[:8] - probabilities[8:])


def shift_every_angle(theta: np.ndarray) -> np.ndarray:
    """Return d cos(theta_k) / d theta_j from two settings per rotation, 2 N in total."""
    walsh = hadamard(8) @ theta / 8
    by_walsh = []
    for unit in np.eye(8):
        up, down = readout(walsh + np.pi / 2 * unit), readout(walsh - np.pi / 2 * unit)
        by_walsh.append((up - down) / 2)
    return np.array(by_walsh).T @ hadamard(8) / 8


@pytest.mark.parametrize("synthesis", ["gates", "multiplexer"])
def test_one_common_shift_equals_all_single_shifts(synthesis):
    executor = AerExecutor()
    reader = CircuitReader(MemoryProgram(3, synthesis), executor, ParameterShift())
    derivative = -reader.read(THETA, order=1)
    np.testing.assert_allclose(shift_every_angle(THETA), np.diag(derivative), rtol=0, atol=1e-12)
    assert executor.usage.settings == 1


@pytest.mark.parametrize("order", range(6))
def test_each_order_is_a_derivative_up_to_its_sign(order):
    derivative = (np.cos, lambda t: -np.sin(t), lambda t: -np.cos(t), np.sin)[order % 4](THETA)
    theta = THETA.copy()
    read = np.cos(ParameterShift().common_shift(theta, order))
    np.testing.assert_array_equal(theta, THETA)  # the argument stays unchanged
    np.testing.assert_allclose((-1) ** order * read, derivative, rtol=0, atol=1e-14)


def step(layer, rule, x) -> tuple[list[torch.Tensor], Cost]:
    """Return outputs and derivatives of a loss, and the usage."""
    layer.gradient, layer.executor = rule, ho.AerExecutor(**layer.executor.settings())
    outputs = layer(x)
    weights = torch.linspace(-1, 2, outputs.numel(), dtype=outputs.dtype).reshape(outputs.shape)
    wanted = [one for one in (x, layer.weight) if one.numel()]
    found = torch.autograd.grad(outputs, wanted, weights, allow_unused=True)
    return [outputs.detach(), *(one for one in found if one is not None)], layer.executor.usage


def check(layer, x, margin: float = 1e-14) -> Cost:
    (expected, counted), (found, cost) = (step(layer, r, x) for r in (ParameterShift(), SWEEP))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=margin * max(1.0, float(other.norm())))
    assert cost.settings == counted.settings
    samples = len(x) if layer.program.num_row_angles else 1
    assert layer.step_cost(samples, input_gradient=bool(x.numel())).settings == cost.settings
    return cost


@pytest.mark.parametrize("name", [f.name for f in FAMILIES if f.inputs or f.weights])
def test_every_family_has_equal_gradients_and_settings(name):
    assert check(layer_of(name), tensors(name, 3)[0]).runs == 2


@pytest.mark.parametrize("readout", [Probabilities((2, 0)), ["ZIX", "XZI", "IZZ"], ["III"]])
def test_every_readout_has_equal_settings(readout):
    ansatz = real_amplitudes(3, reps=1)
    layer = ho.CircuitLayer(ansatz, ansatz.parameters[:2], ansatz.parameters[2:], readout)
    check(layer, torch.rand(3, 2, dtype=torch.float64, requires_grad=True))


@pytest.mark.parametrize("mitigation", [None, "inverse"])
@pytest.mark.parametrize("name", ["euler_angles", "controlled_rotations"])
def test_noise(name, mitigation):
    x, _ = tensors(name, 2)
    executor = ho.AerExecutor(noise_model=many_errors(), readout_mitigation=mitigation)
    layer = layer_of(name, executor=executor)
    results = []
    for rule in (ParameterShift(), SWEEP):
        layer.gradient, before = rule, executor.usage
        outputs = layer(x)
        slopes = torch.autograd.grad(outputs.square().sum(), [x, layer.weight])
        results.append((slopes, executor.usage - before))
    (expected, counted), (found, cost) = results
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-10)
    assert (cost.settings, cost.runs) == (counted.settings, 0)
    assert layer.step_cost(2, input_gradient=True) == cost
    assert "not by Aer" in layer.explain(2)


def test_amplitudes_as_inputs():
    features, ansatz = raw_feature_vector(8), real_amplitudes(3, reps=1)
    circuit = features.compose(ansatz)
    given = features.parameters, ansatz.parameters, ["ZIX", "IYI"]
    layer = ho.CircuitLayer(circuit, *given, normalize=True)
    check(layer, torch.rand(2, 8, dtype=torch.float64, requires_grad=True), 1e-13)


def test_no_shifted_circuit_runs(aer_calls):
    layer = layer_of("controlled_rotations", gradient=SWEEP)
    layer(tensors("controlled_rotations", 4)[0]).sum().backward()
    assert sum(aer_calls) == layer.executor.usage.runs == 2
    text = layer.explain(4)
    assert "counted as a setting" in text
    assert "no shifted circuit runs" in text
    assert "Gradient, angles" not in text


@pytest.mark.parametrize(
    "executor",
    [
        ho.AerExecutor(shots=10),
        ho.AerExecutor(method="matrix_product_state"),
        ho.AerExecutor(shots=5, noise_model=many_errors()),
        ho.PrimitiveExecutor(StatevectorSampler(), shots=10),
    ],
    ids=repr,
)
def test_executors_without_exact_states_are_refused(executor, aer_calls):
    with pytest.raises(UnsupportedError, match="sweep"):
        layer_of("controlled_rotations", gradient=SWEEP, executor=executor)
    layer = layer_of("controlled_rotations", gradient=SWEEP)
    layer.executor = executor
    with pytest.raises(UnsupportedError, match="sweep"):
        layer(tensors("controlled_rotations", 2)[0])
    assert aer_calls == []


def test_executors_that_cannot_count_settings_are_refused(monkeypatch):
    monkeypatch.setattr(ho.AerExecutor, "count_settings", StateExecutor.count_settings)
    with pytest.raises(UnsupportedError, match="count_settings"):
        layer_of("controlled_rotations", gradient=SWEEP)


def test_memory_bridge_reads_single_settings_and_refuses():
    with pytest.raises(UnsupportedError, match="sweep"):
        ho.to_quantum(torch.nn.Linear(2, 1), "memory", gradient=SWEEP)


@pytest.mark.wrong_types
def test_unknown_simulation():
    with pytest.raises(UnknownNameError, match="simulate 'backward'"):
        ParameterShift(simulate="backward")


@pytest.mark.parametrize("bridge", ["generator", "mesh"])
def test_bridges(bridge):
    torch.manual_seed(0)
    plain, x, found = torch.nn.Linear(3, 2), torch.rand(4, 3), []
    for rule in (ParameterShift(), SWEEP):
        torch.manual_seed(1)
        quantum = ho.to_quantum(plain, bridge, gradient=rule)
        quantum(x).square().sum().backward()
        slopes = [p.grad for p in quantum.parameters() if p.grad is not None]
        found.append((slopes, quantum.executor.usage.settings, quantum.step_cost(4).settings))
    assert len(found[0][0]) > 0
    for one, other in zip(found[0][0], found[1][0], strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-6)
    assert found[0][1:] == found[1][1:]


def test_files_keep_the_simulation(tmp_path):
    layer = layer_of("controlled_rotations", gradient=SWEEP)
    loaded = ho.load(ho.save(layer, tmp_path / "layer.ho"))
    assert loaded.gradient == SWEEP
