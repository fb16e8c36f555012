"""A layer as torch and its users meet it: shapes, dtypes, copies, training, sampling."""

from __future__ import annotations

import copy
import math
import pickle

import numpy as np
import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter, ParameterVector
from qiskit.quantum_info import SparsePauliOp, Statevector
from qiskit_aer.noise import NoiseModel
from torch import nn

import hybridopt as ho
from hybridopt import AerExecutor, CircuitLayer
from hybridopt.execution import Cost, Expectations, Probabilities
from hybridopt.gradients import Spsa
from tests.nn.layers import EXACT_RULES, family, layer_of, tensors

NAME = "controlled_rotations"  # two inputs, three weights, three observables


def double(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shape", [(), (1,), (4,), (2, 3), (2, 1, 3), (0,), (2, 0, 3)], ids=str)
@pytest.mark.parametrize("rule", EXACT_RULES)
def test_any_batch_shape(shape, rule):
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
def test_outputs_have_the_dtype_of_the_input(dtype):
    layer = layer_of(NAME)
    x = double(4, 2).to(dtype)
    outputs = layer(x)
    assert outputs.dtype == dtype
    expected = family(NAME).expectations(x.double().numpy(), family(NAME).samples()[1])
    tolerance = 4 * torch.finfo(dtype).eps
    np.testing.assert_allclose(outputs.detach().double(), expected, rtol=0, atol=tolerance)


def test_weights_are_float32_unless_said_otherwise_and_can_be_cast():
    known = family(NAME)
    layer = CircuitLayer(known.circuit, known.inputs, known.weights, ["ZZZ"])
    assert layer.weight.dtype == torch.float32
    weights = layer.weight.detach().clone()
    layer.double()
    assert layer.weight.dtype == torch.float64
    torch.testing.assert_close(layer.weight.detach(), weights.double())
    assert layer(double(2, 2).float()).dtype == torch.float32
    assert layer.to(torch.float32).weight.dtype == torch.float32


def test_weights_are_drawn_uniformly_by_torchs_generator():
    w = ParameterVector("w", 2000)
    circuit = QuantumCircuit(2)
    for angle in w:
        circuit.rx(angle, 0)
    torch.manual_seed(3)
    first = CircuitLayer(circuit, (), w).weight.detach()
    torch.manual_seed(3)
    again = CircuitLayer(circuit, (), w).weight.detach()
    assert torch.equal(first, again)
    assert first.abs().max() <= math.pi
    assert first.mean().abs() < 5 * math.pi / math.sqrt(3 * 2000)
    assert first.min() < -3
    assert first.max() > 3


def test_inputs_that_are_not_contiguous():
    layer = layer_of(NAME)
    x = double(2, 5).T
    assert not x.is_contiguous()
    torch.testing.assert_close(layer(x), layer(x.contiguous()), rtol=0, atol=0)
    wide = double(3, 4)[:, ::2]
    torch.testing.assert_close(layer(wide), layer(wide.clone()), rtol=0, atol=0)
    one = double(1, 2)
    torch.testing.assert_close(layer(one.expand(4, 2)), layer(one).expand(4, 3))


def test_order_of_parameters_is_that_of_columns_and_weights():
    known = family(NAME)
    rows, weights = known.samples()
    straight = layer_of(NAME)(torch.tensor(rows))
    turned = CircuitLayer(
        known.circuit,
        known.inputs[::-1],
        [known.weights[i] for i in (2, 0, 1)],
        list(known.observables),
        initial=torch.tensor(weights[[2, 0, 1]]),
    )
    torch.testing.assert_close(turned(torch.tensor(rows[:, ::-1].copy())), straight)


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
    layer(x)  # a graph that is never used costs no more
    assert (executor.usage - before).settings == 2 * forward.settings


def test_adjoint_keeps_nothing_without_gradients(aer_calls):
    layer = layer_of(NAME, gradient="adjoint")
    with torch.no_grad():
        layer(double(4, 2))
    before = len(aer_calls)
    layer.weight.requires_grad_(False)
    layer(double(4, 2))
    assert len(aer_calls) - before == before


def test_settings_of_a_step_are_those_of_the_shift_rule():
    executor = AerExecutor()
    layer = layer_of(NAME, executor=executor)
    x = double(5, 2).requires_grad_()
    settings = len(layer.readout.settings(layer.program))
    of_rows, of_shared = (sum(map(len, rules)) for rules in layer.program.shifts)
    layer(x).sum().backward()
    assert executor.usage.settings == 5 * settings * (1 + of_rows + of_shared)
    before = executor.usage
    layer(x.detach()).sum().backward()  # inputs without gradient are not shifted
    assert (executor.usage - before).settings == 5 * settings * (1 + of_shared)
    layer.weight.requires_grad_(False)
    before = executor.usage
    layer(x).sum().backward()
    assert (executor.usage - before).settings == 5 * settings * (1 + of_rows)


@pytest.mark.parametrize("rule", EXACT_RULES)
def test_copies_and_pickles_are_layers_of_their_own(rule):
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


def test_state_dict_holds_the_weights_alone():
    layer, other = layer_of(NAME), layer_of(NAME, weights=[0.0, 0.0, 0.0])
    assert list(layer.state_dict()) == ["weight"]
    other.load_state_dict(layer.state_dict())
    x, _ = tensors(NAME)
    torch.testing.assert_close(other(x), layer(x), rtol=0, atol=0)


def test_what_becomes_of_the_users_circuit_is_none_of_the_layers():
    known = family(NAME)
    circuit = known.circuit.copy()
    layer = CircuitLayer(circuit, known.inputs, known.weights, ["ZZZ"])
    x, _ = tensors(NAME)
    outputs = layer(x)
    circuit.x([0, 1, 2])
    circuit.measure_all()
    torch.testing.assert_close(copy.deepcopy(layer)(x), outputs, rtol=0, atol=0)


def test_the_executor_may_be_exchanged():
    layer = layer_of(NAME)
    x, _ = tensors(NAME)
    exact = layer(x)
    layer.executor = AerExecutor(shots=4000, seed=3)
    assert (layer(x) - exact).abs().max() < 5 * 2 / math.sqrt(4000)
    assert not torch.equal(layer(x), exact)


@pytest.mark.parametrize("rule", ["parameter-shift", "spsa"])
def test_the_same_seed_gives_the_same_numbers_and_gradients(rule):
    def run(seed):
        layer = layer_of(NAME, gradient=rule, executor=AerExecutor(shots=100, seed=seed))
        x, _ = tensors(NAME)
        outputs = [layer(x), layer(x)]
        slopes = torch.autograd.grad(outputs[1].sum(), [x, layer.weight])
        return [tensor.detach() for tensor in (*outputs, *slopes)]

    first, again, other = run(7), run(7), run(8)
    assert all(map(torch.equal, first, again))
    assert not any(map(torch.equal, first, other))
    assert not torch.equal(first[0], first[1])


def test_gradients_from_shots_scatter_about_the_exact_ones():
    shots, draws = 400, 40
    x, _ = tensors(NAME, 1)
    exact = torch.autograd.grad(layer_of(NAME)(x).sum(), [x, x.grad or x])[0]
    sampled = layer_of(NAME, executor=AerExecutor(shots=shots, seed=1))
    slopes = torch.stack([torch.autograd.grad(sampled(x).sum(), x)[0] for _ in range(draws)])
    error = slopes.std(0) / math.sqrt(draws)
    assert ((slopes.mean(0) - exact).abs() <= 5 * error).all()
    assert (slopes.std(0) > 0).all()


class Sandwich(nn.Module):
    """Two circuits between linear layers."""

    def __init__(self, rule: str, executor: AerExecutor | None = None) -> None:
        super().__init__()
        self.first = nn.Linear(4, 2)
        self.circuit = layer_of(NAME, gradient=rule, executor=executor)
        self.second = nn.Linear(3, 2)
        self.again = layer_of("two_qubit_rotations", gradient=rule, executor=executor)
        self.last = nn.Linear(3, 2)

    def forward(self, x):
        return self.last(self.again(torch.tanh(self.second(self.circuit(self.first(x))))))


@pytest.mark.parametrize("rule", EXACT_RULES)
def test_earlier_layers_learn(rule):
    torch.manual_seed(0)
    network = Sandwich(rule)
    x = torch.rand(6, 4)
    target = torch.tensor([0, 1, 1, 0, 1, 0])
    optimizer = torch.optim.Adam(network.parameters(), lr=0.1)
    losses = []
    for _ in range(15):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(network(x), target)
        loss.backward()
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())
        losses.append(loss.item())
        optimizer.step()
    assert losses[-1] < 0.7 * losses[0]


