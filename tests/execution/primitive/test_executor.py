"""Values and gradients on any primitive, in agreement with Aer on the same layout."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.primitives import StatevectorEstimator, StatevectorSampler
from qiskit.quantum_info import SparsePauliOp
from qiskit.transpiler import generate_preset_pass_manager
from qiskit_aer.primitives import SamplerV2 as AerSampler
from scipy.stats import chi2

import hybridopt as ho
from hybridopt.circuits import lower
from hybridopt.execution import Expectations, Job, Probabilities
from tests.execution.jobs import dense, rotations_job
from tests.execution.primitive.configurations import CONFIGURATIONS, SHOTS, manila

LAYOUT = (3, 1, 2)  # of Manila, a chain of five qubits
X, W = ParameterVector("x", 2), ParameterVector("w", 3)


class Spy:
    """Pass manager that counts its calls."""

    def __init__(self, layout=LAYOUT) -> None:
        self.calls = 0
        self._manager = generate_preset_pass_manager(
            1, backend=manila(), initial_layout=list(layout), seed_transpiler=0
        )

    def run(self, circuit):
        self.calls += 1
        return self._manager.run(circuit)


def circuit() -> QuantumCircuit:
    made = QuantumCircuit(3)
    made.ry(X[0], 0)
    made.rx(X[1] * W[2], 2)
    made.cx(0, 1)
    made.ry(W[0], 1)
    made.crz(W[1], 1, 2)
    made.h(2)
    return made


OBSERVABLES = ["ZIZ", "IXI", SparsePauliOp(["III", "YZI"], [0.5, 2.0])]


def layer_on(executor, given=None, observables=OBSERVABLES) -> ho.CircuitLayer:
    initial = torch.tensor([0.4, -1.1, 0.8], dtype=torch.float64)
    return ho.CircuitLayer(given or circuit(), X, W, observables, executor, initial=initial)


def values_and_gradient(layer) -> tuple[np.ndarray, np.ndarray]:
    x = torch.tensor([[0.3, -0.7], [1.4, 0.9]], dtype=torch.float64)
    values = layer(x)
    (gradient,) = torch.autograd.grad(values[:, 0].sum(), layer.weight)
    return values.detach().numpy(), gradient.numpy()


@pytest.fixture(scope="module")
def expected():
    return {
        on_device: values_and_gradient(layer_on(ho.AerExecutor(**options)))
        for on_device, options in (
            (False, {}),
            (True, {"noise_model": manila(), "layout": LAYOUT}),
        )
    }


@pytest.mark.parametrize("one", CONFIGURATIONS, ids=lambda one: one.name)
def test_agrees_with_aer_on_the_same_layout(one, expected):
    spy = Spy() if one.on_device else None
    executor = ho.PrimitiveExecutor(one.create(), pass_manager=spy, **one.effort)
    values, gradient = values_and_gradient(layer_on(executor))
    exact_values, exact_gradient = expected[one.on_device]
    # the last observable has coefficient 2; stds of BackendEstimatorV2 are sums, so bounds are used
    assert (np.abs(values - exact_values) < 5 * np.array([1, 1, 2]) * SHOTS**-0.5).all()
    # two samples, and shifts with coefficients of 1/2 each
    spread = np.sqrt(2 * 2 * 0.25 * np.array([1, 2, 1.0]) / SHOTS)
    assert (np.abs(gradient - exact_gradient) < 5 * spread).all()
    assert spy is None or spy.calls == 1  # for the forward pass, all shifts and all bases
    assert executor.usage.jobs >= 2
    assert executor.usage.shots == executor.usage.settings * SHOTS


def _check_law(result, exact):
    """Check deviations in units of the reported standard errors."""
    errors = np.sqrt(result.variances)
    deviations = (result.values - exact)[errors > 0] / errors[errors > 0]
    assert np.abs(deviations).max() < 5.5
    low, high = chi2.ppf([1e-6, 1 - 1e-6], deviations.size)
    assert low < np.sum(deviations**2) < 1.5 * high
    np.testing.assert_allclose(result.values[errors == 0], exact[errors == 0], atol=0.1)


@pytest.mark.parametrize(
    "readout",
    [
        None,
        Probabilities(),
        Probabilities(qubits=(2, 0)),
        Probabilities(qubits=(1,), given=((0, 1), (2, 0))),
    ],
    ids=["expectations", "all qubits", "two qubits", "post-selected"],
)
def test_reads_every_readout_in_qiskits_order_of_bits(readout):
    program = lower(circuit(), X, W, whole=False)
    observables = Expectations(tuple(SparsePauliOp(o) for o in OBSERVABLES))
    angles = np.random.default_rng(3)
    rows = angles.uniform(-3, 3, (4, program.num_row_angles))
    shared = angles.uniform(-3, 3, (2, program.num_shared_angles))
    job = Job(program, readout or observables, rows, shared)
    result = ho.PrimitiveExecutor(StatevectorSampler(), shots=3000, seed=2).run(job)
    _check_law(result, dense(job))


def test_long_registers_are_counted_by_outcome():
    num_qubits = 14  # beyond the table of all outcomes
    made = QuantumCircuit(num_qubits)
    w = ParameterVector("w", num_qubits)
    for qubit in range(num_qubits):
        made.ry(w[qubit], qubit)
    program = lower(made, [], w)
    angles = np.random.default_rng(1).uniform(-1, 1, (2, num_qubits))
    observables = SparsePauliOp(["Z" * 14, "ZZ" + 12 * "I"]), SparsePauliOp("X" + 13 * "I")
    job = Job(program, Expectations(observables), np.zeros((1, 0)), angles)
    result = ho.PrimitiveExecutor(AerSampler(), shots=2000, seed=5).run(job)
    cosines = np.cos(angles)
    exact = np.stack(
        [cosines.prod(axis=1) + cosines[:, 13] * cosines[:, 12], np.sin(angles[:, 13])], axis=1
    )
    _check_law(result, exact[:, None])


@pytest.mark.parametrize("primitive", [StatevectorSampler, StatevectorEstimator])
def test_cutting_changes_neither_settings_nor_shots(primitive):
    job = _job()
    effort = {"shots": 500} if primitive is StatevectorSampler else {"precision": 500**-0.5}
    whole, cut = (
        ho.PrimitiveExecutor(primitive(), max_rows=size, seed=1, **effort) for size in (None, 4)
    )
    for executor, jobs in ((whole, 1), (cut, 2)):
        result = executor.run(job)
        _check_law(result, dense(job))
        assert result.cost == executor.usage == ho.Cost(12, 6000, 12, jobs)


def _job(readout=None, *, samples=3, tables=2):
    program = lower(circuit(), X, W, whole=False)
    readout = readout or Expectations(tuple(SparsePauliOp(o) for o in OBSERVABLES))
    angles = np.random.default_rng(3)
    rows = angles.uniform(-3, 3, (samples, program.num_row_angles))
    return Job(program, readout, rows, angles.uniform(-3, 3, (tables, program.num_shared_angles)))


def _fixed_job():
    """Return a job without angles, whose pubs have no parameters."""
    made = QuantumCircuit(2)
    made.ry(0.3, 0)
    made.cx(0, 1)
    readout = Expectations((SparsePauliOp("ZI"), SparsePauliOp("XX"), SparsePauliOp("II", 0.25)))
    return Job(lower(made), readout, np.zeros((3, 0)), np.zeros((2, 0)))


@pytest.mark.parametrize(
    "executor",
    [
        lambda: ho.PrimitiveExecutor(StatevectorSampler(), shots=2000, seed=1),
        lambda: ho.PrimitiveExecutor(StatevectorEstimator(), precision=0.02, seed=1),
    ],
)
def test_circuits_without_parameters_have_one_pub_per_row(executor):
    job = _fixed_job()
    result = executor().run(job)
    _check_law(result, dense(job))
    assert len(np.unique(result.values[..., 1])) > 1  # rows have their own noise


def test_programs_that_bind_their_circuits_have_one_pub_per_row():
    job = rotations_job()
    executor = ho.PrimitiveExecutor(StatevectorSampler(), shots=2000, seed=1)
    _check_law(executor.run(job), dense(job))
    assert "one pub per row" in executor.explain(job)


def test_constant_observables_send_nothing():
    executor = ho.PrimitiveExecutor(StatevectorSampler(), shots=10)
    job = _job(Expectations((SparsePauliOp("III", 0.5),)))
    result = executor.run(job)
    np.testing.assert_array_equal(result.values, 0.5)
    assert executor.usage == ho.Cost()


def test_empty_batches_send_nothing():
    executor = ho.PrimitiveExecutor(StatevectorSampler(), shots=10)
    assert executor.run(_job(samples=0)).values.shape == (2, 0, 3)
    assert executor.usage == ho.Cost()
