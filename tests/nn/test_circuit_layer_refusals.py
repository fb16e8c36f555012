"""Circuit layers that cannot be made or run are refused before a circuit runs."""

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
from hybridopt.errors import ArgumentError, ArgumentTypeError, HybridOptError
from hybridopt.execution import Expectations, Probabilities
from hybridopt.gradients import Spsa
from tests.nn.layers import NAME, family, layer_of

GIVEN = (family(NAME).circuit, family(NAME).inputs, family(NAME).weights, ["ZZZ"])
A = Parameter("a")
WRONG_TYPES = [
    ("circuit", "file.qasm"),
    ("input_parameters", A),
    ("weight_parameters", {A}),
    ("weight_parameters", ["w"]),
    ("observables", [3]),
    ("observables", np.eye(8)),
    ("observables", {"ZZZ"}),
    ("observables", Expectations),
    ("executor", "aer"),
    ("executor", AerExecutor),
    ("gradient", None),
    ("gradient", Spsa),
    ("initial", [1, None, 2]),
    ("initial", {0: 1.0}),
    ("initial", [1j, 0, 0]),
]
SHOTS, DENSITY = AerExecutor(shots=10), AerExecutor(method="density_matrix")
UNUSABLE = [
    ({"observables": []}, "observable"),
    ({"observables": ["ZZ"]}, r"Observable 0 .* 3 .*\(got 2\)"),
    ({"observables": ["ZZZ", "ZZZZ"]}, r"Observable 1 .* 3 .*\(got 4\)"),
    ({"observables": ["ABC"]}, "'ABC'"),
    ({"observables": [""]}, "''"),
    ({"observables": [SparsePauliOp("ZZZ", 1j)]}, "Observable 0 .*Hermitian"),
    ({"observables": ["ZZZ", SparsePauliOp("XXX", 1 + 1e-9j)]}, "Observable 1 .*Hermitian"),
    ({"observables": [SparsePauliOp("ZZZ", math.nan)]}, "Observable 0 .*finite"),
    ({"observables": [SparsePauliOp("ZZZ", A)]}, "Observable 0 .*finite"),
    ({"observables": Probabilities(qubits=(0, 3))}, "qubit 3"),
    ({"observables": Probabilities(qubits=(0,), given=((1, 1),))}, "shift"),
    ({"gradient": "adjont"}, "gradient 'adjont'.*'adjoint'"),
    ({"gradient": "adjoint", "executor": SHOTS}, 'gradient="adjoint"'),
    ({"gradient": "adjoint", "executor": DENSITY}, 'gradient="adjoint"'),
    ({"initial": [1.0]}, r"`initial` .*\(3,\)"),
    ({"initial": [1.0, math.nan, 0.0]}, "`initial` .*NaN"),
    ({"weight_parameters": []}, r"w\[0\], w\[1\], w\[2\]"),
    ({"weight_parameters": [*GIVEN[2], A]}, ": a"),
    ({"input_parameters": [*GIVEN[1], GIVEN[2][0]]}, r"twice: w\[0\]"),
]


def arguments_with(changes: dict) -> dict:
    names = ("circuit", "input_parameters", "weight_parameters", "observables")
    return {**dict(zip(names, GIVEN, strict=True)), **changes}


@pytest.mark.wrong_types
@pytest.mark.parametrize(("name", "value"), WRONG_TYPES, ids=lambda a: str(a)[:40])
def test_wrong_type_is_refused(name, value, aer_calls):
    with pytest.raises(ArgumentTypeError, match=f"`{name}`"):
        CircuitLayer(**arguments_with({name: value}))
    assert aer_calls == []


@pytest.mark.wrong_types
@pytest.mark.parametrize(("changes", "message"), UNUSABLE, ids=lambda a: str(a)[:40])
def test_unusable_value_is_refused(changes, message, aer_calls):
    with pytest.raises((ValueError, ho.errors.UnsupportedError), match=message) as caught:
        CircuitLayer(**arguments_with(changes))
    assert isinstance(caught.value, HybridOptError)
    assert aer_calls == []