@pytest.mark.parametrize("optimizer", ["adam", "newton", "sgd"])
def test_fit_trains_a_circuit_in_the_middle(optimizer):
    torch.manual_seed(1)
    network = nn.Sequential(nn.Linear(2, 2), layer_of(NAME), nn.Linear(3, 1))
    x = torch.rand(8, 2)
    y = (x[:, :1] - x[:, 1:]).sin()
    history = ho.fit(network, (x, y), optimizer=optimizer, epochs=3, seed=0)
    assert history.train_loss[-1] < history.train_loss[0]


def test_newton_finds_the_minimum_of_a_circuit():
    w = ParameterVector("w", 3)
    circuit = QuantumCircuit(3)
    for qubit in range(3):
        circuit.ry(w[qubit], qubit)
    initial = torch.tensor([2.4, -2.0, 3.6], dtype=torch.float64)
    layer = CircuitLayer(circuit, (), w, ["ZII", "IZI", "IIZ"], initial=initial)
    optimizer = ho.optim.Newton(layer.parameters())
    for _ in range(8):
        optimizer.step(lambda: layer(torch.zeros(1, 0)).sum())
    expected = torch.tensor([math.pi, -math.pi, math.pi], dtype=torch.float64)
    torch.testing.assert_close(layer.weight.detach(), expected, rtol=0, atol=1e-6)


