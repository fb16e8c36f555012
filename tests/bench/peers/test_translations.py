"""Every peer finds the dense twin's values and gradient on a circuit with gates of every kind."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.quantum_info import SparsePauliOp

from hybridopt.bench.correctness import deviation_from_twin, reference
from hybridopt.bench.peers import (
    PEER_NAMES,
    PEERS,
    PennyLane,
    PyQTorch,
    SamplerNetwork,
    TensorCircuit,
)
from hybridopt.bench.peers.competitor import Hybridopt
from hybridopt.bench.problem import Problem, ladder, reuploading
from hybridopt.errors import UnsupportedError
from tests.bench.circuits import mixed

EXACT = [one for one in PEERS if one.exact] + [Hybridopt("parameter-shift"), Hybridopt("adjoint")]
SAMPLING = [one for one in PEERS if one.samples]


def label(one) -> str:
    return f"{one.key}-{one.rule}"


def need(one) -> None:
    if reason := one.unavailable():
        pytest.skip(reason)


def solve(one, problem):
    x, w = problem.angles(np.random.default_rng(0))
    w = np.abs(w)  # a square root of them may be taken
    with warnings.catch_warnings():
        # torch, of complex modules, which pyqtorch makes
        warnings.filterwarnings("ignore", "Complex modules are a new feature", UserWarning)
        values, gradient = one.prepare(problem).gradient(x, w)
    return deviation_from_twin(one, problem, reference(problem, x, w), values, gradient)


@pytest.mark.parametrize("one", EXACT, ids=label)
def test_gates_of_every_kind(one):
    need(one)
    if label(one) == "pyqtorch-adjoint":
        with pytest.raises(UnsupportedError, match="wrong for gates whose control comes after"):
            one.prepare(mixed())
        return
    found = solve(one, mixed())
    assert found.agrees, found


@pytest.mark.parametrize("one", [PyQTorch("adjoint"), TensorCircuit(), EXACT[0]], ids=label)
def test_reuploading(one):
    need(one)
    found = solve(one, reuploading(3, 12, 2))
    assert found.agrees, found


@pytest.mark.parametrize("one", SAMPLING, ids=label)
@pytest.mark.parametrize(
    "problem",
    [
        ladder(3, 6, 3),
        replace(
            ladder(3, 6, 2),
            observables=(
                SparsePauliOp(["XIY", "IZI", "III"], [0.5, 1.5, 0.2]),
                SparsePauliOp("XII"),
            ),
        ),
    ],
    ids=["parity", "sums"],
)
def test_shots(one, problem):
    need(one)
    found = solve(one, replace(problem, shots=1000))
    assert found.agrees, found
    assert found.size > 1e-3  # really drawn


def test_sampler_reads_the_parity_of_some_qubits():
    problem = replace(ladder(3, 6, 3), shots=1000, observables=(2 * SparsePauliOp("ZIX"),))
    prepared = SamplerNetwork().prepare(problem)
    assert prepared.note == "outcomes read as a parity"
    assert solve(SamplerNetwork(), problem).agrees


def test_sampler_refuses_observables_in_several_bases():
    problem = replace(ladder(3, 6), shots=10, observables=(SparsePauliOp(["XII", "ZII"]),))
    with pytest.raises(UnsupportedError, match=r"measures in one basis, .* several on qubit 2"):
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
            "qiskit-sampler", "tensorcircuit", "pyqtorch"} == set(PEER_NAMES)  # fmt: skip
    lightning = [one.rule for one in PEERS if one.key == "pennylane-lightning"]
    assert lightning == ["adjoint", "parameter-shift"]


def test_what_is_missing_and_how_to_get_it():
    one = PennyLane("default.qubit", "backprop")
    one.modules = ("no_such_module", "numpy")
    reason = one.unavailable()
    assert reason.startswith("no_such_module is not installed.")
    assert 'pip install "hybridopt-qiskit[peers]"' in reason
    one.modules = ("numpy",)
    assert not one.unavailable()


@pytest.mark.parametrize(("module", "one"), [("tensorcircuit", TensorCircuit()),
                                             ("pyqtorch", PyQTorch("autodiff"))])  # fmt: skip
def test_optional_peers_say_whether_they_are_there(module, one, monkeypatch):
    monkeypatch.setattr(
        "hybridopt.bench.peers.competitor.find_spec", lambda name: None if name == module else name
    )
    assert f"{module} is not installed" in one.unavailable()
    assert "peers-all" in one.unavailable()
