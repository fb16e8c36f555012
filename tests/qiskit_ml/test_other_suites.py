"""Points of other projects' tests of primitives on which ours differ, each with its reason.

The tests of Qiskit's primitives and of qiskit-machine-learning were run with our classes in place
of theirs. All other points pass. The assertions state what ours do instead.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister, transpile
from qiskit.circuit.library import real_amplitudes, zz_feature_map
from qiskit.exceptions import QiskitError
from qiskit.primitives import BitArray
from qiskit.providers.fake_provider import GenericBackendV2
from qiskit.quantum_info import SparsePauliOp, Statevector
from qiskit_machine_learning.kernels import FidelityQuantumKernel
from qiskit_machine_learning.state_fidelities import ComputeUncompute

from hybridopt import AerExecutor
from hybridopt.qiskit_ml import AerEstimator, AerSampler

ANSATZ = real_amplitudes(2, reps=2)
OBSERVABLE = SparsePauliOp.from_list([("II", 1), ("IZ", 2), ("XI", 3)])
ANGLES = [0, 1, 1, 2, 3, 5]


def second_value_is_another(run: Callable[[AerExecutor], object]) -> None:
    """Check that calls with one seed differ, and that a copy of the seed repeats them."""
    executor = AerExecutor(shots=10_000, seed=123)
    values = [run(executor) for _ in range(3)]
    assert len(set(map(repr, values))) == 3
    again = AerExecutor(shots=10_000, seed=123)
    assert [repr(run(again)) for _ in range(3)] == [repr(value) for value in values]


def equal_noise_of_an_estimator(aer_calls):
    """Two calls with one seed share their noise there; averages over calls would not converge."""
    pub = (ANSATZ, OBSERVABLE, ANGLES)
    second_value_is_another(lambda e: AerEstimator(e).run([pub]).result()[0].data.evs.tolist())


def added_noise(aer_calls):
    """A simulator adds a normal error of the precision there; ours meets it exactly."""
    pub = (ANSATZ, OBSERVABLE, ANGLES)
    data = AerEstimator(AerExecutor(seed=1)).run([pub], precision=1.0).result()[0].data
    exact = Statevector(ANSATZ.assign_parameters(ANGLES)).expectation_value(OBSERVABLE)
    assert data.evs == pytest.approx(exact.real, abs=1e-12)
    assert data.stds == 0


def equal_noise_of_a_sampler(aer_calls):
    """Two calls with one seed return equal shots there; joined, they are not more shots."""
    circuit = ANSATZ.measure_all(inplace=False)
    second_value_is_another(
        lambda e: AerSampler(e).run([(circuit, ANGLES)]).result()[0].data.meas.get_bitstrings()[:50]
    )


def narrow_tolerance(aer_calls):
    """Its tolerance of 10 % is 1.3 standard deviations of the rarest outcome: a matter of seeds."""
    shots, angles = 10_000, [1.0] * 6
    circuit = ANSATZ.measure_all(inplace=False)
    expected = shots * Statevector(ANSATZ.assign_parameters(angles)).probabilities()
    assert 0.1 * expected.min() < 1.4 * math.sqrt(expected.min())
    for seed in range(3):
        sampler = AerSampler(AerExecutor(seed=seed), default_shots=shots)
        counts = sampler.run([(circuit, angles)]).result()[0].data.meas.get_int_counts()
        found = np.array([counts[outcome] for outcome in range(4)])
        assert (abs(found - expected) < 5 * np.sqrt(expected)).all()


def reset_of_a_used_qubit(aer_calls):
    """It returns the value of one random trajectory; an expectation value is their mean."""
    circuit = QuantumCircuit(2)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.reset(0)
    with pytest.raises(QiskitError, match="Instruction `reset` on qubit 0"):
        AerEstimator().run([(circuit, "ZI")])


def classical_control(aer_calls):
    """Gates that depend on outcomes need a run per shot, and have no gradient."""
    circuit = QuantumCircuit(QuantumRegister(3), ClassicalRegister(1, "a"), ClassicalRegister(1))
    circuit.h(0)
    circuit.measure(0, 0)
    with circuit.if_test((circuit.cregs[0], 1)):
        circuit.x(2)
    circuit.measure(2, 1)
    device = GenericBackendV2(4, control_flow=True, seed=1)
    for given in (circuit, transpile(circuit, device, seed_transpiler=1)):
        with pytest.raises(QiskitError, match=r"Instruction `if_else` on qubit .* classical"):
            AerSampler().run([given])


def jobs_of_a_backend(aer_calls):
    """It counts the jobs of a mocked device; ours runs equal circuits as one call of Aer."""
    results = AerEstimator().run([(ANSATZ, OBSERVABLE, ANGLES)] * 5).result()
    assert len(aer_calls) == 1
    assert len({float(result.data.evs) for result in results}) == 1


def analog_results(aer_calls):
    """It asks a device for voltages (``meas_level=1``); a simulator of circuits has only bits."""
    circuit = ANSATZ.measure_all(inplace=False)
    data = AerSampler().run([(circuit, ANGLES)], shots=10).result()[0].data
    assert isinstance(data.meas, BitArray)
    assert data.meas.array.dtype == np.uint8


def last_bits_of_a_table(aer_calls):
    """Values of a table and of single rows must be equal bit by bit; ours are equal to 2e-15."""
    x = np.random.default_rng(0).uniform(0, 3, (4, 2))
    kernels = [
        FidelityQuantumKernel(
            feature_map=zz_feature_map(2), max_circuits_per_job=size,
            fidelity=ComputeUncompute(AerSampler(exact=True)),
        )
        for size in (None, 1)
    ]  # fmt: skip
    whole, single = (kernel.evaluate(x_vec=x) for kernel in kernels)
    np.testing.assert_allclose(whole, single, rtol=0, atol=1e-14)


QISKIT = "qiskit test/python/primitives"
LEARNING = "qiskit-machine-learning test"
POINTS = {
    f"{QISKIT} TestStatevectorEstimator.test_precision_seed": [
        equal_noise_of_an_estimator, added_noise,
    ],
    f"{QISKIT} TestStatevectorEstimator.test_reset": [reset_of_a_used_qubit],
    f"{QISKIT} TestStatevectorSampler.test_sampler_run_multiple_times": [equal_noise_of_a_sampler],
    f"{QISKIT} TestStatevectorSampler.test_run_single_circuit": [narrow_tolerance],
    f"{QISKIT} TestBackendEstimatorV2.test_job_size_limit_backend_v2": [jobs_of_a_backend],
    f"{QISKIT} TestBackendSamplerV2.test_circuit_with_aliased_cregs": [classical_control],
    f"{QISKIT} TestBackendSamplerV2.test_run_level1": [analog_results],
    f"{LEARNING} TestTorchConnector.test_estimator_qnn_1 to _5": [equal_noise_of_an_estimator],
    f"{LEARNING} TestSamplerQNN.test_qnn_qc_circuit_construction": [equal_noise_of_a_sampler],
    f"{LEARNING} TestFidelityQuantumKernel.test_max_circuits_per_job": [last_bits_of_a_table],
}  # fmt: skip


@pytest.mark.parametrize(
    ("point", "check"),
    [(point, check) for point, checks in POINTS.items() for check in checks],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_point_differs_for_a_reason(point, check, aer_calls):
    assert check.__doc__
    check(aer_calls)
