"""Layers that cannot be made or run are refused, by name and before a circuit runs."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from qiskit.quantum_info import SparsePauliOp
from torch import nn

import hybridopt as ho
from hybridopt import AerExecutor, CircuitLayer
from hybridopt.execution import Expectations, Probabilities
from hybridopt.gradients import Spsa
from tests.nn.layers import family, layer_of

NAME = "controlled_rotations"  # two inputs, three weights, three observables


GIVEN = (family(NAME).circuit, family(NAME).inputs, family(NAME).weights, ["ZZZ"])
A = Parameter("a")
WRONG = [
    ({"circuit": "file.qasm"}, "Argument `circuit` must be a qiskit.QuantumCircuit"),
    ({"circuit": None}, "Argument `circuit` must be"),
    ({"input_parameters": None}, "Argument `input_parameters` must be a list or"),
    ({"input_parameters": A}, "Argument `input_parameters` must be a list or"),
    ({"weight_parameters": 3}, "Argument `weight_parameters` must be a list or"),
    ({"weight_parameters": {A}}, "Argument `weight_parameters` must be a list or"),
    ({"weight_parameters": ["w"]}, "must be a list of qiskit.circuit.Parameter objects"),
    ({"weight_parameters": "w"}, "Argument `weight_parameters` must be a list or"),
    ({"weight_parameters": [None]}, "such as `circuit.parameters`, but is of type NoneType"),
    ({"observables": 3}, "Argument `observables` must be a list or a tuple"),
    ({"observables": [3]}, "Argument `observables` must be a list of SparsePauliOp"),
    ({"observables": np.eye(8)}, "but is of type ndarray"),
    ({"observables": {"ZZZ"}}, "of type set"),
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
    ({"observables": ["ZZ"]}, "Observable 0 acts on 2 qubits, but the circuit has 3"),
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


@pytest.mark.wrong_types
@pytest.mark.parametrize(("changes", "message"), WRONG, ids=lambda a: str(a)[:40])
def test_wrong_types_are_refused_by_name(changes, message, aer_calls):
    with pytest.raises(ho.errors.ArgumentTypeError) as caught:
        CircuitLayer(**arguments_with(changes))
    assert message in str(caught.value)
    assert aer_calls == []


@pytest.mark.wrong_types
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


@pytest.mark.wrong_types
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
    x = torch.ones(2, 2, dtype=torch.float64)
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


@pytest.mark.wrong_types
def test_explanations_of_impossible_batches_are_refused():
    layer = layer_of(NAME)
    with pytest.raises(ho.errors.ArgumentError, match="`batch_size` must be 0 or more, but is -1"):
        layer.explain(-1)
    with pytest.raises(ho.errors.ArgumentTypeError, match="`batch_size` must be an int"):
        layer.explain("many")
