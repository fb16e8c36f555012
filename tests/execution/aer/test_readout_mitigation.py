"""Corrected readout errors compared with the same noise without readout errors."""

from __future__ import annotations

import math
import pickle
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.providers.fake_provider import GenericBackendV2
from qiskit.quantum_info import SparsePauliOp
from qiskit.transpiler import InstructionProperties
from qiskit_aer.noise import NoiseModel, ReadoutError, depolarizing_error

from hybridopt import AerExecutor, CircuitLayer
from hybridopt.circuits import lower
from hybridopt.errors import ArgumentError, ArgumentTypeError, UnknownNameError, UnsupportedError
from hybridopt.execution import Expectations, Job, Probabilities
from hybridopt.execution.readout.mitigation import ReadoutMitigation

X, W = ParameterVector("x", 2), ParameterVector("w", 3)
INPUTS = torch.tensor([[0.3, 0.9], [-0.7, 0.4]], dtype=torch.float64)
WEIGHTS = torch.tensor([0.8, -0.5, 1.1], dtype=torch.float64)
LABELS = ["XIZ", "IXY", "YYX", "IIZ", "ZZI"]  # several groups
ERRORS = {0: (0.1, 0.25), 1: (0.05, 0.02), 2: (0.0, 0.15)}
MATRICES = [np.array([[1 - a, a], [b, 1 - b]]) for a, b in ERRORS.values()]


def circuit() -> QuantumCircuit:
    result = QuantumCircuit(3)
    for qubit in range(3):
        result.ry(W[qubit], qubit)
    result.cx(0, 1)
    result.rx(X[0], 1)
    result.cx(1, 2)
    result.rx(X[1], 2)
    return result


def model(readout: bool = True) -> NoiseModel:
    result = NoiseModel(basis_gates=["rx", "ry", "rz", "cx", "h", "sdg"])
    result.add_all_qubit_quantum_error(depolarizing_error(0.03, 1), ["rx", "ry", "h"])
    result.add_all_qubit_quantum_error(depolarizing_error(0.05, 2), "cx")
    if readout:
        result.add_all_qubit_readout_error(ReadoutError(MATRICES[0]))
        for qubit in (1, 2):
            result.add_readout_error(ReadoutError(MATRICES[qubit]), [qubit])
    return result


def device(readout: bool = True) -> GenericBackendV2:
    """Return a device on which qubit 4 has no readout error."""
    result = GenericBackendV2(5, seed=1)
    for qubit in range(5):
        error = 0.03 * qubit + 0.01 if readout and qubit != 4 else 0.0
        properties = InstructionProperties(duration=1e-6, error=error)
        result.target.update_instruction_properties("measure", (qubit,), properties)
    return result


SOURCES = {
    "model": (model, {}),
    "device": (device, {}),
    "layout": (device, {"layout": [3, 4, 1]}),
}


def outputs(executor: AerExecutor, job: Job) -> np.ndarray:
    return executor.run(job).values


def layer_with(executor: AerExecutor, observables=LABELS, **rule) -> CircuitLayer:
    return CircuitLayer(circuit(), X, W, observables, executor, initial=WEIGHTS, **rule)


def values_and_slopes(executor: AerExecutor, observables, **rule) -> list[torch.Tensor]:
    layer, inputs = layer_with(executor, observables, **rule), INPUTS.clone().requires_grad_()
    values = layer(inputs)
    weights = torch.linspace(1, 2, values.numel(), dtype=values.dtype).reshape(values.shape)
    (values * weights).sum().backward()
    return [values.detach(), layer.weight.grad, inputs.grad]


