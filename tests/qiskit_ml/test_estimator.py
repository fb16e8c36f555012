"""Estimator on an executor: values, standard errors, shapes, rejected pubs."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest
from qiskit import QuantumCircuit, transpile
from qiskit.circuit.library import real_amplitudes
from qiskit.primitives import BackendEstimatorV2, StatevectorEstimator
from qiskit.providers.fake_provider import GenericBackendV2
from qiskit.quantum_info import Operator, Pauli, SparsePauliOp, Statevector
from qiskit_aer import AerSimulator
from qiskit_machine_learning.gradients import ParamShiftEstimatorGradient
from qiskit_machine_learning.neural_networks import EstimatorQNN

from hybridopt import AerExecutor
from hybridopt.errors import ArgumentError, ArgumentTypeError, CircuitError
from hybridopt.qiskit_ml import AerEstimator
from tests.qiskit_ml.networks import OBSERVABLES, trained


def test_results_have_the_shapes_of_their_pubs():
    circuit = real_amplitudes(3, reps=1)
    values = np.random.default_rng(0).uniform(-2, 2, (4, 5, 6))
    bell = QuantumCircuit(3)
    bell.h(0)
    bell.cx(0, 2)
    pubs = [
        (circuit, list(OBSERVABLES), values[0, 0]),
        (circuit, OBSERVABLES[0], values),
        (circuit, [[op] for op in OBSERVABLES], values[:, 0]),
        (circuit, [*OBSERVABLES, "XYZ"], values[:, 1]),  # one observable per set of values
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
        assert actual.metadata == expected.metadata


def test_projectors_as_observables():
    """|0><0| on qubits 0 and 2 of (|000> + |101>) / sqrt 2, and |+><+| on qubit 1."""
    circuit = QuantumCircuit(3)
    circuit.h(0)
    circuit.cx(0, 2)
    (result,) = AerEstimator().run([(circuit, ["0I0", "I+I", "1I0"])]).result()
    np.testing.assert_allclose(result.data.evs, [0.5, 0.5, 0], atol=1e-12)


def test_batch_of_a_network_is_one_job(aer_calls):
    example, x, w = trained(batch=7)
    executor = AerExecutor()
    qnn = example.network(EstimatorQNN, observables=OBSERVABLES, estimator=AerEstimator(executor))
    np.testing.assert_allclose(qnn.forward(x, w), example.expectations(x, w), atol=1e-12)
    assert len(aer_calls) == 1
    assert executor.usage.settings == 7 * 3  # three bases


def test_gradient_of_the_library_is_one_job(aer_calls):
    example, x, w = trained(batch=3)
    given = [example.circuit] * 3, [OBSERVABLES[0]] * 3, [[*sample, *w] for sample in x]
    ours = ParamShiftEstimatorGradient(AerEstimator()).run(*given).result()
    assert len(aer_calls) == 1
    theirs = ParamShiftEstimatorGradient(StatevectorEstimator()).run(*given).result()
    np.testing.assert_allclose(ours.gradients, theirs.gradients, atol=1e-12)


@pytest.mark.parametrize(
    "terms",
    [
        {"IIZ": 1.0, "IZI": 1.0, "IZZ": -0.5, "ZII": 0.3, "XXX": 0.4},
        {"ZIZ": 1.0},
        {"XII": 1.0, "III": 7.0, "ZII": 0.5},
    ],
    ids=len,
)
def test_standard_errors_are_those_of_the_sum(terms):
    """Strings of one basis share their shots, so their covariances count."""
    circuit = QuantumCircuit(3)
    circuit.ry(0.7, 0)
    circuit.cx(0, 1)
    circuit.ry(1.1, 2)
    shots, repetitions, state, variance = 200, 400, Statevector(circuit), 0.0
    for basis in "ZX":
        part = {label: factor for label, factor in terms.items() if basis in label}
        operator = SparsePauliOp.from_list(part.items() or [("III", 0)])
        mean = state.expectation_value(operator).real
        variance += state.expectation_value(operator @ operator).real - mean**2
    estimator = AerEstimator(AerExecutor(shots=shots, seed=1))
    operator = SparsePauliOp.from_list(terms.items())
    data = estimator.run([(circuit, [operator] * repetitions)]).result()[0].data
    expected, exact = np.sqrt(variance / shots), state.expectation_value(operator).real
    assert np.mean(data.stds) == pytest.approx(expected, rel=0.02)
    assert abs(np.mean(data.evs) - exact) < 5 * expected / np.sqrt(repetitions)
    # the standard deviation of n values has the relative error 1 / sqrt(2 n)
    assert np.std(data.evs) == pytest.approx(expected, rel=5 / np.sqrt(2 * repetitions))


@pytest.mark.parametrize("number", [1, 3, 49, 999, 1000, 4097, 10**6 + 1])
def test_a_precision_takes_its_shots(number):
    """The shots are the smallest number whose reciprocal square root is at most the precision."""
    circuit, executor = QuantumCircuit(3), AerExecutor(shots=7)
    circuit.h([0, 1, 2])
    for factor, needed in ((1, number), (1 - 1e-7, number + 1), (1 + 1e-7, number)):
        precision = factor / math.sqrt(number)
        before = executor.usage.shots
        (result,) = AerEstimator(executor).run([(circuit, "ZIZ", None, precision)]).result()
        assert executor.usage.shots - before == result.metadata["shots"] == needed
        assert result.metadata["target_precision"] == precision


def test_the_nearest_precision_counts():
    """That of the pub comes before that of the call, and this before the default."""
    circuit = QuantumCircuit(3)
    circuit.ry(0.7, [0, 1, 2])
    pubs = [(circuit, "ZIZ"), (circuit, ["XII", "ZZI"], None, 0.25), (circuit, "IIZ")]
    executor = AerExecutor(shots=100)
    given = [
        (AerEstimator(executor), {}, [0.1, 0.25, 0.1]),
        (AerEstimator(executor), {"precision": 0.5}, [0.5, 0.25, 0.5]),
        (AerEstimator(executor, default_precision=0.2), {}, [0.2, 0.25, 0.2]),
        (AerEstimator(), {}, [0.0, 0.25, 0.0]),
        (AerEstimator(default_precision=0.3), {"precision": 0.1}, [0.1, 0.25, 0.1]),
    ]
    for estimator, options, expected in given:
        results = estimator.run(pubs, **options).result()
        assert [result.metadata["target_precision"] for result in results] == expected
        if estimator.executor.shots is None:  # every precision is met exactly
            exact = [np.cos(0.7) ** 2, [np.sin(0.7), np.cos(0.7) ** 2], np.cos(0.7)]
            for result, values in zip(results, exact, strict=True):
                np.testing.assert_allclose(result.data.evs, values, atol=1e-12)
                np.testing.assert_array_equal(result.data.stds, np.zeros_like(values))
        else:
            shots = [result.metadata["shots"] for result in results]
            assert shots == [round(precision**-2) for precision in expected]


def test_metadata_is_that_of_qiskit():
    circuit = QuantumCircuit(3, metadata={"a": 1})
    pubs = [(circuit, "ZZI"), (circuit, "ZZI", None, 0.2)]
    backend = BackendEstimatorV2(backend=AerSimulator(), options={"default_precision": 0.1})
    pairs = [
        (AerEstimator(), StatevectorEstimator()),
        (AerEstimator(AerExecutor(shots=100)), backend),
    ]
    for ours, theirs in pairs:
        for options in ({}, {"precision": 0.5}):
            actual, expected = (one.run(pubs, **options).result() for one in (ours, theirs))
            assert [one.metadata for one in actual] == [one.metadata for one in expected]
            assert actual.metadata == expected.metadata


def test_networks_set_the_precision_of_their_estimator():
    example, x, w = trained()
    estimator = AerEstimator(AerExecutor(shots=100))
    for options, shots in (({}, 4096), ({"default_precision": 0.1}, 100)):
        before = estimator.executor.usage.shots
        example.network(EstimatorQNN, estimator=estimator, **options).forward(x, w)
        assert estimator.executor.usage.shots - before == 4 * shots


def test_calls_and_pubs_have_their_own_noise():
    circuit = QuantumCircuit(3)
    circuit.h([0, 1, 2])
    copies = [circuit, circuit.copy()]
    estimator = AerEstimator(AerExecutor(seed=5, shots=10**6))
    pubs = [(one, [["ZIX"], ["ZIX"]], None, p) for one in copies for p in (1e-3, 1.1e-3)]
    results = [*estimator.run(pubs * 2).result(), *estimator.run(pubs).result()]
    values = np.concatenate([result.data.evs.ravel() for result in results])
    assert len(set(values)) == len(values) == 24
    again = AerEstimator(AerExecutor(seed=5, shots=10**6))
    repeated = [*again.run(pubs * 2).result(), *again.run(pubs).result()]
    np.testing.assert_array_equal(
        np.concatenate([result.data.evs.ravel() for result in repeated]), values
    )


def test_precisions_without_a_number_of_shots_raise(aer_calls):
    circuit, executor = QuantumCircuit(3), AerExecutor(shots=100)
    for precision in (0.0, 1e-10, 1e-200):
        for options in ({"precision": precision}, {}):
            pub = (circuit, "ZZZ") if options else (circuit, "ZZZ", None, precision)
            with pytest.raises(ArgumentError, match=r"`precision`.*shots=100"):
                AerEstimator(executor).run([pub], **options)
        with pytest.raises(ArgumentError, match=r"`default_precision`.*shots=100"):
            AerEstimator(executor, default_precision=precision)
    with pytest.raises(ArgumentError, match=r"`precision`.*-1"):
        AerEstimator(executor).run([], precision=-1.0)
    assert aer_calls == []


@pytest.mark.wrong_types
def test_bad_arguments(aer_calls):
    circuit = real_amplitudes(3, reps=1)
    circuit.reset(0)
    with pytest.raises(CircuitError, match="`reset` on qubit 0"):
        AerEstimator().run([(circuit, "ZZZ", [0.1] * 6)])
    with pytest.raises(ArgumentTypeError, match="executor"):
        AerEstimator("aer")
    assert aer_calls == []
    assert AerEstimator(AerExecutor(shots=7)).options.shots == 7


def test_observables_of_a_transpiled_circuit(aer_calls):
    """They act on the qubits of the device, or on those before transpilation."""
    circuit = QuantumCircuit(3)
    circuit.ry(0.7, 0)
    circuit.cx(0, 1)
    isa = transpile(circuit, GenericBackendV2(5, seed=1), initial_layout=[4, 2, 0])
    wide = SparsePauliOp("IZI").apply_layout(isa.layout)
    for observable in ("IZI", wide, SparsePauliOp("IZI")):
        values = AerEstimator().run([(isa, observable)]).result()[0].data.evs
        assert values == pytest.approx(np.cos(0.7), abs=1e-12)
    before = len(aer_calls)
    for given, label, widths in ((isa, "ZZZZ", "3 .* 5 .*4"), (circuit, "ZZ", "3 .*2")):
        with pytest.raises(ArgumentError, match=f"{label} .*{widths}"):
            AerEstimator().run([(given, label)])
    assert len(aer_calls) == before


def test_operators_as_observables():
    circuit = real_amplitudes(2, reps=1)
    values = np.linspace(-1, 1, circuit.num_parameters)
    matrix = Operator(np.array([[1, 2j, 0, 0], [-2j, 0, 1, 0], [0, 1, -1, 0], [0, 0, 0, 0.5]]))
    state = Statevector(circuit.assign_parameters(values))
    found = AerEstimator().run([(circuit, [matrix, "ZX"], values)]).result()[0].data.evs
    expected = [state.expectation_value(matrix).real, state.expectation_value(Pauli("ZX")).real]
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_a_job_can_be_pickled_with_its_result():
    circuit = QuantumCircuit(2)
    circuit.ry(0.3, 0)
    for pubs in ([(circuit, "IZ")], [(circuit, "IZ"), (circuit, "ZI")]):
        job = AerEstimator().run(pubs)
        copied = pickle.loads(pickle.dumps(job))
        assert copied.done()
        for one, other in zip(copied.result(), job.result(), strict=True):
            assert one.data.evs == other.data.evs
