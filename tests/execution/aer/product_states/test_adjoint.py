"""Adjoint rule for matrix product states, against state vectors, shifts and bond dimensions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from qiskit.circuit.library import n_local
from qiskit.quantum_info import SparsePauliOp

from hybridopt import AerExecutor, CircuitLayer
from hybridopt.errors import UnsupportedError
from hybridopt.execution import Probabilities
from tests.circuits.families import FAMILIES
from tests.nn.layers import layer_of, tensors
from tests.nn.test_amplitudes import CIRCUIT, INPUTS, OBSERVABLES

ROUNDING = 1e-9  # Aer drops weights below 1e-16 per gate, amplitudes below 1e-8
DENSE = [f.name for f in FAMILIES if f.inputs or f.weights]


def states(**options) -> AerExecutor:
    return AerExecutor(method="matrix_product_state", **options)


def slopes(layer, x, cotangent):
    x = x.detach().clone().requires_grad_()
    outputs = layer(x)
    found = torch.autograd.grad(outputs, [x, layer.weight], cotangent, allow_unused=True)
    return [outputs.detach(), *(one for one in found if one is not None)]


def check(found, expected, margin=ROUNDING):
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=margin)


@pytest.mark.parametrize("name", DENSE)
def test_matches_state_vectors_on_every_family(name):
    x, _ = tensors(name, 2)
    cotangent = torch.linspace(-1, 2, 6, dtype=torch.float64).reshape(2, 3)
    found, expected = (
        slopes(layer_of(name, gradient="adjoint", executor=executor), x, cotangent)
        for executor in (states(), AerExecutor())
    )
    check(found, expected)


@pytest.mark.parametrize("qubits", [None, (3, 0, 2)])
def test_matches_state_vectors_for_probabilities(qubits):
    ansatz = n_local(4, ["ry", "rz"], "cx", reps=2)
    weights = np.random.default_rng(0).uniform(-3, 3, ansatz.num_parameters)
    given = ansatz, list(ansatz.parameters[:3]), list(ansatz.parameters[3:])
    x = torch.linspace(-1, 1, 6, dtype=torch.float64).reshape(2, 3)
    both = []
    for executor in (states(), AerExecutor()):
        layer = CircuitLayer(
            *given, Probabilities(qubits), executor=executor, gradient="adjoint",
            initial=weights[3:],
        )  # fmt: skip
        both.append(slopes(layer, x, layer(x).detach() ** 2 + 0.1))
    check(*both)


def wide_layer(gradient, executor, observables, num_qubits=21):
    ansatz = n_local(num_qubits, ["ry", "rz"], "cx", "linear", reps=1)
    weights = np.random.default_rng(1).uniform(-3, 3, ansatz.num_parameters)
    given = ansatz, list(ansatz.parameters[:2]), list(ansatz.parameters[2:])
    return CircuitLayer(
        *given, observables, executor=executor, gradient=gradient, initial=weights[2:]
    )


def test_more_qubits_than_a_state_vector_can_hold():
    chain = [("ZZ", [q, q + 1], 0.3 + 0.1 * q) for q in range(49)]
    field = [("X", [q], 0.5) for q in range(0, 50, 3)]
    energy = SparsePauliOp.from_sparse_list([*chain, *field], 50)
    executor = states()
    layer = wide_layer("adjoint", executor, [energy], 50)
    x = torch.tensor([[0.3, -0.7], [1.1, 0.2]], dtype=torch.float64)
    values, _, by_weight = slopes(layer, x, torch.ones(2, 1, dtype=torch.float64))
    assert executor.usage.runs == 4  # two samples, forward and back
    shifted = wide_layer("parameter-shift", states(), [energy], 50)
    check([values], [shifted(x).detach()], 1e-7)
    for angle in (0, 60, 197):  # of 198 weights
        step = torch.zeros_like(layer.weight)
        step[angle] = torch.pi / 2
        with torch.no_grad():
            above, below = (
                torch.func.functional_call(shifted, {"weight": shifted.weight + move}, (x,)).sum()
                for move in (step, -step)
            )
        torch.testing.assert_close(by_weight[angle], (above - below) / 2, rtol=0, atol=1e-7)


def test_wide_sums_of_letters_are_one_backward_run():
    observables = [SparsePauliOp.from_sparse_list([("Z", [q], 1)], 21) for q in range(21)]
    layer = wide_layer("adjoint", states(), observables)
    x = torch.tensor([[0.3, -0.7]], dtype=torch.float64)
    cotangent = torch.linspace(-1, 1, 21, dtype=torch.float64)[None]
    found = slopes(layer, x, cotangent)
    one = SparsePauliOp.from_sparse_list(
        [("Z", [q], weight) for q, weight in enumerate(cotangent[0].tolist())], 21
    )
    expected = slopes(
        wide_layer("parameter-shift", states(), [one]), x, torch.ones(1, 1, dtype=torch.float64)
    )
    check(found[1:], expected[1:], 1e-8)
    assert layer.executor.usage.runs == 2


def test_gradients_converge_with_the_bond_dimension():
    ansatz = n_local(8, ["ry", "rz"], "cx", "linear", reps=3)
    weights = np.random.default_rng(2).uniform(-3, 3, ansatz.num_parameters)
    x = torch.zeros(1, 0, dtype=torch.float64)

    def gradient(executor):
        layer = CircuitLayer(
            ansatz, [], list(ansatz.parameters), ["ZIIIIIIX"], executor=executor,
            gradient="adjoint", initial=weights,
        )  # fmt: skip
        values = layer(x).sum()
        forward = executor.discarded_weight
        return torch.autograd.grad(values, layer.weight)[0], forward

    exact, _ = gradient(AerExecutor())
    errors = []
    for bond in (2, 4, 8, 16):  # 16 is the largest rank of 8 qubits
        executor = states(max_bond_dimension=bond)
        found, forward = gradient(executor)
        errors.append(float((found - exact).abs().max()))
        backward = executor.discarded_weight
        # each of 21 gates may move a state by sqrt(2 weight); lambda starts from the final state
        most = np.sqrt(2 * 21) * (2 * np.sqrt(forward) + np.sqrt(backward))
        assert errors[-1] < max(most, ROUNDING)
    assert errors == sorted(errors, reverse=True)
    assert errors[0] > 0.01
    assert errors[-1] < ROUNDING


@pytest.mark.parametrize("memory", [1000, 20_000])
def test_states_that_do_not_fit_are_computed_again(memory):
    name = "controlled_rotations"
    x, _ = tensors(name, 5)
    cotangent = torch.linspace(-1, 2, 15, dtype=torch.float64).reshape(5, 3)
    cotangent[3] = 0
    small = layer_of(name, gradient="adjoint", executor=states(max_memory=memory))
    large = layer_of(name, gradient="adjoint", executor=states())
    check(slopes(small, x, cotangent), slopes(large, x, cotangent), 1e-12)
    assert large.executor.usage.runs == 5 + 4  # a sample without weight is not run back
    assert (small.executor.usage.runs > 9) == (memory == 1000)
    assert small.executor.usage.settings == large.executor.usage.settings


def test_multiples_of_the_identity_have_no_derivative():
    ansatz = n_local(3, ["ry"], "cx", reps=1)
    inputs, weights = ansatz.parameters[:3], ansatz.parameters[3:]
    layer = CircuitLayer(
        ansatz, inputs, weights, ["III"], gradient="adjoint", executor=states()
    ).double()
    values, *found = slopes(layer, torch.ones(2, 3).double(), torch.ones(2, 1).double())
    assert values.tolist() == [[1.0], [1.0]]
    assert not any(one.any() for one in found)


def test_second_derivatives_are_those_of_state_vectors():
    name = "pauli_rotations"
    x, _ = tensors(name, 1)
    both = []
    for executor in (states(), AerExecutor()):
        layer = layer_of(name, gradient="adjoint", executor=executor)
        (first,) = torch.autograd.grad(layer(x).prod(), layer.weight, create_graph=True)
        both.append(torch.autograd.grad(first.sum(), [x, layer.weight]))
    check(*both)


@pytest.mark.parametrize("frozen", [False, True])
def test_amplitudes_match_state_vectors(frozen):
    weights = sorted(set(CIRCUIT.parameters) - set(INPUTS), key=lambda p: p.name)
    initial = np.linspace(-1, 1.4, len(weights))
    samples = torch.linspace(-0.9, 1.7, 2 * len(INPUTS), dtype=torch.float64).reshape(2, -1)
    samples[:, :8] /= samples[:, :8].norm(dim=1, keepdim=True)
    cotangent = torch.linspace(-1, 2, 6, dtype=torch.float64).reshape(2, 3)
    both = []
    for executor in (states(), AerExecutor()):
        layer = CircuitLayer(
            CIRCUIT, INPUTS, weights, OBSERVABLES, executor, "adjoint", initial=initial
        )
        layer.weight.requires_grad_(not frozen)
        x = samples.clone().requires_grad_()
        wanted = [x] if frozen else [x, layer.weight]
        both.append(torch.autograd.grad(layer(x), wanted, cotangent))
    check(*both)


def test_shots_are_refused():
    with pytest.raises(UnsupportedError, match="adjoint"):
        layer_of("exchanges", executor=states(shots=10), gradient="adjoint")


def test_explain_says_which_part_is_not_aer():
    text = layer_of("exchanges", gradient="adjoint", executor=states()).explain(3)
    assert "matrix_product_state (CPU" in text
    assert "Aer runs each sample forward and back as a matrix product state" in text
    assert "contractions in numpy" in text