@pytest.mark.parametrize("observables", [LABELS, None], ids=["expectations", "probabilities"])
@pytest.mark.parametrize("source", SOURCES)
def test_exact_values_and_gradients_equal_those_without_readout_errors(source, observables):
    noise, options = SOURCES[source]
    mitigated = AerExecutor(noise_model=noise(), readout_mitigation="inverse", **options)
    ideal = AerExecutor(noise_model=noise(readout=False), **options)
    raw = AerExecutor(noise_model=noise(), **options)
    expected = values_and_slopes(ideal, observables)
    for rule in ("parameter-shift", "adjoint"):
        found = values_and_slopes(mitigated, observables, gradient=rule)
        for one, wanted in zip(found, expected, strict=True):
            torch.testing.assert_close(one, wanted, rtol=0, atol=1e-12)
    assert (values_and_slopes(raw, observables)[0] - expected[0]).abs().max() > 0.01


def test_given_matrices_correct_like_those_of_the_noise():
    kron = np.kron(MATRICES[2], np.kron(MATRICES[1], MATRICES[0]))  # qubit 0 is least significant
    expected = values_and_slopes(AerExecutor(noise_model=model(readout=False)), LABELS)
    pairs = {(2, 0): np.kron(MATRICES[0], MATRICES[2]), 1: MATRICES[1]}
    for confusion, rule in product((MATRICES, kron, pairs), ("parameter-shift", "adjoint")):
        executor = AerExecutor(
            noise_model=model(), readout_mitigation="inverse", confusion=confusion
        )
        found = values_and_slopes(executor, LABELS, gradient=rule)
        for one, wanted in zip(found, expected, strict=True):
            torch.testing.assert_close(one, wanted, rtol=0, atol=1e-12)


def test_a_raw_program_is_corrected_on_its_device_qubits():
    program = lower(circuit(), X, W)
    rows, shared = np.array([[0.3, 0.9]]), np.array([[0.8, -0.5, 1.1]])
    job = Job(program, Probabilities((2, 0)), rows, shared)
    found = AerExecutor(noise_model=device(), readout_mitigation="inverse", layout=[4, 2, 3])
    ideal = AerExecutor(noise_model=device(readout=False), layout=[4, 2, 3])
    np.testing.assert_allclose(outputs(found, job), outputs(ideal, job), rtol=0, atol=1e-12)


@pytest.mark.parametrize("method", ["density_matrix", "statevector"])
@pytest.mark.parametrize("readout", ["expectations", "probabilities"])
def test_shots_are_unbiased_with_the_reported_variance(method, readout):
    shots, repeats = 100, 25
    program = lower(circuit(), X, W, whole=False)
    wanted = Probabilities((0, 2))
    if readout == "expectations":
        wanted = Expectations((SparsePauliOp(["ZIZ", "IZI", "XXI"], [1.0, 0.5, 2.0]),))
    shared = np.tile([[0.8, -0.5, 1.1]], (repeats, 1))
    job = Job(program, wanted, np.array([[0.3, 0.9]]), shared)
    executor = AerExecutor(
        noise_model=model(), readout_mitigation="inverse", method=method, shots=shots, seed=3
    )
    result = executor.run(job)
    exact = AerExecutor(noise_model=model(readout=False)).run(replace(job, shared=shared[:1]))
    values, variances = result.values[:, 0], result.variances[:, 0]
    expected = variances.mean(axis=0)
    z = (values.mean(axis=0) - exact.values[0, 0]) / np.sqrt(expected / repeats)
    assert np.abs(z).max() < 5
    # a variance of 25 normal values has the relative standard error sqrt(2 / 24)
    np.testing.assert_allclose(values.var(axis=0, ddof=1), expected, rtol=5 * math.sqrt(2 / 24))


