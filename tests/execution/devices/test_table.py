"""Table of sources of noise, ways to run circuits, placements, and difficult circuits.

Each cell is compared with density matrices of Aer on the whole device (`by_hand.py`): values to
1e-10, gradients to 1e-7 of finite differences, samples within five standard errors. All sources
have readout errors. A circuit layer, an estimator or a network has the exact values of each cell;
gradients and samples have every pair of source, placement and circuit.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from qiskit.quantum_info import SparsePauliOp
from qiskit_machine_learning.neural_networks import EstimatorQNN, SamplerQNN

from hybridopt import AerExecutor, CircuitLayer, from_qnn
from hybridopt.errors import UnsupportedError
from hybridopt.gradients import Adjoint, Spsa
from hybridopt.qiskit_ml import (
    AerEstimator,
    AerEstimatorGradient,
    AerSampler,
    AerSamplerGradient,
)
from tests.execution.devices.by_hand import Cell, reference
from tests.execution.devices.circuits import CIRCUITS, OBSERVABLES, VALUES, W, X
from tests.execution.devices.sources import SOURCES

VALUE, SLOPE, SHOTS = 1e-10, 1e-7, 4000
PLACEMENTS = ("virtual", 0, 1, 2)
# A noise model alone cannot route gates, so that gates on pairs without errors raise.
IMPOSSIBLE = Cell("model", "virtual", "uncoupled")
CELLS = [
    cell
    for source in SOURCES
    for placement in PLACEMENTS
    for circuit in CIRCUITS
    if (cell := Cell(source, placement, circuit)) != IMPOSSIBLE
]


def third(number: int):
    """Return a third of the cells, with every pair of source, placement and circuit."""
    kinds = list(CIRCUITS)
    cells = [
        c for c in CELLS
        if (SOURCES.index(c.source) + PLACEMENTS.index(c.placement) + kinds.index(c.circuit)) % 3
        == number
    ]  # fmt: skip
    return pytest.mark.parametrize("cell", cells, ids=str)


some_cells = pytest.mark.parametrize(
    "cell",
    [Cell(source, placement, "reversed") for source in SOURCES for placement in ("virtual", 1)],
    ids=str,
)
WEIGHTS = torch.tensor([VALUES[one] for one in W], dtype=torch.float64)
PARAMETERS = {"input_params": [X], "weight_params": list(W)}


def observables(cell: Cell, circuit, *, wide: bool) -> list[SparsePauliOp]:
    """Return observables on the qubits of the device, or on the virtual qubits."""
    found = [SparsePauliOp(label) for label in OBSERVABLES[cell.circuit]]
    equally_many = circuit.layout is not None and circuit.num_qubits == cell.virtual.num_qubits
    if circuit.layout is not None and (wide or equally_many):
        return [one.apply_layout(circuit.layout) for one in found]
    return found


def layer_of(cell: Cell, executor: AerExecutor, **arguments) -> CircuitLayer:
    circuit = cell.given()
    initial = WEIGHTS
    return CircuitLayer(
        circuit, [X], list(W), observables(cell, circuit, wide=False), executor,
        initial=initial, **arguments,
    )  # fmt: skip


def sample(*, requires_grad: bool = False) -> torch.Tensor:
    return torch.tensor([[VALUES[X]]], dtype=torch.float64, requires_grad=requires_grad)


def row(circuit) -> list[float]:
    return [VALUES[parameter] for parameter in circuit.parameters]


@third(1)
def test_circuit_layers_and_their_gradients(cell):
    layer = layer_of(cell, AerExecutor(noise_model=cell.noise.noise))
    assert layer.num_qubits <= 5  # idle qubits of a device of 127 are not simulated
    x, expected = sample(requires_grad=True), reference(cell)
    values = layer(x)[0]
    np.testing.assert_allclose(values.detach().numpy(), expected.values, rtol=0, atol=VALUE)
    weights = torch.tensor([1.0, -0.7], dtype=torch.float64)  # both observables in one backward
    by_x, by_w = torch.autograd.grad(values @ weights, [x, layer.weight])
    slopes = [by_x.item(), *by_w.tolist()]
    np.testing.assert_allclose(slopes, weights.numpy() @ expected.slopes, rtol=0, atol=SLOPE)
    layer.gradient = Adjoint()
    again = layer(x)[0]
    torch.testing.assert_close(again, values, rtol=0, atol=1e-12)
    for found, shifted in zip(
        torch.autograd.grad(again @ weights, [x, layer.weight]), (by_x, by_w), strict=True
    ):
        torch.testing.assert_close(found, shifted, rtol=0, atol=1e-10)


@third(0)
def test_estimators(cell):
    circuit = cell.given()
    asked = observables(cell, circuit, wide=cell.placement == 1)
    estimator = AerEstimator(AerExecutor(noise_model=cell.noise.noise))
    (result,) = estimator.run([(circuit, asked, row(circuit))]).result()
    np.testing.assert_allclose(result.data.evs, reference(cell).values, rtol=0, atol=VALUE)


@third(1)
def test_samplers_with_shots(cell):
    circuit = cell.given(measured=True)
    executor = AerExecutor(noise_model=cell.noise.noise, shots=SHOTS, seed=3)
    (drawn,) = AerSampler(executor).run([(circuit, row(circuit))]).result()
    counts = drawn.data.meas.get_int_counts()
    for outcome, probability in enumerate(reference(cell).probabilities):
        deviation = math.sqrt(probability * (1 - probability) / SHOTS) + 1 / SHOTS
        assert abs(counts.get(outcome, 0) / SHOTS - probability) <= 5 * deviation


@third(2)
def test_networks_of_qiskit_machine_learning(cell):
    executor = AerExecutor(noise_model=cell.noise.noise)
    circuit = cell.given()
    qnn = EstimatorQNN(
        circuit=circuit, observables=observables(cell, circuit, wide=True),
        estimator=AerEstimator(executor), **PARAMETERS,
    )  # fmt: skip
    layer = from_qnn(qnn, executor=executor, initial=WEIGHTS)
    expected = reference(cell)
    np.testing.assert_allclose(
        layer(sample())[0].detach().numpy(), expected.values, rtol=0, atol=VALUE
    )
    measured = cell.given(measured=True)
    sampler = SamplerQNN(circuit=measured, sampler=AerSampler(executor), **PARAMETERS)
    outcomes = from_qnn(sampler, executor=executor, initial=WEIGHTS)
    np.testing.assert_allclose(
        outcomes(sample())[0].detach().numpy(), expected.probabilities, rtol=0, atol=VALUE
    )


@some_cells
def test_exact_samplers(cell):
    circuit = cell.given(measured=True)
    sampler = AerSampler(AerExecutor(noise_model=cell.noise.noise), exact=True)
    (exact,) = sampler.run([(circuit, row(circuit))]).result()
    found = exact.data.meas.get_probabilities()
    for outcome, probability in enumerate(reference(cell).probabilities):
        name = format(outcome, f"0{cell.virtual.num_qubits}b")
        assert found.get(name, 0.0) == pytest.approx(probability, abs=VALUE)


@some_cells
def test_gradient_classes_of_qiskit(cell):
    circuit, executor = cell.given(), AerExecutor(noise_model=cell.noise.noise)
    asked = observables(cell, circuit, wide=True)
    values, count = row(circuit), len(asked)
    job = AerEstimatorGradient(executor).run([circuit] * count, asked, [values] * count)
    order = [[X, *W].index(parameter) for parameter in circuit.parameters]
    expected = reference(cell).slopes[:, order]
    np.testing.assert_allclose(job.result().gradients, expected, rtol=0, atol=SLOPE)
    measured = cell.given(measured=True)
    (by_key,) = AerSamplerGradient(executor).run([measured], [values]).result().gradients
    layer = from_qnn(
        SamplerQNN(circuit=measured, sampler=AerSampler(executor), **PARAMETERS),
        executor=executor,
        initial=WEIGHTS,
    )
    x = sample(requires_grad=True)
    for outcome, probability in enumerate(layer(x)[0, :4]):
        by_x, by_w = torch.autograd.grad(probability, [x, layer.weight], retain_graph=True)
        slopes = np.array([by_x.item(), *by_w.tolist()])[order]
        found = [column[outcome] for column in by_key]
        np.testing.assert_allclose(found, slopes, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("source", "placement"), list(zip(SOURCES, ("virtual", 1) * 3, strict=True))
)
def test_trajectories_have_the_same_mean(source, placement):
    cell, shots = Cell(source, placement, "reversed"), 1000
    executor = AerExecutor(noise_model=cell.noise.noise, shots=shots, seed=2, method="statevector")
    found = layer_of(cell, executor)(sample())[0].detach().numpy()
    expected = reference(cell).values
    assert (abs(found - expected) <= 5 * np.sqrt((1 - expected**2) / shots)).all()


@pytest.mark.parametrize("source", SOURCES[::2])
def test_spsa_has_the_gradient_as_its_mean(source):
    cell, directions = Cell(source, 1, "barriers"), 30
    slopes = []
    executor = AerExecutor(noise_model=cell.noise.noise, seed=5)
    layer = layer_of(cell, executor, gradient=Spsa(perturbation=1e-3))
    for _ in range(directions):
        (by_w,) = torch.autograd.grad(layer(sample())[0, 0], layer.weight)
        slopes.append(by_w.numpy())
    error = np.std(slopes, axis=0) / math.sqrt(directions)
    expected = reference(cell).slopes[0, 1:]
    assert (abs(np.mean(slopes, axis=0) - expected) <= 5 * error + 1e-5).all()


def test_gates_without_errors_raise_before_a_run(aer_calls):
    executor, circuit = AerExecutor(noise_model=IMPOSSIBLE.noise.noise), IMPOSSIBLE.given()
    with pytest.raises(UnsupportedError, match="`cx`"):
        layer_of(IMPOSSIBLE, executor)
    with pytest.raises(UnsupportedError, match="`cx`"):
        AerEstimator(executor).run(
            [(circuit, observables(IMPOSSIBLE, circuit, wide=False), row(circuit))]
        )
    assert aer_calls == []
