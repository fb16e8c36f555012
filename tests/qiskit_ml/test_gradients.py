"""Gradients of networks against those of the library and finite differences."""

from __future__ import annotations

import numpy as np
import pytest
from qiskit import QuantumCircuit, transpile
from qiskit.circuit import Parameter
from qiskit.circuit.library import real_amplitudes
from qiskit.quantum_info import SparsePauliOp
from qiskit_aer.noise import NoiseModel, depolarizing_error
from qiskit_machine_learning.gradients import ParamShiftEstimatorGradient
from qiskit_machine_learning.neural_networks import EstimatorQNN, SamplerQNN
from qiskit_machine_learning.primitives import QMLEstimator

from hybridopt import AerExecutor, CircuitLayer
from hybridopt.circuits.physical import PhysicalCircuit
from hybridopt.errors import (
    ArgumentError,
    ArgumentTypeError,
    CircuitError,
    UnknownNameError,
    UnsupportedError,
)
from hybridopt.gradients import ParameterShift, Spsa
from hybridopt.qiskit_ml import AerEstimatorGradient, AerSamplerGradient
from tests.qiskit_ml.networks import (
    OBSERVABLES,
    TRAINED,
    Example,
    central_difference,
    feature_map_and_ansatz,
    measured,
    parity,
    trained,
    uploaded_twice,
    without_inputs,
)

RULES = ("parameter-shift", "adjoint")
QML = 1e-9  # rounding of QMLSampler, 1e-12 per probability, through chain rules
GRADIENTS = {EstimatorQNN: AerEstimatorGradient, SamplerQNN: AerSamplerGradient}
KINDS = pytest.mark.parametrize("kind", GRADIENTS)
BOTH_RULES = pytest.mark.parametrize("rule", RULES)
ANSATZ = real_amplitudes(3, reps=1)


def network(example: Example, kind=EstimatorQNN, **keywords):
    if kind is EstimatorQNN:
        keywords = {"observables": OBSERVABLES, **keywords}
    return example.network(kind, **keywords)


def slopes(example: Example, x, w, gradient=None) -> np.ndarray:
    """Return derivatives of expectation values with respect to weights."""
    return network(example, gradient=gradient or AerEstimatorGradient()).backward(x, w)[1]


