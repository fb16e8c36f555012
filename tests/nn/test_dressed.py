"""The dressed circuit as a torch module."""

from __future__ import annotations

import copy
import math
import pickle

import pytest
import torch
from qiskit.quantum_info import Pauli, Statevector
from torch import nn

import hybridopt as ho
from hybridopt import AerExecutor, DressedCircuit
from hybridopt.errors import ArgumentError, ArgumentTypeError, ResourceError
from hybridopt.nn.dressed import dressed


def double(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def head(in_features: int = 3, out_features: int = 2, **options) -> DressedCircuit:
    torch.manual_seed(7)
    return DressedCircuit(in_features, out_features, 3, 2, **options).double()


def by_qiskit(module: DressedCircuit, x: torch.Tensor) -> torch.Tensor:
    """Return the outputs by definition, with state vectors of Qiskit."""
    circuit, inputs, weights = dressed(module.num_qubits, module.depth)
    rows = []
    for angles in (torch.tanh(module.pre(x)) * math.pi / 2).detach().tolist():
        values = {inputs: angles, weights: module.layer.weight.tolist()}
        state = Statevector(circuit.assign_parameters(values))
        rows.append([state.expectation_value(Pauli("Z"), [q]).real for q in range(3)])
    return module.post(torch.tensor(rows, dtype=torch.float64))


@pytest.mark.parametrize("rule", ["parameter-shift", "adjoint"])
def test_matches_its_definition(rule):
    start = torch.linspace(-1, 1, 6, dtype=torch.float64)
    module, x = head(gradient=rule, initial=start), double(5, 3)
    assert torch.equal(module.layer.weight, start)
    outputs = module(x)
    torch.testing.assert_close(outputs, by_qiskit(module, x), rtol=0, atol=1e-13)
    assert (module.in_features, module.out_features) == (3, 2)
    assert (module.num_qubits, module.depth, module.layer.weight.numel()) == (3, 2, 6)


@pytest.mark.parametrize("rule", ["parameter-shift", "adjoint"])
def test_gradients_match_differences(rule):
    module, x = head(gradient=rule), double(2, 3).requires_grad_()
    names = [name for name, _ in module.named_parameters()]

    def function(x, *tensors):
        return torch.func.functional_call(module, dict(zip(names, tensors, strict=True)), (x,))

    tensors = [p.detach().requires_grad_() for p in module.parameters()]
    assert torch.autograd.gradcheck(function, (x, *tensors), rtol=0, atol=1e-7)


def test_copies_pickles_and_state_dicts_give_the_same_outputs():
    module, x = head(), double(2, 1, 3)
    expected = module(x)
    assert expected.shape == (2, 1, 2)
    assert torch.equal(copy.deepcopy(module)(x), expected)
    assert torch.equal(pickle.loads(pickle.dumps(module))(x), expected)
    other = DressedCircuit(3, 2, 3, 2).double()
    other.load_state_dict(module.state_dict())
    assert torch.equal(other(x), expected)


def test_output_has_the_dtype_of_the_layers():
    module, x = head(), double(4, 3)
    single = copy.deepcopy(module).float()
    assert single(x.float()).dtype == torch.float32
    # two linear layers of four terms and the tanh round their numbers, all below 4
    torch.testing.assert_close(single(x.float()).double(), module(x), rtol=0, atol=1e-5)


def test_frozen_angles_are_not_trained_and_not_shifted():
    executor = AerExecutor()
    module, x = head(frozen=True, executor=executor), double(4, 3)
    names = {name for name, p in module.named_parameters() if p.requires_grad}
    assert names == {"pre.weight", "pre.bias", "post.weight", "post.bias"}
    before = module.layer.weight.clone()
    y = torch.tensor([0, 1, 1, 0])
    nn.functional.cross_entropy(module(x), y).backward()
    assert module.layer.weight.grad is None
    assert module.pre.weight.grad.abs().min() > 0
    # one basis; forward, and two shifts of each of three inputs
    assert executor.usage.settings == 4 + 4 * 2 * 3
    ho.fit(module, (x, y), epochs=2, lr=0.1)
    assert torch.equal(module.layer.weight, before)
    module.pre.requires_grad_(False)
    used = executor.usage
    module(x).sum().backward()
    assert (executor.usage - used).settings == 4  # forward only


def test_fit_trains_it_as_the_head_of_a_network():
    x = double(24, 3, seed=3)
    y = (x[:, 0] * x[:, 1] > 0).long()
    network = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), head(gradient="adjoint")).double()
    history = ho.fit(network, (x, y), optimizer="adam", lr=0.05, epochs=8, batch_size=8)
    assert history.train_loss[-1] < history.train_loss[0]


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        ((0, 2), {}, ArgumentError, "`in_features`"),
        ((2, 0), {}, ArgumentError, "`out_features`"),
        ((2, 2, 0), {}, ArgumentError, "`num_qubits`"),
        ((2, 2, 3, 0), {}, ArgumentError, "`depth`"),
        ((2.0, 2), {}, ArgumentTypeError, "`in_features`"),
        ((2, 2, 3, 1), {"frozen": 1}, ArgumentTypeError, "`frozen`"),
        ((2, 2, 3, 1), {"initial": [0.1]}, ArgumentError, r"`initial` .*\(3,\)"),
        ((2, 2, 40, 1), {}, ResourceError, "40 qubits"),
    ],
)
def test_unusable_argument_is_refused(arguments, options, error, message, aer_calls):
    with pytest.raises(error, match=message):
        DressedCircuit(*arguments, **options)
    assert not aer_calls


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (torch.rand(4, 5), ArgumentError, r"\(\.\.\., 3\).*\(4, 5\)"),
        (torch.ones(4, 3, dtype=torch.int64), ArgumentTypeError, "DressedCircuit.*torch.int64"),
        ([[1.0, 2.0, 3.0]], ArgumentTypeError, "DressedCircuit.*list"),
        (torch.full((2, 3), math.nan).double(), ArgumentError, "`x.*nan"),
    ],
)
def test_unusable_input_is_refused(x, error, message, aer_calls):
    with pytest.raises(error, match=message):
        head()(x)
    assert not aer_calls
