"""The adjoint rule in place, compared with circuits of Aer and with the parameter-shift rule."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.circuit.library import MCXGate
from qiskit.quantum_info import SparsePauliOp

from hybridopt.circuits import lower
from hybridopt.circuits.amplitudes import AmplitudeEncoding
from hybridopt.execution import AerExecutor, Expectations, Probabilities
from hybridopt.execution.aer import strategy_selection
from hybridopt.execution.aer.in_place.adjoint import InPlaceAdjoint
from tests.circuits.families import FAMILIES

BOTH = (True, True)


@pytest.fixture
def in_place_calls(monkeypatch):
    """Return a list of the methods that were called in place."""
    calls = []
    for name in ("values", "vjp"):
        method = getattr(InPlaceAdjoint, name)

        def spy(self, *args, method=method, name=name):
            calls.append(name)
            return method(self, *args)

        monkeypatch.setattr(InPlaceAdjoint, name, spy)
    return calls


def results(executor, program, readout, tables, needs=BOTH, *, forward_first=True):
    """Return values and derivatives for a random cotangent."""
    rows, shared = tables
    shape = len(shared), len(rows), readout.num_outputs(program)
    cotangent = np.random.default_rng(9).normal(size=shape)
    record = executor.adjoint(program, readout, needs)
    values = record.values(rows, shared) if forward_first else np.zeros(shape)
    return values, *record.vjp(rows, shared, cotangent)


def tables_for(program, num_rows=3, num_shared=2):
    generator = np.random.default_rng(5)
    rows = generator.uniform(-3, 3, (num_rows, program.num_row_angles))
    return rows, generator.uniform(-3, 3, (num_shared, program.num_shared_angles))


def check_equal(program, readout, in_place_calls, **options):
    tables = tables_for(program, *options.pop("sizes", (3, 2)))
    found = results(AerExecutor(strategy="in-place"), program, readout, tables, **options)
    assert in_place_calls
    in_place_calls.clear()
    expected = results(AerExecutor(strategy="stacked"), program, readout, tables, **options)
    assert not in_place_calls
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-12)


def with_amplitudes():
    """Return a program with amplitudes on some qubits, and angles of samples behind gates."""
    x, w = ParameterVector("x", 6), ParameterVector("w", 3)
    circuit = QuantumCircuit(3)
    circuit.append(AmplitudeEncoding(x[:4]), [2, 0])
    circuit.rx(w[0], 1)
    circuit.cx(0, 1)
    circuit.ry(x[4], 2)
    circuit.rzz(w[1], 1, 2)
    circuit.ry(x[5], 0)
    circuit.rx(w[2], 0)
    return lower(circuit, list(x), list(w))


@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.name)
def test_every_family_matches_circuits_of_aer(family, in_place_calls):
    program = lower(family.circuit, family.inputs, family.weights)
    check_equal(program, Expectations(family.observables), in_place_calls)


@pytest.mark.parametrize("sizes", [(1, 1), (5, 1), (1, 3), (4, 2)])
@pytest.mark.parametrize("needs", [(True, True), (True, False), (False, True)])
@pytest.mark.parametrize("forward_first", [True, False])
def test_amplitudes(sizes, needs, forward_first, in_place_calls):
    program = with_amplitudes()
    readout = Expectations((SparsePauliOp(["ZXY", "IIZ"], [0.7, -1.2]), SparsePauliOp("YYX")))
    options = {"sizes": sizes, "needs": needs, "forward_first": forward_first}
    check_equal(program, readout, in_place_calls, **options)


@pytest.mark.parametrize("readout", [Probabilities(), Probabilities(qubits=(2, 0))], ids=str)
def test_probabilities(readout, in_place_calls):
    check_equal(with_amplitudes(), readout, in_place_calls)


def test_thousands_of_terms_and_tables_by_qubit(in_place_calls, monkeypatch):
    monkeypatch.setattr("hybridopt.execution.aer.in_place.adjoint.LARGEST_TABLE", 0)
    family = next(f for f in FAMILIES if f.name == "two_qubit_rotations")
    program = lower(family.circuit, family.inputs, family.weights)
    generator = np.random.default_rng(2)
    labels = ["".join(generator.choice(list("IXYZ"), 3)) for _ in range(1200)]
    readout = Expectations((SparsePauliOp(labels, generator.normal(size=1200)),))
    check_equal(program, readout, in_place_calls)


def test_costs_are_those_of_circuits(in_place_calls):
    family = next(f for f in FAMILIES if f.name == "exchanges")
    program, readout = lower(family.circuit, family.inputs, family.weights), family.observables
    one, other = AerExecutor(strategy="in-place"), AerExecutor(strategy="stacked")
    for executor in (one, other):
        results(executor, program, Expectations(readout), tables_for(program))
    assert one.usage == other.usage
    assert one.usage.runs == 4  # forward and back, for each row of shared angles


def test_angles_that_changed_are_run_again(in_place_calls, aer_calls):
    program, readout = with_amplitudes(), Expectations((SparsePauliOp("ZXY"),))
    rows, shared = tables_for(program)
    record = AerExecutor(strategy="in-place").adjoint(program, readout, BOTH)
    record.values(rows, shared)
    rows += 0.3  # in place
    found = record.vjp(rows, shared, np.ones((2, 3, 1)))
    assert sum(aer_calls) == 2 + 4
    expected = (
        AerExecutor(strategy="in-place")
        .adjoint(program, readout, BOTH)
        .vjp(rows, shared, np.ones((2, 3, 1)))
    )
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def wide_gate():
    x, w = ParameterVector("x", 1), ParameterVector("w", 1)
    circuit = QuantumCircuit(6)
    circuit.h(range(5))
    circuit.ry(x[0], 3)
    circuit.append(MCXGate(5), range(6))
    circuit.rx(w[0], 5)
    return lower(circuit, list(x), list(w))


@pytest.mark.parametrize(
    ("options", "program"),
    [
        ({}, wide_gate()),
        ({"max_memory": 64_000}, with_amplitudes()),
        ({"precision": "single"}, with_amplitudes()),
        ({"strategy": "table"}, with_amplitudes()),
    ],
    ids=["wide gate", "memory", "single precision", "table"],
)
def test_other_options_and_gates_use_circuits(options, program, in_place_calls):
    readout = Expectations((SparsePauliOp("Z" * program.num_qubits),))
    tables = tables_for(program, 20)
    found = results(AerExecutor(**{"strategy": "in-place"} | options), program, readout, tables)
    assert not in_place_calls
    expected = results(AerExecutor(strategy="stacked"), program, readout, tables)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(
            one, other, rtol=0, atol=2e-5 if "precision" in options else 1e-12
        )


def test_the_fallback_is_chosen_by_the_check(in_place_calls, monkeypatch):
    program, readout = with_amplitudes(), Expectations((SparsePauliOp("ZXY"),))
    expected = results(AerExecutor(strategy="in-place"), program, readout, tables_for(program))
    in_place_calls.clear()
    monkeypatch.setattr(strategy_selection, "is_available", lambda: False)
    found = results(AerExecutor(strategy="in-place"), program, readout, tables_for(program))
    assert not in_place_calls
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-12)


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda e: pickle.loads(pickle.dumps(e))])
def test_executors_are_copied_after_a_run(duplicate):
    program, readout = with_amplitudes(), Expectations((SparsePauliOp("ZXY"),))
    executor = AerExecutor(strategy="in-place")
    expected = results(executor, program, readout, tables_for(program))
    found = results(duplicate(executor), program, readout, tables_for(program))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)
