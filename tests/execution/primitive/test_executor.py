"""Values and gradients on any primitive, in agreement with Aer on the same layout."""

from __future__ import annotations

import copy
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.primitives import (
    BackendEstimatorV2,
    BackendSamplerV2,
    StatevectorEstimator,
    StatevectorSampler,
)
from qiskit.quantum_info import SparsePauliOp
from qiskit.transpiler import generate_preset_pass_manager
from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel, ReadoutError
from qiskit_aer.primitives import SamplerV2 as AerSampler
from qiskit_ibm_runtime.executor_estimator import EstimatorV2
from qiskit_ibm_runtime.executor_sampler import SamplerV2
from qiskit_machine_learning.circuit.library import raw_feature_vector
from scipy.stats import chi2

import hybridopt as ho
from hybridopt.circuits import lower
from hybridopt.errors import ArgumentError, UnsupportedError
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


SAMPLES = torch.tensor([[0.3, -0.7], [1.4, 0.9]], dtype=torch.float64)


def values_of(layer) -> np.ndarray:
    with torch.no_grad():
        return layer(SAMPLES).numpy()


def values_and_gradient(layer) -> tuple[np.ndarray, np.ndarray]:
    values = layer(SAMPLES)
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
    job = small_job()
    effort = {"shots": 500} if primitive is StatevectorSampler else {"precision": 500**-0.5}
    whole, cut = (
        ho.PrimitiveExecutor(primitive(), max_rows=size, seed=1, **effort) for size in (None, 4)
    )
    for executor, jobs in ((whole, 1), (cut, 2)):
        result = executor.run(job)
        _check_law(result, dense(job))
        assert result.cost == executor.usage == ho.Cost(12, 6000, 12, jobs)


def small_job(readout=None, *, samples=3, tables=2):
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
    job = small_job(Expectations((SparsePauliOp("III", 0.5),)))
    result = executor.run(job)
    np.testing.assert_array_equal(result.values, 0.5)
    assert executor.usage == ho.Cost()


def test_empty_batches_send_nothing():
    executor = ho.PrimitiveExecutor(StatevectorSampler(), shots=10)
    assert executor.run(small_job(samples=0)).values.shape == (2, 0, 3)
    assert executor.usage == ho.Cost()


def test_transpiled_circuits_keep_their_layout_and_idle_qubits():
    # the fake's own runs have other readout errors than its target, so Aer simulates the target
    simulator = AerSimulator.from_backend(manila())
    transpiled = Spy((4, 2, 3))._manager.run(circuit())
    for observables in (["ZII", "IXZ"], ["ZIZII", "IIIIZ"]):  # circuit qubits, device qubits
        aer = layer_on(ho.AerExecutor(noise_model=manila()), transpiled, observables)
        exact = values_of(aer)
        spy = Spy()
        for primitive, effort in (
            (BackendSamplerV2(backend=simulator), {"shots": 4000}),
            (BackendEstimatorV2(backend=simulator), {"precision": 4000**-0.5}),
        ):
            executor = ho.PrimitiveExecutor(primitive, pass_manager=spy, seed=1, **effort)
            values = values_of(layer_on(executor, transpiled, observables))
            assert np.abs(values - exact).max() < 5 * 4000**-0.5
        assert spy.calls == 0


def test_copies_of_a_layer_are_transpiled_once():
    spy = Spy()
    executor = ho.PrimitiveExecutor(BackendSamplerV2(backend=manila()), pass_manager=spy, shots=5)
    layer = layer_on(executor)
    for one in (layer, copy.deepcopy(layer), layer_on(executor)):
        assert one.executor is executor
        one(torch.zeros(1, 2))
    assert spy.calls == 1
    layer_on(executor, circuit().reverse_ops())
    assert spy.calls == 2