def test_a_checkpoint_resumes_with_the_same_shots(tmp_path):
    def network():
        torch.manual_seed(5)
        executor = AerExecutor(shots=64, seed=9)
        return nn.Sequential(nn.Linear(2, 2), layer_of(NAME, executor=executor), nn.Linear(3, 1))

    x = torch.rand(6, 2, generator=torch.Generator().manual_seed(1))
    data, path = (x, x[:, :1]), tmp_path / "checkpoint.pt"
    whole, resumed = network(), network()
    options = {"optimizer": "adam", "batch_size": 3, "seed": 0}
    ho.fit(whole, data, epochs=4, **options)
    ho.fit(resumed, data, epochs=2, checkpoint=path, **options)
    fresh = network()
    ho.fit(fresh, data, epochs=4, checkpoint=path, **options)
    for one, other in zip(whole.parameters(), fresh.parameters(), strict=True):
        assert torch.equal(one, other)


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


def test_observables_may_be_spelled_in_many_ways():
    known = family(NAME)
    x, _ = tensors(NAME)
    operator = SparsePauliOp("ZIX")
    weights = torch.tensor([0.1, 0.2, 0.3])
    outputs = [
        CircuitLayer(known.circuit, known.inputs, known.weights, given, initial=weights)(x)
        for given in ("ZIX", ["ZIX"], operator, [operator], operator.paulis[0], ("ZIX",),
                      Expectations((operator,)))
    ]  # fmt: skip
    for other in outputs:
        torch.testing.assert_close(other, outputs[0], rtol=0, atol=0)
        assert other.shape == (3, 1)


def test_identities_and_small_coefficients_are_read_too():
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


def test_multiples_of_the_identity_run_nothing(aer_calls):
    known = family(NAME)
    layer = CircuitLayer(known.circuit, known.inputs, known.weights, [SparsePauliOp("III", 2.0)])
    outputs = layer(double(4, 2))
    outputs.sum().backward()
    assert outputs.tolist() == [[2.0]] * 4
    assert not layer.weight.grad.any()
    assert aer_calls == []


