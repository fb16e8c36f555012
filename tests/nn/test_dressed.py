"""The dressed circuit as torch and its users meet it."""

from __future__ import annotations

import copy
import math
import pickle

import pytest
import torch
from qiskit.quantum_info import SparsePauliOp, Statevector
from torch import nn

import hybridopt as ho
from hybridopt import AerExecutor, DressedCircuit
from hybridopt.errors import ArgumentError, ArgumentTypeError, ResourceError, UnsupportedError
from hybridopt.nn.dressed import dressed
from hybridopt.optim import create


def double(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def head(in_features: int = 3, out_features: int = 2, **options) -> DressedCircuit:
    torch.manual_seed(7)
    return DressedCircuit(in_features, out_features, 3, 2, **options).double()


def by_qiskit(module: DressedCircuit, x: torch.Tensor) -> torch.Tensor:
    """Its definition, with Qiskit's state vectors."""
    circuit, inputs, weights = dressed(module.num_qubits, module.depth)
    rows = []
    for angles in (torch.tanh(module.pre(x)) * math.pi / 2).detach().tolist():
        values = {inputs: angles, weights: module.layer.weight.tolist()}
        state = Statevector(circuit.assign_parameters(values))
        rows.append(
            [
                state.expectation_value(SparsePauliOp.from_sparse_list([("Z", [q], 1)], 3)).real
                for q in range(3)
            ]
        )
    return module.post(torch.tensor(rows, dtype=torch.float64))


@pytest.mark.parametrize("rule", ["parameter-shift", "adjoint"])
def test_is_what_its_definition_says(rule):
    module, x = head(gradient=rule), double(5, 3)
    outputs = module(x)
    torch.testing.assert_close(outputs, by_qiskit(module, x), rtol=0, atol=1e-13)
    assert (module.in_features, module.out_features) == (3, 2)
    assert (module.num_qubits, module.depth, module.layer.weight.numel()) == (3, 2, 6)


@pytest.mark.parametrize("rule", ["parameter-shift", "adjoint"])
def test_gradients_reach_everything(rule):
    module, x = head(gradient=rule), double(2, 3).requires_grad_()
    names = [name for name, _ in module.named_parameters()]

    def function(x, *tensors):
        return torch.func.functional_call(module, dict(zip(names, tensors, strict=True)), (x,))

    tensors = [p.detach().requires_grad_() for p in module.parameters()]
    assert torch.autograd.gradcheck(function, (x, *tensors), rtol=0, atol=1e-7)


@pytest.mark.parametrize("shape", [(), (0,), (4,), (2, 1, 3)], ids=str)
def test_any_batch_shape(shape):
    module, x = head(), double(*shape, 3)
    outputs = module(x)
    assert outputs.shape == (*shape, 2)
    flat = module(x.reshape(-1, 3)).reshape(*shape, 2)
    torch.testing.assert_close(outputs, flat, rtol=0, atol=1e-14)
    outputs.sum().backward()


def test_copies_pickles_and_state_dicts_give_the_same_numbers():
    module, x = head(), double(4, 3)
    expected = module(x)
    assert torch.equal(copy.deepcopy(module)(x), expected)
    assert torch.equal(pickle.loads(pickle.dumps(module))(x), expected)
    other = DressedCircuit(3, 2, 3, 2).double()
    other.load_state_dict(module.state_dict())
    assert torch.equal(other(x), expected)


def test_computes_in_the_dtype_of_its_layers():
    module, x = head(), double(4, 3)
    single = copy.deepcopy(module).float()
    assert single(x.float()).dtype == torch.float32
    # each of two linear layers of four terms and the tanh rounds its numbers, all below 4
    torch.testing.assert_close(single(x.float()).double(), module(x), rtol=0, atol=1e-5)


def test_shapes_alone_on_the_meta_device(aer_calls):
    module = head().to("meta")
    assert module(torch.empty(6, 3, device="meta", dtype=torch.float64)).shape == (6, 2)
    assert not aer_calls


def test_frozen_angles_are_not_trained_and_cost_no_settings():
    executor = AerExecutor()
    module, x = head(frozen=True, executor=executor), double(4, 3)
    names = {name for name, p in module.named_parameters() if p.requires_grad}
    assert names == {"pre.weight", "pre.bias", "post.weight", "post.bias"}
    before = module.layer.weight.clone()
    torch.nn.functional.cross_entropy(module(x), torch.tensor([0, 1, 1, 0])).backward()
    assert module.layer.weight.grad is None
    assert module.pre.weight.grad.abs().min() > 0
    # one basis; forward, and two shifts of each of three inputs
    assert executor.usage.settings == 4 + 4 * 2 * 3
    y = torch.tensor([0, 1, 1, 0])
    ho.fit(module, (x, y), epochs=2, lr=0.1)
    assert torch.equal(module.layer.weight, before)


def test_only_the_last_layer_needs_the_circuit_forward_alone():
    executor = AerExecutor()
    module = head(frozen=True, executor=executor)
    module.pre.requires_grad_(False)
    module(double(4, 3)).sum().backward()
    assert executor.usage.settings == 4


def test_trains_by_fit_and_by_newton():
    x = double(24, 3, seed=3)
    y = (x[:, 0] * x[:, 1] > 0).long()
    module = head(gradient="adjoint")
    history = ho.fit(module, (x, y), optimizer="adam", lr=0.05, epochs=8, batch_size=8)
    assert history.train_loss[-1] < history.train_loss[0]
    small = DressedCircuit(1, 1, 1, 1).double()
    target = double(6, 1).square()
    newton = create("newton", small.parameters())
    losses = [
        float(newton.step(lambda: (small(double(6, 1)) - target).square().mean())) for _ in range(3)
    ]
    assert losses[0] > losses[1] > losses[2]


def test_as_the_head_of_a_network():
    network = nn.Sequential(nn.Linear(8, 5), nn.ReLU(), DressedCircuit(5, 3, 3, 1))
    history = ho.fit(network, (double(8, 8), torch.arange(8) % 3), epochs=1)
    assert history.status == "epochs"


def test_starts_where_it_is_told():
    start = torch.linspace(-1, 1, 6, dtype=torch.float64)
    assert torch.equal(head(initial=start).layer.weight, start)
    drawn = DressedCircuit(2, 2, 8, 50).layer.weight
    assert drawn.abs().max() <= math.pi
    assert drawn.abs().max() > 3  # below with probability (3 / pi)^400 = 1e-8
    torch.manual_seed(3)
    first = DressedCircuit(2, 2)
    torch.manual_seed(3)
    assert torch.equal(DressedCircuit(2, 2).layer.weight, first.layer.weight)


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        ((0, 2), {}, ArgumentError, "`in_features` must be 1 or more"),
        ((2, 0), {}, ArgumentError, "`out_features` must be 1 or more"),
        ((2, 2, 0), {}, ArgumentError, "`num_qubits` must be 1 or more"),
        ((2, 2, 3, 0), {}, ArgumentError, "`depth` must be 1 or more"),
        ((2.0, 2), {}, ArgumentTypeError, "`in_features` must be an int"),
        ((2, 2, 3, 1), {"frozen": 1}, ArgumentTypeError, "`frozen` must be True or False"),
        ((2, 2, 3, 1), {"initial": [0.1]}, ArgumentError, r"`initial` must have shape \(3,\)"),
        ((2, 2, 3, 1), {"executor": "aer"}, ArgumentTypeError, "`executor` must be an executor"),
        ((2, 2, 3, 1), {"gradient": "adjont"}, ArgumentError, "adjoint"),
        (
            (2, 2, 3, 1),
            {"gradient": "adjoint", "executor": AerExecutor(shots=10)},
            UnsupportedError,
            "shots",
        ),
        ((2, 2, 40, 1), {}, ResourceError, "qubits"),
    ],
)
def test_refuses_by_name(arguments, options, error, message, aer_calls):
    with pytest.raises(error, match=message):
        DressedCircuit(*arguments, **options)
    assert not aer_calls


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (torch.rand(4, 5), ArgumentError, r"\(\.\.\., 3\), one column for each feature"),
        (torch.ones(4, 3, dtype=torch.int64), ArgumentTypeError, "of a DressedCircuit must be"),
        ([[1.0, 2.0, 3.0]], ArgumentTypeError, "is of type list"),
        (torch.rand(4, 3), ArgumentTypeError, r"of its own torch.float64, but is of torch.float32"),
        (torch.full((2, 3), math.nan).double(), ArgumentError, "nan"),
    ],
)
def test_refuses_inputs_before_anything_runs(x, error, message, aer_calls):
    with pytest.raises(error, match=message):
        head()(x)
    assert not aer_calls