def test_amplitudes_are_prepared_row_by_row():
    inputs = raw_feature_vector(4)
    made = inputs.copy()
    made.ry(W[0], 0)
    made.cx(0, 1)
    x = torch.rand(2, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    layers = [
        ho.CircuitLayer(made, inputs.parameters, W[:1], ["ZI", "IX"], executor, initial=[0.7],
                        normalize=True)
        for executor in (ho.AerExecutor(), ho.PrimitiveExecutor(StatevectorSampler(), shots=2000))
    ]  # fmt: skip
    exact, sampled = (layer(x) for layer in layers)
    assert (exact - sampled).abs().max() < 5 * 2000**-0.5


@pytest.mark.parametrize("bridge", ["memory", "mesh", "generator"])
def test_every_bridge_trains_on_a_device(bridge):
    network = torch.nn.Linear(2, 1)
    executor = ho.PrimitiveExecutor(AerSampler.from_backend(manila()), shots=50, seed=1)
    quantum = ho.to_quantum(network, bridge=bridge, executor=executor)
    history = ho.fit(quantum, (torch.rand(2, 2), torch.rand(2, 1)), epochs=1)
    assert history.jobs[0] == executor.usage.jobs > 2
    assert history.status == "epochs"


def test_readout_mitigation_corrects_the_errors_of_the_device():
    exact = values_of(layer_on(ho.AerExecutor()))
    noise = NoiseModel()
    errors = [[[0.9, 0.1], [0.2, 0.8]], [[0.95, 0.05], [0.1, 0.9]], [[0.85, 0.15], [0.05, 0.95]]]
    for qubit, matrix in enumerate(errors):
        noise.add_readout_error(ReadoutError(matrix), [qubit])
    simulator = AerSimulator(noise_model=noise)
    results = {}
    for name, options in (
        ("raw", {}),
        ("given", {"readout_mitigation": "inverse", "confusion": errors}),
    ):
        executor = ho.PrimitiveExecutor(
            BackendSamplerV2(backend=simulator), shots=4000, seed=3, **options
        )
        layer = layer_on(executor)
        values = values_of(layer)
        spread = layer.standard_errors.numpy()
        results[name] = np.abs((values - exact) / spread).max(), np.mean(spread)
        assert ("mitigated is not exact" in layer.explain()) == bool(options)
    assert results["raw"][0] > 8  # standard errors
    assert results["given"][0] < 5
    assert results["given"][1] > 1.2 * results["raw"][1]


def test_readout_mitigation_needs_errors_to_correct():
    for primitive, options, words in (
        (StatevectorSampler(), {}, "`confusion` must be given"),
        (StatevectorEstimator(), {"precision": 0.1}, "estimator"),
    ):
        with pytest.raises(UnsupportedError, match=words):
            ho.PrimitiveExecutor(primitive, readout_mitigation="inverse", **options)
    with pytest.raises(ArgumentError, match="`confusion`"):
        ho.PrimitiveExecutor(StatevectorSampler(), confusion=[np.eye(2)])
    executor = ho.PrimitiveExecutor(
        StatevectorSampler(), readout_mitigation="inverse", confusion=[np.eye(2)] * 3
    )
    with pytest.raises(UnsupportedError, match="without free angles"):
        executor.check(rotations_job().program, Probabilities())


def test_mitigation_by_the_estimator_is_named():
    estimator = EstimatorV2(mode=manila())
    estimator.options.resilience.zne_mitigation = True
    executor = ho.PrimitiveExecutor(estimator)
    assert executor.precision == 4096**-0.5
    for words in ("TREX", "zero-noise extrapolation", "mitigated is not exact"):
        assert words in executor.explain(small_job())
    assert "zero-noise extrapolation" in executor.settings()["mitigation"]
    layer = layer_on(executor, observables=["ZII"])
    history = ho.fit(layer, (torch.rand(2, 2), torch.rand(2, 1)), epochs=0)
    assert "zero-noise extrapolation" in history.mitigation
    assert ho.History.from_dict(history.to_dict()).mitigation == history.mitigation


def test_defaults_are_those_of_the_primitive():
    assert ho.PrimitiveExecutor(StatevectorSampler(default_shots=77)).shots == 77
    assert ho.PrimitiveExecutor(SamplerV2(mode=manila())).shots == 4096
    backend = BackendEstimatorV2(backend=manila(), options={"default_precision": 0.1})
    executor = ho.PrimitiveExecutor(backend)
    assert (executor.precision, executor.shots) == (0.1, 100)
    options = {"default_shots": 400, "resilience_level": 0}
    assert ho.PrimitiveExecutor(EstimatorV2(mode=manila(), options=options)).precision == 0.05


def test_a_job_may_set_its_own_effort():
    sampler = ho.PrimitiveExecutor(StatevectorSampler(), shots=10)
    estimator = ho.PrimitiveExecutor(StatevectorEstimator(), precision=0.5)
    for change in ({"shots": 400}, {"precision": 0.05}):
        job = replace(small_job(), **change)
        for executor in (sampler, estimator):
            result = executor.run(job)
            assert result.cost.shots == 400 * result.cost.settings
            _check_law(result, dense(job))


def test_pickled_executors_continue_their_random_stream():
    executor = ho.PrimitiveExecutor(BackendSamplerV2(backend=AerSimulator()), shots=20, seed=4)
    executor.run(small_job())
    other = pickle.loads(pickle.dumps(executor))
    np.testing.assert_array_equal(other.run(small_job()).values, executor.run(small_job()).values)
    assert other.usage == executor.usage


def test_both_jobs_of_a_pass_are_sent_before_one_is_waited_for():
    events: list[str] = []

    class Job:
        def __init__(self, job):
            self.job = job

        def job_id(self):
            return self.job.job_id()

        def result(self):
            events.append("result")
            return self.job.result()

    class Recorded(StatevectorSampler):
        def run(self, pubs, *, shots=None):
            events.append(f"send {len(pubs)}")
            return Job(super().run(pubs, shots=shots))

    layer = layer_on(ho.PrimitiveExecutor(Recorded(), shots=5, max_rows=12))
    values_and_gradient(layer)
    assert events == ["send 2"] * 3 + ["result"] * 3