def test_samples_that_are_all_alike_run_once():
    executor = AerExecutor()
    layer = layer_of("no_inputs", executor=executor)
    outputs = layer(torch.zeros(6, 0, dtype=torch.float64))
    assert outputs.shape == (6, 3)
    assert executor.usage.settings == len(layer.readout.settings(layer.program))
    sampled = layer_of("no_inputs", executor=AerExecutor(shots=30, seed=1))
    assert len(torch.unique(sampled(torch.zeros(6, 0)), dim=0)) > 1  # each has shots of its own


def test_global_phase_is_no_outcome_and_has_no_slope():
    layer = layer_of("global_phase")
    x, _ = tensors("global_phase")
    layer(x).sum().backward()
    assert layer.weight.grad[0] == 0
    assert layer.weight.grad[1] != 0
    assert not x.grad[:, 1].any()
    assert x.grad[:, 0].all()


def test_sizes_and_text():
    layer = layer_of(NAME, executor=AerExecutor(seed=3))
    assert (layer.in_features, layer.out_features, layer.num_qubits) == (2, 3, 3)
    assert "in_features=2, out_features=3, num_qubits=3, weights=3" in repr(layer)
    assert "seed=3" in repr(layer)


def test_explain_runs_nothing(aer_calls):
    for rule in (*EXACT_RULES, "spsa"):
        text = layer_of(NAME, gradient=rule).explain(batch_size=6)
        assert text.startswith("Forward: ")
        assert f"Rule {rule}" in text
    assert aer_calls == []


CIRCUIT = family(NAME).circuit
GIVEN = (CIRCUIT, family(NAME).inputs, family(NAME).weights, ["ZZZ"])
A = Parameter("a")
WRONG = [
    ({"circuit": "file.qasm"}, "Argument `circuit` must be a qiskit.QuantumCircuit"),
    ({"circuit": None}, "Argument `circuit` must be"),
    ({"input_parameters": None}, "Argument `input_parameters` must be a list of"),
    ({"input_parameters": A}, "Argument `input_parameters` must be a list of"),
    ({"weight_parameters": 3}, "Argument `weight_parameters` must be a list of"),
    ({"weight_parameters": {A}}, "Their order is that of the columns"),
    ({"weight_parameters": ["w"]}, "`weight_parameters` must hold qiskit.circuit.Parameter obj"),
    ({"weight_parameters": "w"}, "`weight_parameters` must hold qiskit.circuit.Parameter obj"),
    ({"weight_parameters": [None]}, "but holds None. Take them from `circuit.parameters`"),
    ({"observables": 3}, "Argument `observables` must be a list of SparsePauliOp"),
    ({"observables": [3]}, "An observable must be a SparsePauliOp"),
    ({"observables": np.eye(8)}, "but is of type ndarray"),
    ({"observables": {"ZZZ"}}, "but is of type set"),
    ({"observables": Expectations}, "Argument `observables` must be a list"),
    ({"executor": "aer"}, "Argument `executor` must be an executor such as AerExecutor()"),
    ({"executor": AerExecutor}, "Argument `executor` must be an executor such as AerExecutor()"),
    ({"gradient": None}, "Argument `gradient` must be one of"),
    ({"gradient": Spsa}, "Argument `gradient` must be one of"),
    ({"initial": "abc"}, "Argument `initial` must be a tensor or a list of 3 numbers"),
    ({"initial": ["a", "b", "c"]}, "Argument `initial` must be a tensor or a list of 3 numbers"),
    ({"initial": [1, None, 2]}, "Argument `initial` must be a tensor or a list of 3 numbers"),
    ({"initial": {0: 1.0}}, "Argument `initial` must be a tensor or a list of 3 numbers"),
    ({"initial": [1j, 0, 0]}, "Argument `initial` must be real, but is complex"),
]
UNUSABLE = [
    ({"observables": []}, "Give one observable or more"),
    ({"observables": ["ZZ"]}, "Observable 0 acts on 2 qubits, but the circuit has 3. Pad its Pau"),
    ({"observables": ["ZZZ", "ZZZZ"]}, "Observable 1 acts on 4 qubits, but observable 0 on 3"),
    ({"observables": ["ABC"]}, "Observable 'ABC' must be a string of the letters I, X, Y and Z"),
    ({"observables": [""]}, "Observable '' must be a string of the letters"),
    ({"observables": [SparsePauliOp("ZZZ", 1j)]}, "Observable 0 is not Hermitian"),
    ({"observables": ["ZZZ", SparsePauliOp("XXX", 1 + 1e-9j)]}, "Observable 1 is not Hermitian"),
    ({"observables": [SparsePauliOp("ZZZ", math.nan)]}, "coefficients that are no finite numbers"),
    ({"observables": [SparsePauliOp("ZZZ", A)]}, "coefficients that are no finite numbers"),
    ({"observables": Probabilities(qubits=(0, 3))}, "Probabilities of qubit 3 were asked for, but"),
    ({"gradient": "adjont"}, "Unknown gradient 'adjont'. Did you mean 'adjoint'"),
    ({"initial": [1.0]}, "Argument `initial` must have shape (3,)"),
    ({"initial": 1.0}, "Argument `initial` must have shape (3,)"),
    ({"initial": [1.0, math.nan, 0.0]}, "`initial` holds weights that are NaN or infinite"),
    ({"weight_parameters": []}, "neither inputs nor weights: w[0], w[1], w[2]"),
    ({"weight_parameters": [*GIVEN[2], A]}, "Parameters that the circuit does not have: a"),
    ({"input_parameters": [*GIVEN[1], GIVEN[2][0]]}, "Parameters given twice: w[0]"),
]


