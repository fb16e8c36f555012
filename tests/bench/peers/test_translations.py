"""Tests of every peer against the dense twin, on a circuit with gates of every kind."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.quantum_info import SparsePauliOp

from hybridopt.bench.correctness import deviation_from_twin
from hybridopt.bench.dense_twin import reference
from hybridopt.bench.peers import (
    PEER_NAMES,
    PEERS,
    AerEstimatorV2,
    EstimatorNetwork,
    PennyLane,
    PyQTorch,
    SamplerNetwork,
    TensorCircuit,
)
from hybridopt.bench.peers.competitor import Hybridopt
from hybridopt.bench.problem import Problem, ladder, reuploading
from hybridopt.errors import UnsupportedError
from tests.bench.circuits import mixed

OURS = Hybridopt("parameter-shift"), Hybridopt("adjoint")
EXACT = [one for one in (*PEERS, *OURS) if one.supports(ladder(2, 2))]
SAMPLING = [one for one in PEERS if one.samples]
NOISY = [one for one in (*PEERS, *OURS) if one.supports(ladder(2, 2).resized(noise=0.1))]


def label(one) -> str:
    return f"{one.name}-{one.rule}"


def need(one) -> None:
    if reason := one.unavailable():
        pytest.skip(reason)


def solve(one, problem):
    x, w = problem.angles(np.random.default_rng(0))
    w = np.abs(w)  # as an argument of a square root
    with warnings.catch_warnings():
        # pyqtorch creates complex modules
        warnings.filterwarnings("ignore", "Complex modules are a new feature", UserWarning)
        try:
            values, gradient = one.prepare(problem).gradient(x, w)
        finally:
            one.close()
    return deviation_from_twin(one, problem, reference(problem, x, w), values, gradient)


@pytest.mark.parametrize("one", EXACT, ids=label)
@pytest.mark.slow
def test_gates_of_every_kind(one):
    need(one)
    problem = mixed()
    if label(one) == "pyqtorch-adjoint":
        with pytest.raises(UnsupportedError, match="adjoint rule of pyqtorch"):
            one.prepare(problem)
        problem = reuploading(3, 12, 2)
    found = solve(one, problem)
    assert found.agrees, found


@pytest.mark.parametrize("one", SAMPLING, ids=label)
@pytest.mark.parametrize(
    "observables",
    [
        (SparsePauliOp("ZZZ"),),
        (SparsePauliOp(["XIY", "IZI", "III"], [0.5, 1.5, 0.2]), SparsePauliOp("XII")),
    ],
    ids=["parity", "sums"],
)
def test_shots(one, observables):
    need(one)
    found = solve(one, replace(ladder(3, 6, 3), observables=observables, shots=1000))
    assert found.agrees, found
    assert found.size > 1e-3  # sampled, not exact


@pytest.mark.parametrize("one", NOISY, ids=label)
def test_noise(one):
    need(one)
    problem = replace(reuploading(3, 12, 2), noise=0.05)
    problem.circuit.rxx(problem.weights[3], 0, 2)
    found = solve(one, problem)
    assert found.agrees, found


def test_noise_of_a_gate_that_a_library_replaces():
    circuit = QuantumCircuit(3)
    w = ParameterVector("w", 2)
    circuit.crx(w[0], 2, 0)
    circuit.sxdg(1)
    circuit.cry(w[1], 0, 1)
    problem = Problem("own", circuit, (), tuple(w), (SparsePauliOp("IZZ"),), 1, noise=0.05)
    assert solve(PennyLane("default.mixed", "backprop"), problem).agrees
    for one in (EstimatorNetwork(aer=True), AerEstimatorV2()):
        with pytest.raises(UnsupportedError, match=r"Gates with noise .*crx, cry"):
            one.prepare(problem)


def test_sampler_computes_a_parity_of_some_qubits():
    problem = replace(ladder(3, 6, 3), shots=1000, observables=(2 * SparsePauliOp("ZIX"),))
    prepared = SamplerNetwork().prepare(problem)
    assert prepared.note == "outcomes read as a parity"
    assert solve(SamplerNetwork(), problem).agrees


def test_sampler_refuses_observables_in_several_bases():
    problem = replace(ladder(3, 6), shots=10, observables=(SparsePauliOp(["XII", "ZII"]),))
    with pytest.raises(UnsupportedError, match="several on qubit 2"):
        SamplerNetwork().prepare(problem)


def test_a_circuit_without_inputs():
    w = ParameterVector("w", 3)
    circuit = QuantumCircuit(3)
    for qubit in range(3):
        circuit.rx(w[qubit], qubit)
    circuit.cx(0, 1)
    circuit.cx(1, 2)
    problem = Problem("free", circuit, (), tuple(w), (SparsePauliOp("ZZI"),), 2)
    for one in EXACT:
        if not one.unavailable() and one.key != "qiskit-estimator-aer":
            assert solve(one, problem).agrees, label(one)


def test_names():
    assert {"pennylane-default", "pennylane-lightning", "qiskit-estimator", "qiskit-estimator-aer",
            "qiskit-sampler", "tensorcircuit", "pyqtorch", "qulacs", "aer-estimator",
            "mindquantum"} == set(PEER_NAMES)  # fmt: skip
    lightning = [one.rule for one in PEERS if one.key == "pennylane-lightning"]
    assert lightning == ["adjoint", "parameter-shift"]


@pytest.mark.parametrize(
    ("module", "extra", "one"),
    [
        ("pennylane", "peers", PennyLane("default.qubit", "backprop")),
        ("tensorcircuit", "peers-all", TensorCircuit()),
        ("pyqtorch", "peers-all", PyQTorch("autodiff")),
    ],
)
def test_missing_packages_are_listed_with_their_installation(module, extra, one, monkeypatch):
    find = "hybridopt.bench.peers.competitor.find_spec"
    monkeypatch.setattr(find, lambda name: None if name == module else name)
    assert one.unavailable().startswith(f"{module} is not installed.")
    assert f'pip install "hybridopt-qiskit[{extra}]"' in one.unavailable()
    monkeypatch.setattr(find, lambda name: name)
    assert not one.unavailable()