def test_too_many_qubits_are_refused_with_the_number_that_fits(aer_calls):
    circuit = QuantumCircuit(16)
    circuit.ry(A, 0)
    with pytest.raises(ho.errors.ResourceError, match=r"16 qubits.* 12 "):
        CircuitLayer(circuit, (), [A], executor=AerExecutor(max_memory=80 << 12))
    assert aer_calls == []


INPUTS = [
    (torch.ones(2, 2, dtype=torch.int64), ArgumentTypeError, "torch.int64"),
    (torch.ones(2, 2, dtype=torch.complex64), ArgumentTypeError, "torch.complex64"),
    (torch.ones(2, 2).to_sparse(), ArgumentTypeError, "torch.sparse_coo"),
    (np.ones((2, 2)), ArgumentTypeError, "ndarray"),
    (None, ArgumentTypeError, "got none"),
    (torch.ones(2, 3), ArgumentError, r"\(\.\.\., 2\).*\(2, 3\)"),
    (torch.tensor(1.0), ArgumentError, r"\(\)"),
    (torch.tensor([[0.1, math.nan]]), ArgumentError, r"`x\[1\]` of sample 0 .*nan"),
    (torch.tensor([[0.1, 0.2], [math.inf, 0.3]]), ArgumentError, r"`x\[0\]` of sample 1 .*inf"),
]


@pytest.mark.wrong_types
@pytest.mark.parametrize(("x", "error", "message"), INPUTS, ids=range(len(INPUTS)))
def test_unusable_input_is_refused(x, error, message, aer_calls):
    with pytest.raises(error, match=message):
        layer_of(NAME)(x)
    assert aer_calls == []


UNDEFINED = [
    (A.log(), -1.0, r"`log\(a\)` of sample 0 .*nan"),
    (A.log(), 0.0, r"`log\(a\)` of sample 0 .*-inf"),
    (1 / A, 0.0, "`1/a` of sample 0 .*inf"),
    (A.exp(), 1e4, r"`exp\(a\)` of sample 0 .*inf"),
]


@pytest.mark.parametrize(("expression", "value", "message"), UNDEFINED, ids=str)
def test_expression_without_a_value_is_refused(expression, value, message, aer_calls):
    circuit = QuantumCircuit(3)
    circuit.ry(expression, 1)
    layer = CircuitLayer(circuit, [A], (), ["ZZZ"])
    with pytest.raises(ArgumentError, match=message):
        layer(torch.tensor([[value]]))
    assert aer_calls == []


def test_unusable_weights_are_refused_when_the_layer_runs(aer_calls):
    layer = layer_of(NAME)
    x = torch.ones(2, 2, dtype=torch.float64)
    with torch.no_grad():
        layer.weight[1] = math.nan
    with pytest.raises(ArgumentError, match=r"`w\[1\]` .*nan"):
        layer(x)
    layer.weight = nn.Parameter(torch.zeros(2))
    with pytest.raises(ArgumentError, match=r"`weight` .*\(3,\).*\(2,\)"):
        layer(x)
    layer.weight = nn.Parameter(torch.zeros(3, dtype=torch.complex64))
    with pytest.raises(ArgumentTypeError, match=r"`weight` .*torch\.complex64"):
        layer(x)
    assert aer_calls == []


@pytest.mark.wrong_types
@pytest.mark.parametrize(("size", "error"), [(-1, ArgumentError), ("many", ArgumentTypeError)])
def test_unusable_batch_size_is_refused(size, error):
    with pytest.raises(error, match="`batch_size`"):
        layer_of(NAME).explain(size)


def test_a_missing_input_shows_its_shape(aer_calls):
    circuit = QuantumCircuit(3)
    circuit.ry(A, 0)
    with pytest.raises(ArgumentTypeError, match=r"input .*torch\.zeros\(n, 0\)"):
        CircuitLayer(circuit, weight_parameters=[A])()
    with pytest.raises(ArgumentTypeError, match=r"input .*\(n, 2\)"):
        layer_of(NAME)()
    assert aer_calls == []
    assert CircuitLayer(circuit, weight_parameters=[A])(torch.zeros(4, 0)).shape == (4, 8)
