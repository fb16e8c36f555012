"""Fingerprints: equal in every process, different for every change of a circuit."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from qiskit.circuit import library as lib
from qiskit.circuit.classical import expr
from qiskit.quantum_info import SparsePauliOp, random_unitary

from hybridopt.circuits import lower
from hybridopt.circuits.errors import CircuitError
from hybridopt.circuits.fingerprint import digest
from hybridopt.circuits.lowering import lower_gates
from hybridopt.circuits.program import fingerprint_of
from hybridopt.circuits.steps import FreeAngle, NativeGate
from hybridopt.execution import Expectations, Probabilities
from tests.circuits.programs import (
    NATIVE,
    Inheriting,
    TwoCircuits,
    amplitude_program,
    native_program,
    programs,
)

UNITARY = random_unitary(4, seed=2).data


def fingerprints() -> dict[str, str]:
    for _ in range(3):  # move the counters of names
        QuantumCircuit(1).to_gate()
    return {name: fingerprint_of(program) for name, program in programs().items()}


def test_programs_have_different_fingerprints():
    found = fingerprints()
    assert len(set(found.values())) == len(found)
    assert all(int(one, 16) >= 0 and len(one) == 64 for one in found.values())


@pytest.mark.slow
def test_fingerprints_are_equal_in_another_process():
    code = "import json, tests.circuits.test_fingerprint as t; print(json.dumps(t.fingerprints()))"
    env = {**os.environ, "PYTHONHASHSEED": "7"}
    answer = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True
    )
    assert json.loads(answer.stdout) == fingerprints()


def test_fingerprints_are_equal_after_pickling():
    for name, program in programs().items():
        assert fingerprint_of(pickle.loads(pickle.dumps(program))) == fingerprint_of(program), name


def test_fingerprints_are_cached():
    program = native_program()
    assert program.fingerprint is program.fingerprint
    inherited = Inheriting()
    assert inherited.fingerprint is inherited.fingerprint


# each line is a call of a method of a circuit; F and W are free angles
Call = tuple[str, tuple[Any, ...]]
CALLS: tuple[Call, ...] = (
    ("h", (0,)),
    ("rx", ("F", 0)),
    ("ry", (0.3, 1)),
    ("cx", (0, 1)),
    ("crz", ("W", 1, 2)),
    ("rzz", (1, 0, 2)),
    ("unitary", (UNITARY, [0, 2])),
    ("cp", (0.7, 2, 1)),
    ("rz", ("W", 2)),
    ("delay", (100, 1)),
    ("append", (lib.DiagonalGate([1, -1, 1j, 1]), [1, 0])),
    ("append", (lib.SXGate(label="noisy"), [2])),
    ("append", (lib.PauliGate("XYZ"), [0, 1, 2])),
)


def fingerprint_of_calls(calls: tuple[Call, ...], num_qubits: int = 3, names: str = "xw") -> str:
    circuit = QuantumCircuit(num_qubits, name=names)
    free: dict[str, list[Parameter]] = {"F": [], "W": []}
    for method, arguments in calls:
        given = []
        for one in arguments:
            if isinstance(one, str) and one in free:
                number = len(free[one])
                free[one].append(Parameter(f"{names['FW'.index(one)]}{number}"))
                given.append(free[one][-1])
            else:
                given.append(one)
        getattr(circuit, method)(*given)
    return lower(circuit, free["F"], free["W"]).fingerprint


def replaced(place: int, method: str, *arguments: Any) -> tuple[Call, ...]:
    return (*CALLS[:place], (method, arguments), *CALLS[place + 1 :])


NEARBY = UNITARY.copy()
NEARBY[1, 2] = complex(np.nextafter(NEARBY[1, 2].real, 2), NEARBY[1, 2].imag)
CHANGES = {
    "gate": replaced(0, "x", 0),
    "qubit": replaced(0, "h", 1),
    "free gate": replaced(1, "ry", "F", 0),
    "qubit of a free angle": replaced(1, "rx", "F", 1),
    "table": replaced(1, "rx", "W", 0),
    "fixed, not free": replaced(1, "rx", 0.8, 0),
    "free, not fixed": replaced(2, "ry", "W", 1),
    "last bit of an angle": replaced(2, "ry", np.nextafter(0.3, 1), 1),
    "sign": replaced(2, "ry", -0.3, 1),
    "order of qubits": replaced(3, "cx", 1, 0),
    "order of qubits of a symmetric gate": replaced(5, "rzz", 1, 2, 0),
    "controlled free gate": replaced(4, "crx", "W", 1, 2),
    "last bit of a matrix": replaced(6, "unitary", NEARBY, [0, 2]),
    "transposed matrix": replaced(6, "unitary", UNITARY.T, [0, 2]),
    "controlled phase": replaced(7, "crz", 0.7, 2, 1),
    "duration": replaced(9, "delay", 101, 1),
    "unit": replaced(9, "delay", 100, 1, "ns"),
    "diagonal": replaced(10, "append", lib.DiagonalGate([1, -1, 1j, -1]), [1, 0]),
    "label": replaced(11, "append", lib.SXGate(label="other"), [2]),
    "no label": replaced(11, "append", lib.SXGate(), [2]),
    "letters": replaced(12, "append", lib.PauliGate("XZY"), [0, 1, 2]),
    "barrier": (*CALLS, ("barrier", ())),
    "one more": (*CALLS, ("h", (1,))),
    "one less": CALLS[:-1],
    "neighbours exchanged": (CALLS[1], CALLS[0], *CALLS[2:]),
    "free neighbours exchanged": (*CALLS[:7], CALLS[8], CALLS[7], *CALLS[9:]),
}


@pytest.mark.parametrize("change", CHANGES)
def test_each_change_changes_the_fingerprint(change):
    assert fingerprint_of_calls(CHANGES[change]) != fingerprint_of_calls(CALLS)


def test_names_do_not_change_the_fingerprint():
    assert fingerprint_of_calls(CALLS, names="ba") == fingerprint_of_calls(CALLS)
    assert fingerprint_of_calls(replaced(5, "rzz", 1.0, 0, 2)) == fingerprint_of_calls(CALLS)
    assert fingerprint_of_calls(CALLS, num_qubits=4) != fingerprint_of_calls(CALLS)


def test_a_random_circuit_differs_from_each_of_its_neighbours():
    generator = np.random.default_rng(3)
    names = ("rx", "ry", "rz", "p")
    for _ in range(5):
        calls = [
            (names[generator.integers(4)], (generator.choice(["F", "W"]), int(q)))
            if generator.random() < 0.4
            else (names[generator.integers(4)], (float(generator.normal()), int(q)))
            for q in generator.integers(0, 4, 8)
        ]
        changed = [tuple(calls)]
        for place, (name, (angle, qubit)) in enumerate(calls):
            others = [n for n in names if n != name]
            neighbours = (
                (generator.choice(others), (angle, qubit)),
                (name, (angle, (qubit + 1) % 4)),
                (name, ("F" if angle == "W" else "W", qubit)),
            )
            changed += [(*calls[:place], new, *calls[place + 1 :]) for new in neighbours]
        found = [fingerprint_of_calls(one, num_qubits=4) for one in changed]
        assert len(set(found)) == len({*changed})


def test_each_change_of_a_native_gate_changes_the_fingerprint():
    program = native_program()
    first = program.steps[0]
    assert isinstance(first, NativeGate)
    moved = tuple(
        FreeAngle(3 - one.position, one.angle, one.per_sample, one.rule)
        for one in first.free_angles
    )
    new_gates = (
        replace(first, gate=lib.UGate(np.nextafter(0.3, 1), *first.gate.params[1:])),
        replace(first, qubits=(0,)),
        replace(first, free_angles=moved),
        replace(first, gate=lib.UGate(*first.gate.params, label="slow")),
    )
    others = [replace(program, steps=(gate, *program.steps[1:])) for gate in new_gates]
    others += [
        replace(program, device_qubits=None),
        replace(program, device_qubits=(4, 3, 2)),
        replace(program, num_qubits=4),
        lower_gates(program.template[0], [], native=NATIVE, device_qubits=(4, 2, 3)),  # all shared
    ]
    found = {one.fingerprint for one in (program, *others)}
    assert len(found) == 1 + len(others)


def test_amplitudes_and_programs_of_the_user_differ_by_their_circuits():
    assert amplitude_program((0, 2)).fingerprint != amplitude_program().fingerprint
    assert fingerprint_of(TwoCircuits()) == Inheriting().fingerprint
    others = TwoCircuits("rx"), TwoCircuits(entangled=(2, 0))
    assert len({fingerprint_of(one) for one in (TwoCircuits(), *others)}) == 3


def test_definitions_count_where_names_do_not_tell_the_gate():
    def bound(angle: float, name: str = "mine") -> str:
        inner = QuantumCircuit(1, name=name)
        inner.rx(angle, 0)
        circuit = QuantumCircuit(2)
        circuit.append(inner.to_gate(), [1])
        circuit.append(lib.HGate().control(1, ctrl_state=0, annotated=False), [0, 1])
        circuit.append(lib.PauliEvolutionGate(SparsePauliOp(["XZ"]), angle), [0, 1])
        return digest("circuit", circuit)

    assert bound(0.2) == bound(0.2)
    assert len({bound(0.2), bound(0.3), bound(0.2, "other")}) == 3
    assert bound(0.2, "circuit-12") == bound(0.2, "circuit-13-5")


def test_conditions_count():
    def conditioned(bit: int, value: int, gate: str = "x") -> str:
        circuit = QuantumCircuit(2, 2)
        circuit.measure(0, bit)
        with circuit.if_test((circuit.clbits[bit], value)):
            getattr(circuit, gate)(1)
        return digest("circuit", circuit)

    found = {conditioned(0, 1), conditioned(1, 1), conditioned(0, 0), conditioned(0, 1, "z")}
    assert len(found) == 4
    assert conditioned(0, 1) in found


def test_numbers_are_compared_exactly():
    assert digest("a", 1) == digest("a", 1.0) == digest("a", np.float64(1))
    assert digest("a", 0.0) == digest("a", -0.0)
    different = (
        1,
        1j,
        True,
        "1",
        (1,),
        None,
        np.array([1.0]),
        2**60,
        2**60 + 1,
        np.eye(2),
        np.ones(4),
    )
    assert len({digest("a", one) for one in different}) == len(different)
    assert digest("a", "b", "c") != digest("a", "bc")
    assert digest("a", ("b",), "c") != digest("a", ("b", "c"))


def test_what_has_no_fingerprint_is_refused():
    circuit = QuantumCircuit(1)
    circuit.rx(Parameter("free"), 0)
    with pytest.raises(CircuitError, match="free"):
        digest("circuit", circuit)
    with pytest.raises(CircuitError, match="fingerprint"):
        digest("object", object())
    dynamic = QuantumCircuit(1, 1)
    with dynamic.if_test(expr.lift(dynamic.clbits[0])):
        dynamic.x(0)
    with pytest.raises(CircuitError, match="if_else"):
        digest("circuit", dynamic)


def test_readouts_have_fingerprints():
    coefficients = np.array([0.5, 0.25])
    changed = coefficients.copy()
    changed[1] = np.nextafter(0.25, 1)
    one = Expectations((SparsePauliOp(["ZZI", "IXY"], coefficients),))
    others = [
        Expectations((SparsePauliOp(["ZZI", "IXY"], changed),)),
        Expectations((SparsePauliOp(["ZZI", "IXZ"], coefficients),)),
        Expectations((SparsePauliOp(["ZZI"], [0.5]), SparsePauliOp(["IXY"], [0.25]))),
        *one.parts(1),
        Probabilities(),
        Probabilities((0, 1, 2)),
        Probabilities((0, 2, 1)),
        Probabilities((0, 1), given=((2, 1),)),
        Probabilities((0, 1), given=((2, 0),)),
    ]
    assert len({readout.fingerprint for readout in (one, *others)}) == 1 + len(others)
    again = pickle.loads(pickle.dumps(one))
    assert again.fingerprint == one.fingerprint
    assert Expectations(one.observables).fingerprint == one.fingerprint
