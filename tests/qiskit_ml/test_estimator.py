from __future__ import annotations

import numpy as np
import pytest
from qiskit import QuantumCircuit, transpile
from qiskit.circuit.library import real_amplitudes
from qiskit.primitives import StatevectorEstimator
from qiskit.providers.fake_provider import GenericBackendV2
from qiskit.quantum_info import SparsePauliOp, Statevector
from qiskit_machine_learning.gradients import ParamShiftEstimatorGradient
from qiskit_machine_learning.neural_networks import EstimatorQNN

from hybridopt import AerExecutor
from hybridopt.errors import ArgumentError, ArgumentTypeError, CircuitError
from hybridopt.qiskit_ml import AerEstimator
from tests.qiskit_ml.networks import OBSERVABLES, feature_map_and_ansatz


def test_results_have_the_shape_of_their_pubs():
    circuit = real_amplitudes(3, reps=1)
    values = np.random.default_rng(0).uniform(-2, 2, (4, 5, 6))
    bell = QuantumCircuit(3)
    bell.h(0)
    bell.cx(0, 2)
    pubs = [
        (circuit, list(OBSERVABLES), values[0, 0]),
        (circuit, OBSERVABLES[0], values),
        (circuit, [[op] for op in OBSERVABLES], values[:, 0]),
        (circuit, [*OBSERVABLES, "XYZ"], values[:, 1]),  # one observable for each set of values
        (bell, ["ZIZ", "XIX", "IZI"]),
        (circuit, ["ZZZ"], values[:0, 0]),
    ]
    ours = AerEstimator().run(pubs).result()
    theirs = StatevectorEstimator().run(pubs).result()
    assert len(ours) == len(pubs)
    for actual, expected in zip(ours, theirs, strict=True):
        assert actual.data.shape == expected.data.shape
        np.testing.assert_allclose(actual.data.evs, expected.data.evs, atol=1e-12)
        np.testing.assert_array_equal(actual.data.stds, np.zeros(expected.data.shape))
    assert ours[0].metadata["shots"] is None


def test_projectors():
    """|0><0| on qubits 0 and 2 of (|000> + |101>) / sqrt 2, and |+><+| on qubit 1."""
    circuit = QuantumCircuit(3)
    circuit.h(0)
    circuit.cx(0, 2)
    (result,) = AerEstimator().run([(circuit, ["0I0", "I+I", "1I0"])]).result()
    np.testing.assert_allclose(result.data.evs, [0.5, 0.5, 0], atol=1e-12)


def test_a_batch_of_a_network_is_one_job(aer_calls):
    example = feature_map_and_ansatz()
    x, w = example.values(batch=7)
    executor = AerExecutor()
    qnn = EstimatorQNN(
        **example.keywords, observables=OBSERVABLES, estimator=AerEstimator(executor)
    )
    np.testing.assert_allclose(qnn.forward(x, w), example.expectations(x, w), atol=1e-12)
    assert len(aer_calls) == 1
    assert executor.usage.settings == 7 * 3  # three bases


def test_the_library_s_own_gradient_becomes_one_job(aer_calls):
    example = feature_map_and_ansatz()
    x, w = example.values(batch=3)
    values = [[*sample, *w] for sample in x]
    circuits, observables = [example.circuit] * 3, [OBSERVABLES[0]] * 3
    ours = ParamShiftEstimatorGradient(AerEstimator()).run(circuits, observables, values).result()
    assert len(aer_calls) == 1
    theirs = ParamShiftEstimatorGradient(StatevectorEstimator()).run(circuits, observables, values)
    for actual, expected in zip(ours.gradients, theirs.result().gradients, strict=True):
        np.testing.assert_allclose(actual, expected, atol=1e-12)


def test_standard_errors_are_reached():
    circuit = real_amplitudes(3, reps=1)
    values = np.random.default_rng(1).uniform(-2, 2, 6)
    shots, repeats = 100, 400
    estimator = AerEstimator(AerExecutor(shots=shots, seed=2))
    data = estimator.run([(circuit, [["ZIZ"], ["XII"]], np.tile(values, (repeats, 1)))]).result()
    evs, stds = data[0].data.evs, data[0].data.stds
    exact = AerEstimator().run([(circuit, ["ZIZ", "XII"], values)]).result()[0].data.evs
    error = np.sqrt((1 - exact**2) / shots)
    assert np.all(abs(evs.mean(1) - exact) < 5 * error / np.sqrt(repeats))
    # the spread of a standard deviation of n samples is 1 / sqrt(2 n) of itself
    np.testing.assert_allclose(evs.std(1), error, rtol=5 / np.sqrt(2 * repeats))
    np.testing.assert_allclose(stds.mean(1), error, rtol=0.05)


