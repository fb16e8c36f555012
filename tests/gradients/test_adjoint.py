"""Adjoint rule: parts of any size, precision, and cost."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit.library import n_local

from hybridopt import AerExecutor, CircuitLayer
from hybridopt.errors import UnsupportedError
from hybridopt.execution import Cost
from tests.circuits.families import FAMILIES
from tests.nn.layers import layer_of, tensors

MEMORIES = (None, 64 << 6, 64 << 8, 64 << 11)  # one part, no kept states, and between


def slopes(layer, name: str, cotangent: torch.Tensor) -> list[torch.Tensor]:
    x, _ = tensors(name, len(cotangent))
    outputs = layer(x)
    found = torch.autograd.grad(outputs, [x, layer.weight], cotangent, allow_unused=True)
    return [outputs.detach(), *(torch.zeros(0) if slope is None else slope for slope in found)]


def check_slopes(layer, name: str, cotangent: torch.Tensor, margin: float = 1e-11) -> None:
    compare(slopes(layer, name, cotangent), slopes(layer_of(name), name, cotangent), margin)


def compare(found, expected, margin: float = 1e-11) -> None:
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=margin)


@pytest.mark.parametrize("name", [f.name for f in FAMILIES if f.inputs or f.weights])
def test_parts_of_any_size_give_the_same_derivatives(name):
    needed = 320 << layer_of(name).num_qubits
    cotangent = torch.linspace(-1, 2, 15, dtype=torch.float64).reshape(5, 3)
    expected = slopes(layer_of(name), name, cotangent)
    for memory in MEMORIES:
        executor = AerExecutor(max_memory=memory and max(memory, needed))
        layer = layer_of(name, gradient="adjoint", executor=executor)
        compare(slopes(layer, name, cotangent), expected)


@pytest.mark.parametrize("batch", [1, 2, 3, 8])
def test_any_number_of_samples(batch):
    cotangent = torch.randn(batch, 3, dtype=torch.float64, generator=torch.Generator())
    check_slopes(layer_of("exchanges", gradient="adjoint"), "exchanges", cotangent)


def test_samples_without_weight_have_no_derivative():
    name = "controlled_rotations"
    for memory in MEMORIES:
        layer = layer_of(name, gradient="adjoint", executor=AerExecutor(max_memory=memory))
        cotangent = torch.zeros(3, 3, dtype=torch.float64)
        assert not slopes(layer, name, cotangent)[1].any()
        cotangent[1, 2] = 0.7
        _, by_x, by_weight = slopes(layer, name, cotangent)
        assert not by_x[[0, 2]].any()
        assert by_x[1].any()
        assert by_weight.any()


def test_single_precision():
    name = "controlled_rotations"
    single = layer_of(name, gradient="adjoint", executor=AerExecutor(precision="single"))
    check_slopes(single, name, torch.ones(3, 3, dtype=torch.float64), 5e-5)


def test_a_step_costs_two_runs_and_the_settings_of_the_forward_pass(aer_calls):
    executor = AerExecutor()
    layer = layer_of("repeated_parameters", gradient="adjoint", executor=executor)
    x, _ = tensors("repeated_parameters", 4)
    layer(x).sum().backward()
    assert executor.usage.settings == 4 * len(layer.readout.settings(layer.program))
    assert executor.usage.runs == sum(aer_calls) == 2


def test_backward_passes_are_independent():
    name = "controlled_rotations"
    layer = layer_of(name, gradient="adjoint")
    x, _ = tensors(name, 2)
    first, second = layer(x), layer(x * 0.5)
    late = torch.autograd.grad(first.sum(), layer.weight)[0]
    later = torch.autograd.grad(second.sum(), layer.weight)[0]
    fresh = torch.autograd.grad(layer(x).sum(), layer.weight)[0]
    assert torch.equal(late, fresh)
    fresh = torch.autograd.grad(layer(x * 0.5).sum(), layer.weight)[0]
    assert torch.equal(later, fresh)


def test_new_executors_without_states_raise(aer_calls):
    layer = layer_of("controlled_rotations", gradient="adjoint")
    layer.executor = AerExecutor(shots=10)
    with pytest.raises(UnsupportedError, match="AerExecutor"):
        layer(tensors("controlled_rotations", 2)[0])
    assert aer_calls == []


def test_many_qubits_and_layers_against_parameter_shift():
    ansatz = n_local(7, ["ry", "rz", "rx"], "cz", reps=1)
    circuit = QuantumCircuit(7).compose(ansatz)
    weights = np.random.default_rng(0).uniform(-3, 3, 42)
    observables = ["ZIIIIIZ", "XYIIIII", "IIZZZXI"]
    found = []
    for rule in ("parameter-shift", "adjoint"):
        layer = CircuitLayer(
            circuit, (), list(ansatz.parameters), observables, gradient=rule, initial=weights
        )
        layer(torch.zeros(1, 0, dtype=torch.float64)).prod().backward()
        found.append(layer.weight.grad)
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=1e-11)
    assert (found[0].abs() > 1e-6).sum() > 10


def test_multiples_of_the_identity_are_constants():
    ansatz = n_local(3, ["ry"], "cx", reps=1)
    inputs, weights = ansatz.parameters[:3], ansatz.parameters[3:]
    layer = CircuitLayer(ansatz, inputs, weights, ["III"], gradient="adjoint")
    outputs = layer(torch.arange(12.0).reshape(4, 3))
    outputs.sum().backward()
    assert outputs.tolist() == [[1.0]] * 4
    torch.testing.assert_close(layer.weight.grad, torch.zeros(3), rtol=0, atol=1e-14)


@pytest.mark.parametrize(
    ("method", "strategy", "memory"),
    [
        *(("statevector", "stacked", m) for m in (None, 20_000, 64 << 6)),
        ("statevector", "in-place", None),
        ("matrix_product_state", "automatic", None),
    ],
    ids=["whole", "parts", "no states", "in place", "product states"],
)
@pytest.mark.parametrize("name", ["controlled_rotations", "exchanges"])
def test_several_cotangents_give_the_rows_of_the_jacobian(name, method, strategy, memory):
    executor = AerExecutor(method=method, max_memory=memory, strategy=strategy)
    layer = layer_of(name, gradient="adjoint", executor=executor)
    generator = np.random.default_rng(3)
    rows = generator.uniform(-3, 3, (5, layer.program.num_row_angles))
    shared = generator.uniform(-3, 3, (2, layer.program.num_shared_angles))
    record = executor.adjoint(layer.program, layer.readout, (True, True))
    values = record.values(rows, shared)
    cotangents = generator.normal(size=(4, *values.shape))
    cotangents[1] = 0
    before = executor.usage
    found, expected = record.vjps(rows, shared, cotangents), []
    if strategy != "automatic" and memory is None:  # one run back per row of shared angles
        assert executor.usage - before == Cost(runs=2)
    for cotangent in cotangents:
        other = AerExecutor().adjoint(layer.program, layer.readout, (True, True))
        expected.append(other.vjp(rows, shared, cotangent))
    for one, others in zip(found, zip(*expected, strict=True), strict=True):
        np.testing.assert_allclose(one, np.stack(others), rtol=0, atol=1e-9 if memory else 1e-8)
