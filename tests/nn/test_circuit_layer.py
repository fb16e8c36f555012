"""A circuit layer as a torch module: shapes, dtypes, copies, readouts."""

from __future__ import annotations

import copy
import math
import pickle

import numpy as np
import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.quantum_info import SparsePauliOp
from qiskit_aer.noise import NoiseModel

from hybridopt import AerExecutor, CircuitLayer
from hybridopt.execution import Cost, Expectations, Probabilities
from hybridopt.nn.summary import SETTING, without_repeats
from tests.nn.layers import EXACT_RULES, NAME, family, layer_of, tensors


def double(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shape", [(), (2,), (2, 1, 3), (0,), (2, 0, 3)], ids=str)
@pytest.mark.parametrize("rule", EXACT_RULES)
def test_any_batch_shape_works(shape, rule):
    layer = layer_of(NAME, gradient=rule)
    x = double(*shape, 2).requires_grad_()
    outputs = layer(x)
    assert outputs.shape == (*shape, 3)
    outputs.sum().backward()
    assert x.grad.shape == x.shape
    assert layer.weight.grad.shape == (3,)
    flat = layer(x.detach().reshape(math.prod(shape), 2))
    torch.testing.assert_close(outputs.detach(), flat.detach().reshape(*shape, 3), rtol=0, atol=0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_output_has_the_dtype_of_the_input(dtype):
    layer = layer_of(NAME)
    x = double(4, 2).to(dtype)
    outputs = layer(x)
    assert outputs.dtype == dtype
    expected = family(NAME).expectations(x.double().numpy(), family(NAME).samples()[1])
    tolerance = 4 * torch.finfo(dtype).eps
    np.testing.assert_allclose(outputs.detach().double(), expected, rtol=0, atol=tolerance)


def test_weights_are_float32_by_default_and_can_be_cast():
    known = family(NAME)
    layer = CircuitLayer(known.circuit, known.inputs, known.weights, ["ZZZ"])
    assert layer.weight.dtype == torch.float32
    given = CircuitLayer(known.circuit, known.inputs, known.weights, ["ZZZ"], initial=[1, 2, 3])
    assert given.weight.dtype == torch.float32
    weights = layer.weight.detach().clone()
    layer.double()
    assert layer.weight.dtype == torch.float64
    torch.testing.assert_close(layer.weight.detach(), weights.double())
    assert layer(double(2, 2).float()).dtype == torch.float32
    assert layer.to(torch.float32).weight.dtype == torch.float32


def test_default_weights_are_uniform_draws_of_torch():
    w = ParameterVector("w", 300)
    circuit = QuantumCircuit(2)
    for angle in w:
        circuit.rx(angle, 0)
    draws = []
    for _ in range(2):
        torch.manual_seed(3)
        draws.append(CircuitLayer(circuit, (), w).weight.detach())
    first, second = draws
    assert torch.equal(first, second)
    assert first.abs().max() <= math.pi
    assert first.mean().abs() < 5 * math.pi / math.sqrt(3 * 300)
    assert first.min() < -3
    assert first.max() > 3


def test_inputs_need_not_be_contiguous():
    layer = layer_of(NAME)
    x = double(2, 5).T
    assert not x.is_contiguous()
    torch.testing.assert_close(layer(x), layer(x.contiguous()), rtol=0, atol=0)
    one = double(1, 2)
    torch.testing.assert_close(layer(one.expand(4, 2)), layer(one).expand(4, 3))


def test_parameter_order_is_the_order_of_columns_and_weights():
    known = family(NAME)
    rows, weights = known.samples()
    order = [2, 0, 1]
    given = known.circuit, known.inputs[::-1], [known.weights[i] for i in order]
    permuted = CircuitLayer(*given, list(known.observables), initial=weights[order])
    expected = layer_of(NAME)(torch.tensor(rows))
    torch.testing.assert_close(permuted(torch.tensor(rows[:, ::-1].copy())), expected)


@pytest.mark.parametrize("executor", [AerExecutor(), AerExecutor(shots=50, seed=1)])
@pytest.mark.parametrize("rule", ["parameter-shift", "spsa"])
def test_without_gradients_no_shifted_circuit_runs(rule, executor):
    layer = layer_of(NAME, gradient=rule, executor=executor)
    x = double(4, 2).requires_grad_()
    before = executor.usage
    with torch.no_grad():
        assert not layer(x).requires_grad
    forward = executor.usage - before
    assert forward.settings == 4 * len(layer.readout.settings(layer.program))
    layer(x)  # an unused graph has no further cost
    assert (executor.usage - before).settings == 2 * forward.settings


def test_adjoint_runs_forward_only_without_gradients(aer_calls):
    layer = layer_of(NAME, gradient="adjoint")
    with torch.no_grad():
        layer(double(4, 2))
    before = len(aer_calls)
    layer.weight.requires_grad_(False)
    layer(double(4, 2))
    assert len(aer_calls) - before == before


def test_step_uses_the_settings_of_the_shift_rule():
    executor = AerExecutor()
    layer = layer_of(NAME, executor=executor)
    x = double(5, 2).requires_grad_()
    settings = len(layer.readout.settings(layer.program))
    of_rows, of_shared = (sum(map(len, rules)) for rules in layer.program.shifts)
    layer(x).sum().backward()
    assert executor.usage.settings == 5 * settings * (1 + of_rows + of_shared)
    before = executor.usage
    layer(x.detach()).sum().backward()  # no shifts of the inputs
    assert (executor.usage - before).settings == 5 * settings * (1 + of_shared)
    layer.weight.requires_grad_(False)
    before = executor.usage
    layer(x).sum().backward()
    assert (executor.usage - before).settings == 5 * settings * (1 + of_rows)


@pytest.mark.parametrize("rule", EXACT_RULES)
def test_copies_and_pickles_are_independent(rule):
    layer = layer_of(NAME, gradient=rule)
    x, _ = tensors(NAME)
    outputs = layer(x)
    outputs.sum().backward()
    pickled = pickle.loads(pickle.dumps(layer))
    for other in (copy.deepcopy(layer), pickled, copy.deepcopy(pickled)):
        torch.testing.assert_close(other(x), outputs, rtol=0, atol=0)
        other.zero_grad()
        other(x).sum().backward()
        torch.testing.assert_close(other.weight.grad, layer.weight.grad)
        with torch.no_grad():
            other.weight += 1
    torch.testing.assert_close(layer(x), outputs, rtol=0, atol=0)
    assert copy.deepcopy(layer).executor is layer.executor
    assert list(layer.state_dict()) == ["weight"]
    other.load_state_dict(layer.state_dict())
    torch.testing.assert_close(other(x), outputs, rtol=0, atol=0)


def test_later_changes_of_the_circuit_have_no_effect():
    known = family(NAME)
    circuit = known.circuit.copy()
    layer = CircuitLayer(circuit, known.inputs, known.weights, ["ZZZ"])
    x, _ = tensors(NAME)
    outputs = layer(x)
    circuit.x([0, 1, 2])
    circuit.measure_all()
    torch.testing.assert_close(copy.deepcopy(layer)(x), outputs, rtol=0, atol=0)


def test_executor_can_be_replaced():
    layer = layer_of(NAME)
    x, _ = tensors(NAME)
    exact = layer(x)
    layer.executor = AerExecutor(shots=4000, seed=3)
    assert (layer(x) - exact).abs().max() < 5 * 2 / math.sqrt(4000)
    assert not torch.equal(layer(x), exact)
    layer.executor = AerExecutor(noise_model=NoiseModel())  # the circuit is lowered again
    torch.testing.assert_close(layer(x), exact)
    assert layer.executor.usage != Cost()


def test_probabilities_of_all_and_of_some_qubits():
    known = family(NAME)
    rows, weights = known.samples()
    for readout in (None, Probabilities(), Probabilities(qubits=(2, 0))):
        layer = CircuitLayer(known.circuit, known.inputs, known.weights, readout, initial=weights)
        qubits = [2, 0] if readout and readout.qubits else [0, 1, 2]
        expected = [known.state(row, weights).probabilities(qubits) for row in rows]
        outputs = layer(torch.tensor(rows)).detach()
        assert layer.out_features == 1 << len(qubits)
        np.testing.assert_allclose(outputs, expected, rtol=0, atol=1e-12)


@pytest.mark.wrong_types
def test_all_spellings_of_an_observable_are_equal():
    known = family(NAME)
    x, _ = tensors(NAME)
    op = SparsePauliOp("ZIX")
    weights = torch.tensor([0.1, 0.2, 0.3])
    outputs = [
        CircuitLayer(known.circuit, known.inputs, known.weights, given, initial=weights)(x)
        for given in ("ZIX", ["ZIX"], op, [op], op.paulis[0], ("ZIX",), Expectations((op,)))
    ]
    for other in outputs:
        torch.testing.assert_close(other, outputs[0], rtol=0, atol=0)
        assert other.shape == (3, 1)


def test_identities_and_small_coefficients_count():
    known = family(NAME)
    rows, weights = known.samples()
    observables = [
        SparsePauliOp(["III", "ZXI"], [0.5, 1e-10]),
        SparsePauliOp("III", 2.5),
        SparsePauliOp(["ZZZ", "ZZZ", "XII"], [1.0, -1.0, 0.0]),
    ]
    layer = CircuitLayer(known.circuit, known.inputs, known.weights, observables, initial=weights)
    outputs = layer(torch.tensor(rows)).detach().numpy()
    for row, output in zip(rows, outputs, strict=True):
        value = known.state(row, weights).expectation_value(SparsePauliOp("ZXI")).real
        assert output[0] - 0.5 == pytest.approx(1e-10 * value, abs=1e-15)
        assert output[1:].tolist() == [2.5, 0.0]


def test_multiple_of_the_identity_runs_no_circuit(aer_calls):
    known = family(NAME)
    layer = CircuitLayer(known.circuit, known.inputs, known.weights, [SparsePauliOp("III", 2.0)])
    outputs = layer(double(4, 2))
    outputs.sum().backward()
    assert outputs.tolist() == [[2.0]] * 4
    assert not layer.weight.grad.any()
    assert aer_calls == []


def test_equal_samples_run_once_without_shots():
    executor = AerExecutor()
    layer = layer_of("no_inputs", executor=executor)
    outputs = layer(torch.zeros(6, 0, dtype=torch.float64))
    assert outputs.shape == (6, 3)
    assert executor.usage.settings == len(layer.readout.settings(layer.program))
    sampled = layer_of("no_inputs", executor=AerExecutor(shots=30, seed=1))
    assert len(torch.unique(sampled(torch.zeros(6, 0)), dim=0)) > 1  # each sample has its own shots


def test_global_phase_has_zero_slope():
    layer = layer_of("global_phase")
    x, _ = tensors("global_phase")
    layer(x).sum().backward()
    assert layer.weight.grad[0] == 0
    assert layer.weight.grad[1] != 0
    assert not x.grad[:, 1].any()
    assert x.grad[:, 0].all()


def test_sizes_and_repr():
    layer = layer_of(NAME, executor=AerExecutor(seed=3))
    assert (layer.in_features, layer.out_features, layer.num_qubits) == (2, 3, 3)
    assert "in_features=2, out_features=3, num_qubits=3, weights=3" in repr(layer)
    assert "seed=3" in repr(layer)


def test_plans_repeat_no_sentence():
    for executor in (AerExecutor(), AerExecutor(shots=5, strategy="table")):
        circuit = layer_of(NAME, executor=executor).explain(batch_size=6)
        assert circuit.count("Why: ") == 1
        assert circuit.count("A setting is ") == 1
        assert [line.split()[0] for line in circuit.split("\n")] == [
            "Forward:", "Gradient,", "Gradient,", "A", "Rule",
        ]  # fmt: skip
    assert without_repeats(["A. B of 3. C.", "A. D. C.", "C. E."]) == [
        "A. B of 3. C.",
        "D.",
        SETTING,
        "E.",
    ]


def test_explain_runs_no_circuit(aer_calls):
    for rule in (*EXACT_RULES, "spsa"):
        text = layer_of(NAME, gradient=rule).explain(batch_size=6)
        assert text.startswith("Forward: ")
        assert f"Rule {rule}" in text
    assert aer_calls == []
