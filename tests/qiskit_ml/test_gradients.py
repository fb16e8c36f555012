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
from hybridopt.gradients import Spsa
from hybridopt.qiskit_ml import AerEstimatorGradient, AerSamplerGradient
from tests.qiskit_ml.networks import (
    OBSERVABLES,
    TRAINED,
    central_difference,
    feature_map_and_ansatz,
    measured,
    parity,
    uploaded_twice,
    without_inputs,
)

RULES = ("parameter-shift", "adjoint")
QML = 1e-9  # rounding of QMLSampler, 1e-12 a probability, through chain rules
PLUG_INS = {EstimatorQNN: AerEstimatorGradient, SamplerQNN: AerSamplerGradient}


def network(example, **keywords) -> EstimatorQNN:
    return EstimatorQNN(**example.keywords, observables=OBSERVABLES, **keywords)


def sampler_network(example, **keywords) -> SamplerQNN:
    interpreted = {"interpret": lambda k: (k % 2, k // 4), "output_shape": (2, 2)}
    return SamplerQNN(**example.keywords, **interpreted, **keywords)


CASES = [*((name, True) for name in TRAINED), ("feature_map_and_ansatz", False)]


@pytest.mark.parametrize("kind", [EstimatorQNN, SamplerQNN])
@pytest.mark.parametrize(("name", "input_gradients"), CASES)
def test_same_derivatives_as_the_gradient_of_the_library(name, input_gradients, kind):
    example = TRAINED[name]()
    x, w = example.values(batch=3)
    given = x if example.inputs else None
    make = network if kind is EstimatorQNN else sampler_network
    qnn = make(example, input_gradients=input_gradients)
    theirs = qnn.backward(given, w)
    for rule in RULES:
        qnn.gradient = PLUG_INS[kind](gradient=rule)
        for actual, expected in zip(qnn.backward(given, w), theirs, strict=True):
            assert (actual is None) == (expected is None)
            if actual is not None:
                np.testing.assert_allclose(actual, expected, atol=QML)


@pytest.mark.parametrize("rule", RULES)
def test_derivatives_of_expectations_as_differences_of_matrix_products(rule):
    """The library's own gradient takes another way for controlled rotations; this one is ours."""
    example = uploaded_twice()
    x, w = example.values()
    qnn = network(example, input_gradients=True, gradient=AerEstimatorGradient(gradient=rule))
    by_inputs, by_weights = qnn.backward(x, w)
    np.testing.assert_allclose(
        by_weights, central_difference(lambda v: example.expectations(x, v), w), atol=1e-8
    )
    for place, sample in enumerate(x):
        expected = central_difference(lambda v: example.expectations(v[None], w)[0], sample)
        np.testing.assert_allclose(by_inputs[place], expected, atol=1e-8)


def test_a_batch_and_all_observables_are_one_job(aer_calls):
    """2 shifts x 6 weights x 5 samples x 3 bases, whatever the number of observables."""
    example = feature_map_and_ansatz()
    x, w = example.values(batch=5)
    executor = AerExecutor()
    network(example, gradient=AerEstimatorGradient(executor)).backward(x, w)
    assert len(aer_calls) == 1
    bases = 3  # ZZI and IIZ, XIX and ZIX share none, IYZ
    layer = CircuitLayer(example.circuit, example.inputs, example.weights, OBSERVABLES)
    assert len(layer.readout.settings(layer.program)) == bases
    assert executor.usage.settings == 2 * 6 * 5 * bases


def test_the_adjoint_rule_runs_back_once_for_each_observable():
    example = feature_map_and_ansatz()
    x, w = example.values(batch=5)
    executor = AerExecutor()
    network(example, gradient=AerEstimatorGradient(executor, "adjoint")).backward(x, w)
    assert executor.usage.runs == 1 + len(OBSERVABLES)


def test_lowering_happens_once_in_a_training_run(monkeypatch):
    lowered = []
    monkeypatch.setattr(
        PhysicalCircuit,
        "lower",
        lambda *args, lower=PhysicalCircuit.lower: lowered.append(1) or lower(*args),
    )
    example = feature_map_and_ansatz()
    qnn = network(example, gradient=AerEstimatorGradient())
    for step in range(5):
        x, w = example.values(batch=1 + step, seed=step)
        qnn.backward(x, w)
    assert len(lowered) == 2  # for the first sample alone, and for batches


def test_a_circuit_changed_in_place_is_lowered_again():
    circuit = real_amplitudes(3, reps=1)
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


@pytest.mark.parametrize("rule", RULES)
def test_a_phase_of_the_whole_circuit_has_no_derivative(rule):
    circuit, phase = real_amplitudes(3, reps=1), Parameter("phase")
    circuit.global_phase = phase
    gradient = AerEstimatorGradient(gradient=rule)
    job = gradient.run([circuit], [SparsePauliOp("ZIX")], [[0.3] * 7], [[phase]])
    assert job.result().gradients[0].tolist() == [0]


def test_with_shots_the_gradient_is_sampled_around_the_exact_one():
    example = feature_map_and_ansatz()
    x, w = example.values(batch=2)
    shots = 4000
    exact = network(example, gradient=AerEstimatorGradient()).backward(x, w)[1]
    gradient = AerEstimatorGradient(AerExecutor(shots=shots, seed=3))
    sampled = network(example, gradient=gradient).backward(x, w)[1]
    scale = max(np.abs(op.coeffs).sum() for op in OBSERVABLES) / np.sqrt(2 * shots)
    assert 0 < abs(sampled - exact).max() < 5 * scale
    result = gradient.run([example.circuit], [OBSERVABLES[0]], [np.ones(9)]).result()
    assert result.metadata[0]["shots"] == shots


def test_repeated_samples_have_noise_of_their_own():
    example = feature_map_and_ansatz()
    x, w = example.values(batch=1)
    gradient = AerEstimatorGradient(AerExecutor(shots=50, seed=3))
    first, second = network(example, gradient=gradient).backward(np.repeat(x, 2, axis=0), w)[1]
    assert np.any(first != second)


def test_noise_reaches_the_gradient():
    """Depolarizing noise p after each of two RY on a qubit shrinks <Z> by (1 - p) each."""
    noise = NoiseModel()
    noise.add_all_qubit_quantum_error(depolarizing_error(0.1, 1), ["ry"])
    t = [Parameter(f"t{number}") for number in range(3)]
    circuit = QuantumCircuit(3)
    for qubit, angle in enumerate(t):
        circuit.ry(angle, qubit)
    values = np.array([0.4, 1.1, -0.8])
    gradient = AerEstimatorGradient(AerExecutor(noise_model=noise))
    (actual,) = gradient.run([circuit], [SparsePauliOp("ZZZ")], [values]).result().gradients
    cosines = np.cos(values)
    expected = 0.9**3 * np.array([-np.sin(v) * cosines.prod() / np.cos(v) for v in values])
    np.testing.assert_allclose(actual, expected, atol=1e-9)


def test_spsa_is_right_in_its_mean():
    example = feature_map_and_ansatz()
    x, w = example.values(batch=2)
    exact = network(example, gradient=AerEstimatorGradient()).backward(x, w)[1]
    directions = 400
    rule = Spsa(perturbation=1e-3, directions=directions, seed=0)
    estimate = network(example, gradient=AerEstimatorGradient(gradient=rule)).backward(x, w)[1]
    error = np.linalg.norm(exact, axis=-1).max() / np.sqrt(directions)
    assert abs(estimate - exact).max() < 5 * error


def test_a_column_that_starts_to_differ():
    """Batches in which an input happens to be constant, then differs, then is constant again."""
    example = feature_map_and_ansatz()
    x, w = example.values(batch=2)
    qnn = network(example, gradient=AerEstimatorGradient())
    theirs = network(example)
    for constant in ([0, 1], [], [0, 1, 2]):
        batch = x.copy()
        batch[:, constant] = batch[0, constant]
        np.testing.assert_allclose(
            qnn.backward(batch, w)[1], theirs.backward(batch, w)[1], atol=1e-9
        )


def test_circuits_it_cannot_lower_are_named_before_anything_runs(aer_calls):
    circuit = real_amplitudes(3, reps=1)
    circuit.reset(2)
    with pytest.raises(CircuitError, match="`reset` on qubit 2"):
        AerEstimatorGradient().run([circuit], [SparsePauliOp("ZZZ")], [[0.1] * 6])
    assert aer_calls == []


@pytest.mark.wrong_types
def test_bad_arguments_are_refused():
    circuit, observable = real_amplitudes(3, reps=1), SparsePauliOp("ZZZ")
    gradient = AerEstimatorGradient()
    with pytest.raises(ArgumentError, match=r"takes no options for a run, but was given shots"):
        gradient.run([circuit], [observable], [[0.1] * 6], shots=100)
    with pytest.raises(ValueError, match="number of values"):
        gradient.run([circuit], [observable], [[0.1] * 5])
    with pytest.raises(ArgumentError, match="NaN or infinite"):
        gradient.run([circuit], [observable], [[np.nan] * 6]).result()
    with pytest.raises(ArgumentTypeError, match="must be an executor such as AerExecutor"):
        AerEstimatorGradient(AerExecutor)
    with pytest.raises(UnknownNameError, match="parameter-shift"):
        AerEstimatorGradient(gradient="parametershift")
    with pytest.raises(UnsupportedError, match="adjoint"):
        AerEstimatorGradient(AerExecutor(shots=100), "adjoint")


@pytest.mark.parametrize("rule", RULES)
def test_derivatives_of_probabilities_as_differences_of_matrix_products(rule):
    example = uploaded_twice()
    x, w = example.values()
    qnn = SamplerQNN(
        **example.keywords, input_gradients=True, gradient=AerSamplerGradient(gradient=rule)
    )
    by_inputs, by_weights = qnn.backward(x, w)
    expected = central_difference(lambda v: example.probabilities(x, v), w)
    np.testing.assert_allclose(by_weights, expected, atol=1e-8)
    for place, sample in enumerate(x):
        expected = central_difference(lambda v: example.probabilities(v[None], w)[0], sample)
        np.testing.assert_allclose(by_inputs[place], expected, atol=1e-8)


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
    example = feature_map_and_ansatz()
    x, w = example.values()
    qnn = SamplerQNN(
        circuit=measured(example.circuit, registers),
        input_params=example.inputs,
        weight_params=example.weights,
        interpret=lambda outcome: outcome,
        output_shape=1 << len(qubits),
        gradient=AerSamplerGradient(),
    )
    expected = central_difference(lambda v: example.probabilities(x, v, qubits), w)
    np.testing.assert_allclose(qnn.backward(x, w)[1], expected, atol=1e-8)


def test_a_bit_measured_twice_and_bits_beyond_the_qubits():
    example = without_inputs()
    _, w = example.values()
    circuit = measured(example.circuit, {"meas": [1, 1, 0, 2]})
    (gradient,) = AerSamplerGradient().run([circuit], [w]).result().gradients
    assert set(gradient[0]) == {0b000, 0b011, 0b100, 0b111}  # bit 3 is beyond three qubits
    probabilities = central_difference(lambda v: example.probabilities(np.zeros((1, 0)), v)[0], w)
    for place, by_key in enumerate(gradient):
        assert by_key[0b100] == pytest.approx(probabilities[0b001, place], abs=1e-8)
        assert by_key[0b011] == pytest.approx(probabilities[0b010, place], abs=1e-8)


def test_measured_qubits_of_a_device_that_no_gate_acts_on_read_zero():
    circuit = QuantumCircuit(3, 1)
    angle = Parameter("t")
    circuit.ry(angle, 2)
    circuit.measure(0, 0)
    placed = transpile(circuit, coupling_map=[[0, 1], [1, 2], [2, 3]], optimization_level=0)
    (gradient,) = AerSamplerGradient().run([placed], [[0.7]]).result().gradients
    assert gradient == [pytest.approx({0: 0, 1: 0}, abs=1e-12)]


def test_a_batch_is_one_job(aer_calls):
    example = feature_map_and_ansatz()
    x, w = example.values(batch=5)
    executor = AerExecutor()
    qnn = SamplerQNN(**example.keywords, gradient=AerSamplerGradient(executor))
    qnn.backward(x, w)
    assert len(aer_calls) == 1
    assert executor.usage.settings == 2 * 6 * 5


def test_with_shots_the_gradient_is_sampled_around_the_exact_one_of_a_sampler():
    example = feature_map_and_ansatz()
    x, w = example.values(batch=2)
    shots = 4000
    keywords = {**example.keywords, "interpret": parity, "output_shape": 2}
    exact = SamplerQNN(**keywords, gradient=AerSamplerGradient()).backward(x, w)[1]
    gradient = AerSamplerGradient(AerExecutor(shots=shots, seed=5))
    sampled = SamplerQNN(**keywords, gradient=gradient).backward(x, w)[1]
    # two settings, halved: variance at most 2 (1/2)^2 (1/4) / shots
    assert 0 < abs(sampled - exact).max() < 5 * np.sqrt(1 / (8 * shots))
    job = gradient.run([example.circuit.measure_all(inplace=False)], [np.ones(9)])
    assert job.result().metadata[0]["shots"] == shots


def test_circuits_it_cannot_use_are_named_before_anything_runs(aer_calls):
    ansatz = real_amplitudes(3, reps=1)
    gradient, values = AerSamplerGradient(), [[0.1] * 6]
    with pytest.raises(CircuitError, match="measures into no classical register"):
        gradient.run([ansatz], values)
    with pytest.raises(CircuitError, match="Classical bit 1 is not measured but a bit above it is"):
        gradient.run([measured(ansatz, {"c": [0, None, 2]})], values)
    middle = measured(ansatz, {"c": [0, 1]})
    middle.h(1)
    with pytest.raises(CircuitError, match="mid-circuit measurement: `h` follows it"):
        gradient.run([middle], values)
    assert aer_calls == []


@pytest.mark.wrong_types
def test_bad_arguments_of_a_sampler_are_refused():
    with pytest.raises(ArgumentError, match="AerSamplerGradient takes no options for a run"):
        AerSamplerGradient().run([measured(real_amplitudes(3), {"c": [0]})], [[0] * 12], shots=3)
    with pytest.raises(ArgumentTypeError, match="must be an executor"):
        AerSamplerGradient(3)
    with pytest.raises(UnsupportedError, match="adjoint"):
        AerSamplerGradient(AerExecutor(shots=100), "adjoint")