def arguments_with(changes: dict) -> dict:
    names = ("circuit", "input_parameters", "weight_parameters", "observables")
    return {**dict(zip(names, GIVEN, strict=True)), **changes}


@pytest.mark.parametrize(("changes", "message"), WRONG, ids=lambda a: str(a)[:40])
def test_wrong_types_are_refused_by_name(changes, message, aer_calls):
    with pytest.raises(ho.errors.ArgumentTypeError) as caught:
        CircuitLayer(**arguments_with(changes))
    assert message in str(caught.value)
    assert aer_calls == []


@pytest.mark.parametrize(("changes", "message"), UNUSABLE, ids=lambda a: str(a)[:40])
def test_unusable_values_are_refused_by_name(changes, message, aer_calls):
    with pytest.raises(ValueError) as caught:  # noqa: PT011  # the message is looked at below
        CircuitLayer(**arguments_with(changes))
    assert isinstance(caught.value, ho.errors.HybridOptError)
    assert message in str(caught.value)
    assert aer_calls == []


SHOTS, DENSITY = AerExecutor(shots=10), AerExecutor(method="density_matrix")
TOGETHER = [
    ({"gradient": "adjoint", "executor": SHOTS}, 'gradient="adjoint" needs exact state vectors'),
    ({"gradient": "adjoint", "executor": DENSITY}, 'gradient="adjoint" needs exact state vectors'),
    (
        {"observables": Probabilities(qubits=(0,), given=((1, 1),))},
        "Post-selected probabilities are ratios, which no shift rule differentiates",
    ),
]


@pytest.mark.parametrize(("changes", "message"), TOGETHER, ids=range(len(TOGETHER)))
def test_what_does_not_go_together_is_refused(changes, message, aer_calls):
    with pytest.raises(ho.errors.UnsupportedError) as caught:
        CircuitLayer(**arguments_with(changes))
    assert message in str(caught.value)
    assert aer_calls == []


def test_more_qubits_than_fit_are_refused_with_the_number_that_fits(aer_calls):
    circuit = QuantumCircuit(16)
    circuit.ry(A, 0)
    with pytest.raises(ho.errors.ResourceError, match=r"has 16 qubits, .* at most 12 fit\. Raise"):
        CircuitLayer(circuit, (), [A], executor=AerExecutor(max_memory=64 << 12))
    assert aer_calls == []


