"""Angle expressions as torch functions against the values and derivatives of Qiskit."""

from __future__ import annotations

import math
from importlib.metadata import version
from types import MappingProxyType

import numpy as np
import pytest
import torch
from packaging.version import Version
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter, ParameterVector
from qiskit.quantum_info import SparsePauliOp, Statevector

from hybridopt import AerExecutor, CircuitLayer
from hybridopt.circuits import lower
from hybridopt.errors import ArgumentError, CircuitError
from hybridopt.nn.parameter_map import AngleMap, within_period
from hybridopt.qiskit_ml import AerEstimatorGradient

# before, its `gradient` left out the inner derivative of powers
QISKIT_DIFFERENTIATES = Version(version("qiskit")) >= Version("2.6")
X, W, V = Parameter("x"), Parameter("w"), Parameter("v")
VALUES = {X: 0.7, W: 1.3, V: -0.4}
LINEAR = {
    "parameter": X,
    "negative": -X,
    "sum": 2 * X - W / 3 + 0.25,
    "product with one": (X + 0j) * 1,
    "twice the imaginary unit": (1j * X) * 1j,
    "conjugate": X.conjugate(),
}
CURVED = {
    "product": 2 * X * W + 0.3,
    "square": W**2,
    "quotient": W / (1 + X),
    "inverse": W**-2,
    "root": (X * W) ** 0.5,
    "power": X**W,
    "power of a number": 2**X - W,
    "power of a number alone": (2 ** (-X)).abs(),
    "trigonometric": X.sin() * W.cos() + V.tan(),
    "inverse trigonometric": (X / 4).arcsin() - (W / 4).arccos() + V.arctan(),
    "exponential": W.exp() - W.log() + X,
    "absolute": (V - X).abs() * W,
    "third power": (X + W) ** 3 * V,
    "nested": (X * V.sin()).cos().exp(),
    "ratio of itself": X * W / W,
    "first power": (3 * X + W) ** 1,
    "power of a product to a parameter": (2 * W) ** X,
    "number to a product": 2 ** (3 * X),
}


def angle_map(expression) -> tuple[AngleMap, bool]:
    """Return the map of one angle with input x, and True if the angle varies per sample."""
    circuit = QuantumCircuit(1)
    circuit.rx(expression, 0)
    inputs, weights = split(expression)
    program = lower(circuit, inputs, weights)
    return AngleMap(program, inputs, weights), bool(program.num_row_angles)


def split(expression) -> tuple[list[Parameter], list[Parameter]]:
    used = sorted(expression.parameters, key=lambda parameter: parameter.name)
    return [p for p in used if p.name == "x"], [p for p in used if p.name != "x"]


@pytest.mark.parametrize("third", [W * V, 3 * V - W / 7 - 0.3])
def test_numbers_are_the_angles_without_autograd(third):
    """Also with an angle that is not linear, and beyond one period."""
    circuit = QuantumCircuit(3)
    for qubit, expression in enumerate((2 * W - V + 0.25, V, third)):
        circuit.rx(expression, qubit)
    angles = AngleMap(lower(circuit, [], [W, V]), [], [W, V])
    for values in ([1.3, -0.4], [40.0, -17.0]):
        numbers = torch.from_numpy(angles.shared_numbers(np.array(values)))
        expected = angles.shared(torch.tensor(values, dtype=torch.float64))
        assert torch.equal(within_period(numbers), expected)


def angle_of(expression):
    """Return the angle as a function of all parameters, inputs first."""
    angles, per_sample = angle_map(expression)
    num_inputs = len(split(expression)[0])

    def function(values: torch.Tensor) -> torch.Tensor:
        x, weight = values[:num_inputs], values[num_inputs:]
        return (angles.rows(x[None], weight) if per_sample else angles.shared(weight)).squeeze()

    return function


def values_of(expression) -> torch.Tensor:
    return torch.tensor(
        [VALUES[p] for part in split(expression) for p in part], dtype=torch.float64
    )


def number(expression, shifts=MappingProxyType({})) -> float:
    if not hasattr(expression, "bind"):
        return expression
    return float(expression.bind({p: VALUES[p] + shifts.get(p, 0) for p in expression.parameters}))


@pytest.mark.parametrize("name", [*LINEAR, *CURVED])
def test_value_and_derivatives_match_qiskit(name):
    expression = {**LINEAR, **CURVED}[name]
    parameters = [p for part in split(expression) for p in part]
    values, function = values_of(expression), angle_of(expression)
    assert function(values).item() == pytest.approx(number(expression), abs=1e-14)
    gradient = torch.autograd.functional.jacobian(function, values)
    for parameter, slope in zip(parameters, gradient.tolist(), strict=True):
        shifted = [number(expression, {parameter: sign * 1e-5}) for sign in (1, -1)]
        assert slope == pytest.approx((shifted[0] - shifted[1]) / 2e-5, abs=1e-8)
        if QISKIT_DIFFERENTIATES:
            assert slope == pytest.approx(number(expression.gradient(parameter)), abs=1e-13)


@pytest.mark.parametrize("name", [n for n in CURVED if n not in {"absolute", "ratio of itself"}])
def test_second_derivatives_match_differences(name):
    values = values_of(CURVED[name]).requires_grad_()
    assert torch.autograd.gradgradcheck(angle_of(CURVED[name]), values)


@pytest.mark.parametrize("expression", [X * W / (W * X), W * W / W**2, X.sign()], ids=str)
def test_constant_expression_has_zero_slope(expression):
    values, function = values_of(expression), angle_of(expression)
    assert function(values).item() == pytest.approx(1)
    assert not torch.autograd.functional.jacobian(function, values).any()