@KINDS
@pytest.mark.parametrize(
    ("name", "input_gradients"),
    [*((name, True) for name in TRAINED), ("feature_map_and_ansatz", False)],
)
def test_derivatives_match_the_gradient_of_the_library(name, input_gradients, kind):
    example, x, w = trained(TRAINED[name], batch=3)
    given = x if example.inputs else None
    keywords = {"interpret": lambda k: (k % 2, k // 4), "output_shape": (2, 2)}
    keywords = keywords if kind is SamplerQNN else {}
    qnn = network(example, kind, input_gradients=input_gradients, **keywords)
    theirs = qnn.backward(given, w)
    for rule in RULES:
        qnn.gradient = GRADIENTS[kind](gradient=rule)
        for actual, expected in zip(qnn.backward(given, w), theirs, strict=True):
            assert (actual is None) == (expected is None)
            if actual is not None:
                np.testing.assert_allclose(actual, expected, atol=QML)


@KINDS
@BOTH_RULES
def test_derivatives_match_differences_of_matrix_products(rule, kind):
    """A second reference, as the library decomposes controlled rotations."""
    example, x, w = trained(uploaded_twice)
    value = example.expectations if kind is EstimatorQNN else example.probabilities
    gradient = GRADIENTS[kind](gradient=rule)
    of_inputs, of_weights = network(
        example, kind, input_gradients=True, gradient=gradient
    ).backward(x, w)
    expected = central_difference(lambda v: value(x, v), w)
    np.testing.assert_allclose(of_weights, expected, atol=1e-8)
    for place, sample in enumerate(x):
        expected = central_difference(lambda v: value(v[None], w)[0], sample)
        np.testing.assert_allclose(of_inputs[place], expected, atol=1e-8)


@KINDS
def test_batch_is_one_job(kind, aer_calls):
    """2 shifts x 6 weights x 5 samples x the number of bases."""
    example, x, w = trained(batch=5)
    executor, bases = AerExecutor(), 1
    network(example, kind, gradient=GRADIENTS[kind](executor)).backward(x, w)
    assert executor.state_dict()["calls"] == 1
    assert sum(aer_calls) == executor.usage.runs == 2  # the common angles, then all shifts of them
    if kind is EstimatorQNN:
        bases = 3  # ZZI and IIZ, XIX and ZIX share none, IYZ
        layer = CircuitLayer(example.circuit, example.inputs, example.weights, OBSERVABLES)
        assert len(layer.readout.settings(layer.program)) == bases
    assert executor.usage.settings == 2 * 6 * 5 * bases


def test_adjoint_rule_has_one_backward_run_for_all_observables():
    example, x, w = trained(batch=5)
    executor = AerExecutor()
    slopes(example, x, w, AerEstimatorGradient(executor, "adjoint"))
    assert executor.usage.runs == 2


@KINDS
def test_sweep_counts_the_settings_of_all_shifts(kind):
    example, x, w = trained(batch=5)
    found, costs = [], []
    for simulate in ("settings", "sweep"):
        executor = AerExecutor()
        rule = ParameterShift(simulate=simulate)
        found += [network(example, kind, gradient=GRADIENTS[kind](executor, rule)).backward(x, w)]
        costs.append(executor.usage)
    np.testing.assert_allclose(found[1][1], found[0][1], rtol=0, atol=1e-12)
    assert costs[1].settings == costs[0].settings


def test_training_run_lowers_its_circuit_twice(monkeypatch):
    lowered = []
    monkeypatch.setattr(
        PhysicalCircuit,
        "lower",
        lambda *args, lower=PhysicalCircuit.lower: lowered.append(1) or lower(*args),
    )
    example = feature_map_and_ansatz()
    qnn = network(example, gradient=AerEstimatorGradient())
    for step in range(5):
        qnn.backward(*example.values(batch=1 + step, seed=step))
    assert len(lowered) == 2  # for the first sample alone, and for batches


def test_circuit_changed_in_place_is_lowered_again():
    circuit = ANSATZ.copy()
    gradient, observable = AerEstimatorGradient(), SparsePauliOp("ZZX")
    values = [np.linspace(0.3, 1.7, 6)]
    before = gradient.run([circuit], [observable], values).result().gradients[0]
    circuit.rx(0.8, 0)
    circuit.cx(0, 2)
    after = gradient.run([circuit], [observable], values).result().gradients[0]
    expected = ParamShiftEstimatorGradient(QMLEstimator()).run([circuit], [observable], values)
    assert abs(after - before).max() > 0.1
    np.testing.assert_allclose(after, expected.result().gradients[0], atol=1e-12)


def test_different_circuits_observables_and_parameters_in_one_call():
    first, second = feature_map_and_ansatz(), without_inputs()
    circuits = [first.circuit, second.circuit, first.circuit, first.circuit]
    observables = [OBSERVABLES[0], OBSERVABLES[1], OBSERVABLES[1], OBSERVABLES[2]]
    generator = np.random.default_rng(0)
    values = [generator.uniform(-2, 2, circuit.num_parameters) for circuit in circuits]
    chosen = [
        None,
        [second.weights[4], second.weights[1]],
        list(reversed(first.circuit.parameters)),
        [first.inputs[1]],
    ]
    ours = AerEstimatorGradient().run(circuits, observables, values, chosen).result()
    theirs = ParamShiftEstimatorGradient(QMLEstimator()).run(circuits, observables, values, chosen)
    for actual, expected in zip(ours.gradients, theirs.result().gradients, strict=True):
        np.testing.assert_allclose(actual, expected, atol=1e-12)
    assert [len(entry["parameters"]) for entry in ours.metadata] == [9, 2, 9, 1]
    assert ours.metadata[0]["shots"] is None


@BOTH_RULES
def test_global_phase_has_no_derivative(rule):
    circuit, phase = ANSATZ.copy(), Parameter("phase")
    circuit.global_phase = phase
    gradient = AerEstimatorGradient(gradient=rule)
    job = gradient.run([circuit], [SparsePauliOp("ZIX")], [[0.3] * 7], [[phase]])
    assert job.result().gradients[0].tolist() == [0]


@KINDS
def test_sampled_gradients_are_near_the_exact_ones(kind):
    example, x, w = trained(batch=2)
    shots = 4000
    keywords = {"interpret": parity, "output_shape": 2} if kind is SamplerQNN else {}
    exact, sampled = (
        network(example, kind, gradient=GRADIENTS[kind](executor), **keywords).backward(x, w)[1]
        for executor in (AerExecutor(), AerExecutor(shots=shots, seed=3))
    )
    # two settings with factor 1/2: variance <= 2 (1/2)^2 / shots for a Pauli, 1/4 of it for a bit
    scale = 0.5 if keywords else max(np.abs(op.coeffs).sum() for op in OBSERVABLES)
    assert 0 < abs(sampled - exact).max() < 5 * scale / np.sqrt(2 * shots)
    gradient, circuit = GRADIENTS[kind](AerExecutor(shots=shots)), example.circuit.copy()
    if kind is SamplerQNN:
        job = gradient.run([circuit.measure_all(inplace=False)], [np.ones(9)])
    else:
        job = gradient.run([circuit], [OBSERVABLES[0]], [np.ones(9)])
    assert job.result().metadata[0]["shots"] == shots


def test_repeated_samples_have_independent_noise():
    example, x, w = trained(batch=1)
    gradient = AerEstimatorGradient(AerExecutor(shots=50, seed=3))
    first, second = slopes(example, np.repeat(x, 2, axis=0), w, gradient)
    assert np.any(first != second)


def test_noise_model_changes_the_gradient():
    """Depolarizing noise p after each of three RY shrinks <ZZZ> by (1 - p)^3."""
    noise = NoiseModel()
    noise.add_all_qubit_quantum_error(depolarizing_error(0.1, 1), ["ry"])
    circuit = QuantumCircuit(3)
    for qubit in range(3):
        circuit.ry(Parameter(f"t{qubit}"), qubit)
    values = np.array([0.4, 1.1, -0.8])
    gradient = AerEstimatorGradient(AerExecutor(noise_model=noise))
    (actual,) = gradient.run([circuit], [SparsePauliOp("ZZZ")], [values]).result().gradients
    expected = -(0.9**3) * np.tan(values) * np.cos(values).prod()
    np.testing.assert_allclose(actual, expected, atol=1e-9)


def test_spsa_has_the_right_mean():
    example, x, w = trained(batch=2)
    exact, directions = slopes(example, x, w), 400
    rule = Spsa(perturbation=1e-3, directions=directions, seed=0)
    estimate = slopes(example, x, w, AerEstimatorGradient(gradient=rule))
    error = np.linalg.norm(exact, axis=-1).max() / np.sqrt(directions)
    assert abs(estimate - exact).max() < 5 * error


def test_columns_may_start_to_differ():
    """An input is constant in a batch, then differs, then is constant again."""
    example, x, w = trained(batch=2)
    qnn, theirs = network(example, gradient=AerEstimatorGradient()), network(example)
    for constant in ([0, 1], [], [0, 1, 2]):
        batch = x.copy()
        batch[:, constant] = batch[0, constant]
        expected = theirs.backward(batch, w)[1]
        np.testing.assert_allclose(qnn.backward(batch, w)[1], expected, atol=1e-9)


@pytest.mark.parametrize(
    ("registers", "qubits"),
    [
        ({"meas": [2, 0]}, [2, 0]),
        ({"b": [2], "a": [1, 0]}, [2, 1, 0]),
        ({"c": [0], "meas": [2, 1]}, [2, 1]),
    ],
    ids=str,
)
def test_measured_qubits_are_read_in_the_order_of_their_bits(registers, qubits):
    example, x, w = trained()
    qnn = example.network(
        SamplerQNN,
        circuit=measured(example.circuit, registers),
        interpret=lambda outcome: outcome,
        output_shape=1 << len(qubits),
        gradient=AerSamplerGradient(),
    )
    expected = central_difference(lambda v: example.probabilities(x, v, qubits), w)
    np.testing.assert_allclose(qnn.backward(x, w)[1], expected, atol=1e-8)


def test_qubits_measured_twice_and_bits_beyond_the_qubits():
    example, x, w = trained(without_inputs, batch=1)
    circuit = measured(example.circuit, {"meas": [1, 1, 0, 2]})
    (gradient,) = AerSamplerGradient().run([circuit], [w]).result().gradients
    assert set(gradient[0]) == {0b000, 0b011, 0b100, 0b111}  # bit 3 is beyond three qubits
    probabilities = central_difference(lambda v: example.probabilities(x, v)[0], w)
    for place, by_key in enumerate(gradient):
        assert by_key[0b100] == pytest.approx(probabilities[0b001, place], abs=1e-8)
        assert by_key[0b011] == pytest.approx(probabilities[0b010, place], abs=1e-8)


def test_measured_idle_qubits_of_a_device_read_zero():
    circuit = QuantumCircuit(3, 1)
    circuit.ry(Parameter("t"), 2)
    circuit.measure(0, 0)
    placed = transpile(circuit, coupling_map=[[0, 1], [1, 2], [2, 3]], optimization_level=0)
    (gradient,) = AerSamplerGradient().run([placed], [[0.7]]).result().gradients
    assert gradient == [pytest.approx({0: 0, 1: 0}, abs=1e-12)]


def test_bad_circuits_are_rejected_before_any_run(aer_calls):
    circuit = ANSATZ.copy()
    circuit.reset(2)
    with pytest.raises(CircuitError, match="`reset` on qubit 2"):
        AerEstimatorGradient().run([circuit], [SparsePauliOp("ZZZ")], [[0.1] * 6])
    middle = measured(ANSATZ, {"c": [0, 1]})
    middle.h(1)
    for circuit, message in (
        (ANSATZ, "register"),
        (measured(ANSATZ, {"c": [0, None, 2]}), "bit 1"),
        (middle, "`measure` on qubit 1"),
    ):
        with pytest.raises(CircuitError, match=message):
            AerSamplerGradient().run([circuit], [[0.1] * 6])
    assert aer_calls == []


@pytest.mark.wrong_types
def test_bad_arguments():
    observable, gradient = SparsePauliOp("ZZZ"), AerEstimatorGradient()
    with pytest.raises(ValueError, match="number of values"):
        gradient.run([ANSATZ], [observable], [[0.1] * 5])
    with pytest.raises(ArgumentError, match=r"(?i)nan|finite"):
        gradient.run([ANSATZ], [observable], [[np.nan] * 6]).result()
    with pytest.raises(ArgumentError, match=r"AerEstimatorGradient.*shots"):
        gradient.run([ANSATZ], [observable], [[0.1] * 6], shots=100)
    with pytest.raises(ArgumentError, match=r"AerSamplerGradient.*shots"):
        AerSamplerGradient().run([measured(ANSATZ, {"c": [0]})], [[0] * 6], shots=3)
    for kind in GRADIENTS.values():
        with pytest.raises(ArgumentTypeError, match="executor"):
            kind(AerExecutor)
        with pytest.raises(UnknownNameError, match="parametershift"):
            kind(gradient="parametershift")
        with pytest.raises(UnsupportedError, match="adjoint"):
            kind(AerExecutor(shots=100), "adjoint")
