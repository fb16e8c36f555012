"""Noisy adjoint rule: values of Aer, derivatives by parameter shift, memory and refusals."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit.library import RXGate
from qiskit_aer.noise import LocalNoisePass, NoiseModel, depolarizing_error

from hybridopt import AerExecutor, CircuitLayer
from hybridopt.circuits.amplitudes import AmplitudeEncoding
from hybridopt.errors import ResourceError, UnsupportedError
from hybridopt.execution import Probabilities
from hybridopt.gradients import create
from tests.execution.aer.density_adjoint.noise_models import W, X, inputs_first, many_errors
from tests.execution.jobs import job_of
from tests.nn.layers import layer_of, tensors

NAMES = ["euler_angles", "exchanges", "fixed_gates", "repeated_parameters", "two_qubit_rotations"]
RULES = ("adjoint", "parameter-shift")


def slopes(layer, x, cotangent, rule="adjoint") -> list[torch.Tensor]:
    layer.gradient = create(rule)
    outputs = layer(x)
    found = torch.autograd.grad(outputs, [x, layer.weight], cotangent, allow_unused=True)
    return [outputs.detach(), *(torch.zeros(0) if one is None else one for one in found)]


def check_slopes(layer, x, cotangent) -> None:
    """Compare values with those of Aer to 1e-12, and derivatives by both rules to 1e-10."""
    # one layer, because Qiskit does not synthesize every unitary in the same gates each time
    pairs = zip(*(slopes(layer, x, cotangent, rule) for rule in RULES), strict=True)
    for margin, (found, expected) in zip((1e-12, 1e-10, 1e-10), pairs, strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=margin)


@pytest.mark.parametrize("name", NAMES)
def test_every_gate_against_parameter_shift(name):
    x, _ = tensors(name, 2)
    layer = layer_of(name, executor=AerExecutor(noise_model=many_errors()))
    cotangent = torch.linspace(-1, 2, layer.out_features * 2, dtype=torch.float64).reshape(2, -1)
    check_slopes(layer, x, cotangent)


@pytest.mark.parametrize("observables", [["ZIX", "YIZ"], None, Probabilities((2, 0))])
def test_corrected_readout_errors(observables):
    executor = AerExecutor(noise_model=many_errors(), readout_mitigation="inverse")
    circuit = QuantumCircuit(3)
    for qubit in range(3):
        circuit.rx(X[qubit], qubit)
        circuit.cx(qubit, (qubit + 1) % 3)
        circuit.ry(W[qubit], qubit)
    layer = CircuitLayer(circuit, X[:3], W[:3], observables, executor, initial=[0.3, -1.0, 2.0])
    x = torch.linspace(-2, 2, 6, dtype=torch.float64).reshape(2, 3).requires_grad_()
    cotangent = torch.linspace(-1, 2, 2 * layer.out_features, dtype=torch.float64).reshape(2, -1)
    check_slopes(layer, x, cotangent)


@pytest.mark.parametrize("readout", [None, Probabilities((2, 0))])
@pytest.mark.parametrize("name", ["controlled_rotations", "pauli_rotations"])
def test_tables_of_angles_have_the_values_of_aer(name, readout):
    executor = AerExecutor(noise_model=many_errors())
    job = job_of(name, num_rows=5, num_shared=2, whole=False, readout=readout)
    job = replace(job, rows=10 * job.rows)  # beyond one period
    found = executor.adjoint(job.program, job.readout, (True, True)).values(job.rows, job.shared)
    np.testing.assert_allclose(found, executor.run(job).values, rtol=0, atol=1e-12)


def layer_with(observables, executor: AerExecutor) -> CircuitLayer:
    return CircuitLayer(
        inputs_first(), X, W, observables, executor, "adjoint", np.linspace(-1, 2, len(W))
    )


@pytest.mark.parametrize("observables", [["ZZXI"], ["ZIII", "IYXI", "IIZZ"], None], ids=str)
@pytest.mark.parametrize("batch", [1, 5])
def test_observables_or_states_pass_the_last_part(batch, observables):
    layer = layer_with(observables, AerExecutor(noise_model=many_errors()))
    generator = torch.Generator().manual_seed(batch)
    x = torch.randn(batch, 4, dtype=torch.float64, generator=generator).requires_grad_()
    cotangent = torch.randn(batch, layer.out_features, dtype=torch.float64, generator=generator)
    check_slopes(layer, x, cotangent)
    _, by_x, by_w = slopes(layer, x, cotangent)
    (alone,) = torch.autograd.grad(layer(x.detach()), layer.weight, cotangent)
    torch.testing.assert_close(alone, by_w, rtol=0, atol=1e-13)
    layer.weight.requires_grad_(False)
    (alone,) = torch.autograd.grad(layer(x), x, cotangent)
    torch.testing.assert_close(alone, by_x, rtol=0, atol=1e-13)


VECTOR = 8 * 4**4  # bytes of one density matrix


@pytest.mark.parametrize("vectors", [100, 70, 50])
def test_less_memory_gives_the_same_derivatives(vectors):
    x = torch.linspace(-2, 2, 20, dtype=torch.float64).reshape(5, 4).requires_grad_()
    cotangent = torch.linspace(-1, 2, 10, dtype=torch.float64).reshape(5, 2)
    found, expected = (
        slopes(
            layer_with(["ZZXI", "IXIY"], AerExecutor(noise_model=many_errors(), max_memory=memory)),
            x,
            cotangent,
        )
        for memory in (vectors * VECTOR, None)
    )
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-13)


def test_a_step_counts_settings_and_no_runs(aer_calls):
    executor = AerExecutor(noise_model=many_errors())
    layer = layer_of("repeated_parameters", gradient="adjoint", executor=executor)
    x, _ = tensors("repeated_parameters", 4)
    layer(x).sum().backward()
    assert executor.usage.settings == 4 * len(layer.readout.settings(layer.program))
    assert executor.usage.runs == sum(aer_calls) == 0
    assert layer.step_cost(4, input_gradient=True) == executor.usage
    values = layer(x)
    with torch.no_grad():
        assert torch.equal(layer(x), values)
    assert aer_calls == []
    layer.gradient = create("parameter-shift")
    torch.testing.assert_close(layer(x), values, rtol=0, atol=1e-12)
    assert aer_calls


def test_plans_say_that_aer_does_not_run_and_recommend_the_rule(aer_calls):
    layer = layer_of("pauli_rotations", executor=AerExecutor(noise_model=many_errors()))
    assert 'gradient="adjoint"' in layer.explain(4)
    layer.gradient = create("adjoint")
    assert "Aer does not run the backward pass" in layer.explain(4)
    assert 'gradient="adjoint"' not in layer_of("pauli_rotations").explain(4)
    assert aer_calls == []


def test_second_derivatives_run_shifted_circuits():
    x, found = torch.zeros(1, 2, dtype=torch.float64), []
    layer = layer_of("pauli_rotations", executor=AerExecutor(noise_model=many_errors()))
    for rule in RULES:
        layer.gradient = create(rule)
        (first,) = torch.autograd.grad(layer(x).sum(), layer.weight, create_graph=True)
        found.append(torch.autograd.grad(first[0] * first[1], layer.weight)[0])
    torch.testing.assert_close(*found, rtol=0, atol=1e-10)


def test_copies_of_the_executor_differentiate():
    name, cotangent = "pauli_rotations", torch.ones(2, 3, dtype=torch.float64)
    x, _ = tensors(name, 2)
    executor = AerExecutor(noise_model=many_errors())
    layer = layer_of(name, gradient="adjoint", executor=executor)
    expected = slopes(layer, x, cotangent)
    copied = pickle.loads(pickle.dumps(layer))
    for found, known in zip(slopes(copied, x, cotangent), expected, strict=True):
        assert torch.equal(found, known)


def test_multiples_of_the_identity_are_constants():
    executor = AerExecutor(noise_model=many_errors())
    layer = CircuitLayer(inputs_first(), X, W, ["IIII"], executor, "adjoint")
    outputs = layer(torch.ones(3, 4, dtype=torch.float64))
    outputs.sum().backward()
    assert outputs.tolist() == [[1.0]] * 3
    assert not layer.weight.grad.any()


def angle_dependent() -> NoiseModel:
    """Return errors that grow with the angle of rx."""
    model = NoiseModel(["rx", "cx", "delay"])
    error = LocalNoisePass(lambda gate, _: depolarizing_error(0.1 * gate.params[0], 1), RXGate)
    model._custom_noise_passes.append(error)
    return model


def test_errors_that_depend_on_angles_are_refused(aer_calls):
    circuit = QuantumCircuit(2)
    circuit.rx(0.3, 1)
    circuit.delay(10, 1)
    circuit.rx(W[0], 0)
    circuit.cx(0, 1)
    executor = AerExecutor(noise_model=angle_dependent())
    with pytest.raises(UnsupportedError, match="`rx` on qubits 0"):
        CircuitLayer(circuit, (), W[:1], ["ZZ"], executor, "adjoint")
    shifted = CircuitLayer(circuit, (), W[:1], ["ZZ"], executor)
    with pytest.raises(UnsupportedError, match="`rx` on qubits 0"):
        shifted(torch.zeros(1, 0))
    assert aer_calls == []


@pytest.mark.parametrize(
    "options", [{"shots": 10}, {"shots": 10, "method": "statevector"}, {"max_memory": 20 * VECTOR}]
)
def test_what_is_not_exact_or_does_not_fit_is_refused(options, aer_calls):
    executor = AerExecutor(noise_model=many_errors(), **options)
    error, words = UnsupportedError, "parameter-shift"
    if "max_memory" in options:
        error, words = ResourceError, "`max_memory`"
    with pytest.raises(error, match=words):
        CircuitLayer(inputs_first(), X, W, ["ZZII"], executor, "adjoint")
    assert aer_calls == []


def test_amplitudes_as_inputs_are_refused(aer_calls):
    circuit = QuantumCircuit(2)
    circuit.append(AmplitudeEncoding(list(X)), [0, 1])
    circuit.ry(W[0], 0)
    with pytest.raises(UnsupportedError, match="Amplitudes"):
        CircuitLayer(circuit, X, W[:1], ["ZZ"], AerExecutor(noise_model=many_errors()), "adjoint")
    assert aer_calls == []