@pytest.mark.parametrize(
    "names",
    [("I", "E"), ("v1", "v0"), ("gamma", "lambda"), ("x[0]", "sin"), ("pi", "θ"), ("S", "")],
)
def test_any_parameter_name_works(names):
    first, second = map(Parameter, names)
    circuit = QuantumCircuit(1)
    circuit.rx(first * second**2 + first.sin(), 0)
    angles = AngleMap(lower(circuit, [first], [second]), [first], [second])
    values = torch.tensor([[0.7], [0.2]], dtype=torch.float64), torch.tensor([1.3]).double()
    expected = values[0] * values[1] ** 2 + values[0].sin()
    torch.testing.assert_close(angles.rows(*values), expected, rtol=0, atol=1e-14)


def test_angles_use_their_own_columns():
    x, w = ParameterVector("x", 3), ParameterVector("w", 2)
    circuit = QuantumCircuit(3)
    circuit.rx(x[2] * w[1], 0)
    circuit.ry(w[1] - 2 * w[0], 1)
    circuit.rz(x[0] + 3 * x[2] + 0.5, 2)
    circuit.rx(w[0] ** 2, 1)
    inputs, weights = [x[2], x[0]], [w[1], w[0]]
    circuit.p(x[1], 0)
    angles = AngleMap(lower(circuit, [*inputs, x[1]], weights), [*inputs, x[1]], weights)
    samples = torch.tensor([[0.1, 0.2, 0.3], [1.1, 1.2, 1.3]], dtype=torch.float64)
    weight = torch.tensor([0.7, 0.9], dtype=torch.float64)
    rows = torch.stack(
        [samples[:, 0] * 0.7, samples[:, 1] + 3 * samples[:, 0] + 0.5, samples[:, 2]], dim=1
    )
    torch.testing.assert_close(angles.rows(samples, weight), rows, rtol=0, atol=1e-14)
    shared = torch.tensor([[0.7 - 1.8, 0.81]], dtype=torch.float64)
    torch.testing.assert_close(angles.shared(weight), shared, rtol=0, atol=1e-14)
    torch.testing.assert_close(angles.rows(samples, weight.expand(2, -1)), rows)


@pytest.mark.parametrize(
    "expression",
    [1j * X, (1j * X).exp(), X * (W * 1j), (1j * X) ** W, 2j**X],
    ids=["linear", "function", "product", "power", "number to a power"],
)
def test_complex_angles_are_refused(expression):
    with pytest.raises(CircuitError, match=r"Angle `.*complex"):
        angle_map(expression)


def test_reduction_to_one_period_is_exact():
    angles = torch.tensor([[1e12, -3e9, 20.0, 1.0, 12.5]], dtype=torch.float64)
    reduced = within_period(angles)
    assert reduced[0, :3].abs().max() <= 2 * math.pi
    assert torch.equal(reduced[0, 3:], angles[0, 3:])  # unchanged within the period
    for function in (torch.sin, torch.cos):
        torch.testing.assert_close(function(reduced / 2), function(angles / 2), rtol=0, atol=1e-15)
    assert torch.func.vmap(within_period)(angles[None]).squeeze(0).equal(reduced)
    held = angles.clone().requires_grad_()
    (slope,) = torch.autograd.grad(within_period(held).sum(), held)
    torch.testing.assert_close(slope, torch.ones_like(slope), rtol=0, atol=1e-15)


@pytest.mark.parametrize("strategy", ["table", "checkpoints", "stacked"])
@pytest.mark.parametrize("rule", ["parameter-shift", "adjoint"])
def test_large_angles_match_qiskit(rule, strategy):
    x, w = Parameter("x"), Parameter("w")
    circuit = QuantumCircuit(3)
    circuit.rx(x, 0)
    circuit.ry(w * x, 1)
    circuit.cx(0, 1)
    circuit.rzz(x + w, 0, 2)
    circuit.rx(0.3, [0, 1, 2])
    executor = AerExecutor(strategy=strategy)
    weight = torch.tensor([0.7], dtype=torch.float64)
    layer = CircuitLayer(circuit, [x], [w], ["IZI", "XYZ"], executor, rule, initial=weight)
    samples = torch.tensor([[1e12], [0.2]], dtype=torch.float64, requires_grad=True)
    values = layer(samples)
    for sample, found in zip(samples.tolist(), values.tolist(), strict=True):
        state = Statevector(circuit.assign_parameters({x: sample[0], w: 0.7}))
        expected = [state.expectation_value(SparsePauliOp(o)).real for o in ("IZI", "XYZ")]
        assert found == pytest.approx(expected, abs=1e-12)
    reference = CircuitLayer(circuit, [x], [w], ["IZI", "XYZ"], initial=weight)
    (slope,) = torch.autograd.grad(values[0].sum(), samples)
    (expected,) = torch.autograd.grad(reference(samples)[0].sum(), samples)
    torch.testing.assert_close(slope, expected, rtol=0, atol=1e-12)


def test_slope_that_is_not_finite_is_refused():
    w = Parameter("w")
    circuit = QuantumCircuit(3)
    circuit.rx(w**0.5, 0)
    circuit.rx(w, 1)
    layer = CircuitLayer(circuit, [], [w], ["IIZ"], initial=[0.0])
    value = layer(torch.zeros(1, 0))
    assert value.item() == 1  # the value itself is exact
    with pytest.raises(ArgumentError, match=r"angle `w\*\*0.5`.*`w`"):
        value.sum().backward()
    gradient = AerEstimatorGradient()
    job = gradient.run([circuit], [SparsePauliOp("IIZ")], [[0.0]])
    with pytest.raises(ArgumentError, match=r"angle `w\*\*0.5`"):
        job.result()