def test_correction_increases_variances_within_the_explained_bound():
    raw = AerExecutor(noise_model=model(), shots=1000, seed=1)
    mitigated = AerExecutor(noise_model=model(), shots=1000, seed=1, readout_mitigation="inverse")
    layer = layer_with(mitigated, ["IIZ"])
    explained = layer.explain(2)
    bound = 1 / (1 - 0.1 - 0.25) ** 2 * (1 + 0.25 - 0.1) ** 2
    assert f"at most {bound:.3g}" in explained
    assert "estimate" in explained
    assert "corrected" not in layer_with(raw).explain(2)
    job = Job(
        lower(circuit(), X, W, whole=False),
        Expectations((SparsePauliOp("IIZ"),)),
        np.array([[0.3, 0.9]]),
        np.array([[0.8, -0.5, 1.1]]),
    )
    before, after = raw.run(job), mitigated.run(job)
    assert before.variances[0, 0, 0] < after.variances[0, 0, 0] < bound / 1000
    assert before.cost == after.cost


@pytest.mark.parametrize(
    "readout", [Probabilities((0, 2)), Expectations((SparsePauliOp(["ZIZ", "XXI"]),))]
)
def test_fingerprints_differ_with_the_correction(readout):
    program, used = lower(circuit(), X, W, whole=False), ((0, 1, 2), (0, 1, 2))
    first, second, again = (
        readout.mitigated(program, ReadoutMitigation.from_confusion(matrices), used).fingerprint
        for matrices in (MATRICES, [MATRICES[1]] * 3, MATRICES)
    )
    assert first == again
    assert len({readout.fingerprint, first, second}) == 3


def test_copies_and_pickles_correct_alike():
    executor = AerExecutor(
        noise_model=model(), readout_mitigation="inverse", confusion=MATRICES, shots=100, seed=4
    )
    again = pickle.loads(pickle.dumps(executor))
    assert "readout_mitigation='inverse'" in repr(executor)
    assert repr(again) == repr(executor)
    assert torch.equal(layer_with(executor)(INPUTS), layer_with(again)(INPUTS))


@pytest.mark.parametrize(
    ("options", "error", "name"),
    [
        ({"readout_mitigation": "inverse"}, UnsupportedError, "noise_model"),
        (
            {"readout_mitigation": "inverse", "noise_model": model(readout=False)},
            UnsupportedError,
            "readout_mitigation",
        ),
        (
            {"readout_mitigation": "inverse", "noise_model": device(readout=False)},
            UnsupportedError,
            "readout_mitigation",
        ),
        ({"readout_mitigation": "invert", "noise_model": model()}, UnknownNameError, "inverse"),
        pytest.param(
            {"readout_mitigation": True, "noise_model": model()},
            ArgumentTypeError,
            "inverse",
            marks=pytest.mark.wrong_types,
        ),
        ({"confusion": MATRICES, "noise_model": model()}, ArgumentError, "readout_mitigation"),
        (
            {"confusion": MATRICES, "noise_model": device(), "readout_mitigation": "inverse"},
            ArgumentError,
            "`confusion` must have 5 matrices",
        ),
    ],
)
def test_options_without_effect_are_refused(options, error, name):
    with pytest.raises(error, match=name):
        AerExecutor(**options)


@pytest.mark.parametrize(
    ("confusion", "readout", "name"),
    [
        (None, Probabilities((0,), ((1, 0),)), "`given`"),
        (MATRICES[:2], Probabilities(), "`confusion`.*qubit 2"),
        (MATRICES[:2], Expectations((SparsePauliOp("ZII"),)), "`confusion`.*qubit 2"),
    ],
)
def test_readouts_that_cannot_be_corrected_are_refused_by_check(confusion, readout, name):
    executor = AerExecutor(noise_model=model(), readout_mitigation="inverse", confusion=confusion)
    program = lower(circuit(), X, W, whole=False)
    with pytest.raises(UnsupportedError, match=name):
        executor.check(program, readout)


def test_a_qubit_without_a_matrix_may_stay_unread():
    executor = AerExecutor(
        noise_model=model(), readout_mitigation="inverse", confusion=MATRICES[:2]
    )
    executor.check(lower(circuit(), X, W, whole=False), Expectations((SparsePauliOp("IZZ"),)))
