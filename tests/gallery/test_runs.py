"""Outputs and gradients of all circuits of the gallery agree with a dense twin."""

from __future__ import annotations

import re
from functools import cache
from itertools import cycle
from pathlib import Path

import numpy as np
import pytest
import torch
from qiskit import qasm3
from qiskit.quantum_info import Statevector

import hybridopt as ho
from hybridopt.circuits import circuit_names

FOLDER = Path(__file__).parents[2] / "circuits"
NAMES = circuit_names()
LOAD = cache(ho.load_circuit)
TRAINED = [name for name in NAMES if name != "memory_bridge_iris"]
STRATEGIES = ("stacked", "checkpoints", "table")
STEP = 1e-5  # central differences err by STEP^2 f'''/6 and 1e-16/STEP: below 1e-7 for |f'''| < 6000


@cache
def read_by_qiskit(name: str):
    return qasm3.loads((FOLDER / f"{name}.qasm").read_text("utf-8"))


class Twin:
    """Circuit from Qiskit's importer, simulated with Qiskit's state vectors."""

    def __init__(self, name: str) -> None:
        self.circuit = read_by_qiskit(name)
        self.observables = LOAD(name).observables
        number = re.compile("[0-9]+")
        self.order = sorted(self.circuit.parameters, key=lambda p: int(number.search(p.name)[0]))
        self.order.sort(key=lambda p: p.name[0] != "x")  # inputs first

    def sample(self, x: np.ndarray, weight: np.ndarray) -> np.ndarray:
        values = dict(zip(self.order, np.concatenate([x, weight]), strict=True))
        state = Statevector(self.circuit.assign_parameters(values))
        if self.observables is None:
            return state.probabilities()
        return np.array([state.expectation_value(item).real for item in self.observables])

    def __call__(self, x: np.ndarray, weight: np.ndarray) -> np.ndarray:
        return np.array([self.sample(row, weight) for row in x])

    def gradients(self, x, weight, cotangent) -> tuple[np.ndarray, np.ndarray]:
        """Return gradients of the sum of cotangent times outputs, from central differences."""
        by_x = np.zeros_like(x)
        for b, i in np.ndindex(x.shape):
            shift = STEP * np.eye(x.shape[1])[i]
            change = self.sample(x[b] + shift, weight) - self.sample(x[b] - shift, weight)
            by_x[b, i] = change @ cotangent[b] / (2 * STEP)
        by_weight = np.zeros_like(weight)
        for p, shift in enumerate(STEP * np.eye(len(weight))):
            change = self(x, weight + shift) - self(x, weight - shift)
            by_weight[p] = (change * cotangent).sum() / (2 * STEP)
        return by_x, by_weight


def problem(name: str, batch: int):
    """Return inputs, weights and cotangents of different sizes and signs."""
    circuit, inputs, weights, observables = LOAD(name)
    outputs = 2**circuit.num_qubits if observables is None else len(observables)
    draw = np.random.default_rng(len(name)).uniform
    return (
        draw(-1.5, 1.5, (batch, len(inputs))),
        draw(-np.pi, np.pi, len(weights)),
        draw(-1, 1, (batch, outputs)),
    )


def outputs_and_gradients(name, x, weight, cotangent, **options):
    layer = ho.CircuitLayer(*LOAD(name), initial=weight.tolist(), **options).double()
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(weight))
    given = torch.from_numpy(x).requires_grad_()
    outputs = layer(given)
    (outputs * torch.from_numpy(cotangent)).sum().backward()
    by_x = np.zeros_like(x) if given.grad is None else given.grad.numpy()
    return outputs.detach().numpy(), by_x, layer.weight.grad.numpy()


@pytest.mark.parametrize("name", TRAINED)
def test_gradients(name):
    x, weight, cotangent = problem(name, batch=2)
    twin = Twin(name)
    shifted = outputs_and_gradients(name, x, weight, cotangent)
    adjoint = outputs_and_gradients(name, x, weight, cotangent, gradient="adjoint")
    for expected, first, second in zip(
        (twin(x, weight), *twin.gradients(x, weight, cotangent)), shifted, adjoint, strict=True
    ):
        np.testing.assert_allclose(first, expected, rtol=0, atol=1e-7)
        np.testing.assert_allclose(first, second, rtol=0, atol=1e-9)
    np.testing.assert_allclose(shifted[0], twin(x, weight), rtol=0, atol=1e-10)
    assert any(np.abs(gradient).max(initial=0) > 1e-3 for gradient in shifted[1:])


@pytest.mark.parametrize(("name", "strategy"), list(zip(TRAINED, cycle(STRATEGIES), strict=False)))
def test_strategies(name, strategy):
    x, weight, cotangent = problem(name, batch=3)
    executor = ho.AerExecutor(strategy=strategy)
    outputs, *gradients = outputs_and_gradients(name, x, weight, cotangent, executor=executor)
    np.testing.assert_allclose(outputs, Twin(name)(x, weight), rtol=0, atol=1e-10)
    expected = outputs_and_gradients(name, x, weight, cotangent, gradient="adjoint")[1:]
    for actual, wanted in zip(gradients, expected, strict=True):
        np.testing.assert_allclose(actual, wanted, rtol=0, atol=1e-10)


@pytest.mark.parametrize("method", ["density_matrix", "matrix_product_state"])
@pytest.mark.parametrize("name", NAMES)
def test_methods(name, method):
    x, weight, _ = problem(name, batch=2)
    executor = ho.AerExecutor(method=method)
    layer = ho.CircuitLayer(*LOAD(name), executor=executor).double()
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(weight))
        outputs = layer(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(outputs, Twin(name)(x, weight), rtol=0, atol=1e-10)