def test_standard_errors_of_sums_are_bounds():
    """sum |c| sqrt((1 - <P>^2) / shots) for 0.5 ZII - 2 IXI at state 0."""
    estimator = AerEstimator(AerExecutor(shots=400, seed=0))
    observable = SparsePauliOp(["ZII", "IXI", "III"], [0.5, -2, 7])
    (result,) = estimator.run([(QuantumCircuit(3), observable)]).result()
    assert result.data.stds == pytest.approx(2 * np.sqrt(1 / 400), rel=0.02)


def test_a_precision_beyond_the_shots_is_refused():
    example = feature_map_and_ansatz()
    x, w = example.values()
    estimator = AerEstimator(AerExecutor(shots=100))
    qnn = EstimatorQNN(**example.keywords, estimator=estimator)
    with pytest.raises(ArgumentError, match=r"precision=0.015625 takes 4096 shots a setting"):
        qnn.forward(x, w)
    qnn = EstimatorQNN(**example.keywords, estimator=estimator, default_precision=0.1)
    assert qnn.forward(x, w).shape == (4, 1)
    assert estimator.executor.usage.shots == 400
    with pytest.raises(ArgumentError, match="precision=0 takes an executor without shots"):
        estimator.run([(example.circuit, "ZZZ", [0.1] * 9)], precision=0.0)
    for shots in (999, 1000, 4097):
        exactly = AerEstimator(AerExecutor(shots=shots))
        pub = (example.circuit, "ZZZ", [0.1] * 9)
        exactly.run([pub], precision=1 / np.sqrt(shots)).result()
        with pytest.raises(ArgumentError, match=f"takes {shots + 1} shots"):
            exactly.run([pub], precision=1 / np.sqrt(shots + 1))
    with pytest.raises(ArgumentError, match="`precision` must be 0 or more"):
        estimator.run([], precision=-1.0)


@pytest.mark.wrong_types
def test_bad_arguments_are_refused(aer_calls):
    circuit = real_amplitudes(3, reps=1)
    circuit.reset(0)
    with pytest.raises(CircuitError, match="`reset` on qubit 0"):
        AerEstimator().run([(circuit, "ZZZ", [0.1] * 6)])
    with pytest.raises(ArgumentTypeError, match="must be an executor"):
        AerEstimator("aer")
    assert aer_calls == []
    assert AerEstimator(AerExecutor(shots=7)).options.shots == 7


def test_standard_errors_are_those_of_the_sum():
    """Strings of one basis share their shots: the errors of ZZ and of -ZZ do not add up."""
    circuit = QuantumCircuit(3)
    circuit.ry(0.7, 0)
    circuit.cx(0, 1)
    circuit.ry(1.1, 2)
    operator = SparsePauliOp(["IIZ", "IZI", "IZZ", "ZII", "XXX"], [1.0, 1.0, -0.5, 0.3, 0.4])
    shots, repetitions = 200, 400
    estimator = AerEstimator(AerExecutor(shots=shots, seed=1))
    data = estimator.run([(circuit, [operator] * repetitions)]).result()[0].data
    state = Statevector(circuit)
    in_z = SparsePauliOp(["IIZ", "IZI", "IZZ", "ZII"], [1.0, 1.0, -0.5, 0.3])
    variance = state.expectation_value(in_z @ in_z).real - state.expectation_value(in_z).real ** 2
    variance += 0.4**2 * (1 - state.expectation_value(SparsePauliOp("XXX")).real ** 2)
    expected = np.sqrt(variance / shots)
    assert np.mean(data.stds) == pytest.approx(expected, rel=0.02)
    # the spread of a standard deviation over so many repetitions is 1 / sqrt(2 repetitions)
    assert np.std(data.evs) == pytest.approx(expected, rel=5 / np.sqrt(2 * repetitions))


def test_observables_of_a_transpiled_circuit_have_its_width_or_that_before(aer_calls):
    circuit = QuantumCircuit(3)
    circuit.ry(0.7, 0)
    circuit.cx(0, 1)
    isa = transpile(circuit, GenericBackendV2(5, seed=1), initial_layout=[4, 2, 0])
    wide = SparsePauliOp("IZI").apply_layout(isa.layout)
    for observable in ("IZI", wide, SparsePauliOp("IZI")):
        values = AerEstimator().run([(isa, observable)]).result()[0].data.evs
        assert values == pytest.approx(np.cos(0.7), abs=1e-12)
    before = len(aer_calls)
    with pytest.raises(ArgumentError, match=r"acts on 4 qubits, but .* from 3 qubits to the 5"):
        AerEstimator().run([(isa, "ZZZZ")])
    with pytest.raises(ArgumentError, match="acts on 2 qubits, but the circuit has 3"):
        AerEstimator().run([(circuit, "ZZ")])
    assert len(aer_calls) == before