INPUTS = [
    (torch.ones(2, 2, dtype=torch.int64), TypeError, "torch.int64"),
    (torch.ones(2, 2, dtype=torch.bool), TypeError, "torch.bool"),
    (torch.ones(2, 2, dtype=torch.complex64), TypeError, "torch.complex64"),
    (torch.ones(2, 2).to_sparse(), TypeError, "torch.sparse_coo"),
    (np.ones((2, 2)), TypeError, "is of type ndarray"),
    ([[1.0, 2.0]], TypeError, "is of type list"),
    (None, TypeError, "is of type NoneType"),
    (torch.ones(2, 3), ValueError, "must have shape (..., 2), one column for each input parameter"),
    (torch.ones(2), None, ""),
    (torch.tensor(1.0), ValueError, "but has shape ()"),
    (torch.tensor([[0.1, math.nan]]), ValueError, "Angle `x[1]` of sample 0 is nan"),
    (torch.tensor([[0.1, 0.2], [math.inf, 0.3]]), ValueError, "Angle `x[0]` of sample 1 is inf"),
]


@pytest.mark.parametrize(("x", "error", "message"), INPUTS, ids=range(len(INPUTS)))
def test_inputs_that_are_no_samples_are_refused(x, error, message, aer_calls):
    layer = layer_of(NAME)
    if error is None:
        assert layer(x).shape == (3,)
        return
    with pytest.raises(ho.errors.HybridOptError) as caught:
        layer(x)
    assert isinstance(caught.value, error)
    assert message in str(caught.value)
    assert aer_calls == []


UNDEFINED = {
    "log": (A.log(), -1.0, "Angle `log(a)` of sample 0 is nan"),
    "log of zero": (A.log(), 0.0, "Angle `log(a)` of sample 0 is -inf"),
    "quotient": (1 / A, 0.0, "Angle `1/a` of sample 0 is inf"),
    "root": (A**0.5, -1.0, "is nan"),
    "arcsin": (A.arcsin(), 2.0, "Angle `asin(a)` of sample 0 is nan"),
    "overflow": (A.exp(), 1e4, "Angle `exp(a)` of sample 0 is inf"),
}


@pytest.mark.parametrize("name", list(UNDEFINED))
def test_expressions_without_a_value_are_refused(name, aer_calls):
    expression, value, message = UNDEFINED[name]
    circuit = QuantumCircuit(3)
    circuit.ry(expression, 1)
    layer = CircuitLayer(circuit, [A], (), ["ZZZ"])
    with pytest.raises(ho.errors.ArgumentError) as caught:
        layer(torch.tensor([[value]]))
    assert message in str(caught.value)
    assert aer_calls == []


def test_weights_that_became_unusable_are_refused(aer_calls):
    layer = layer_of(NAME)
    x = double(2, 2)
    with torch.no_grad():
        layer.weight[1] = math.nan
    with pytest.raises(ho.errors.ArgumentError, match=r"Angle `w\[1\]` is nan"):
        layer(x)
    layer.weight = nn.Parameter(torch.zeros(2))
    with pytest.raises(ho.errors.ArgumentError, match=r"must have shape \(3,\).* shape \(2,\)"):
        layer(x)
    layer.weight = nn.Parameter(torch.zeros(3, dtype=torch.complex64))
    with pytest.raises(ho.errors.ArgumentTypeError, match=r"must be real, .* torch.complex64"):
        layer(x)
    assert aer_calls == []


def test_explanations_of_impossible_batches_are_refused():
    layer = layer_of(NAME)
    with pytest.raises(ho.errors.ArgumentError, match="`batch_size` must be 0 or more, but is -1"):
        layer.explain(-1)
    with pytest.raises(ho.errors.ArgumentTypeError, match="`batch_size` must be an int"):
        layer.explain("many")


def test_an_executor_with_other_noise_lowers_again():
    known = family(NAME)
    rows, weights = known.samples()
    layer = layer_of(NAME)
    exact = layer(torch.tensor(rows))
    layer.executor = AerExecutor(noise_model=NoiseModel())
    torch.testing.assert_close(layer(torch.tensor(rows)), exact)
    assert layer.executor.usage != Cost()
    state = Statevector(known.circuit.assign_parameters(known.values(rows[0], weights)))
    expected = state.expectation_value(known.observables[0]).real
    assert layer(torch.tensor(rows))[0, 0].item() == pytest.approx(expected, abs=1e-12)
