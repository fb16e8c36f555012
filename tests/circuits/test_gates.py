"""Gate families against the matrices of Qiskit, and shift rules against finite differences."""

from __future__ import annotations

import math

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import Gate
from qiskit.circuit import library as lib
from qiskit.quantum_info import DensityMatrix, Kraus, Operator, SparsePauliOp
from qiskit_aer import AerSimulator

from hybridopt.circuits.gates import (
    _RULES,
    _STANDARD,
    AerDiagonal,
    ControlledRotation,
    Family,
    angle_rules,
    family_of,
)

ANGLE = 0.83
TWO_TERM = {
    "mcp": lambda angle: lib.MCPhaseGate(angle, 3),
    **{name: _STANDARD[name] for name in ("rx", "ry", "rz", "p", "u1", "cp")},
    **{name: _STANDARD[name] for name in ("rxx", "ryy", "rzz", "rzx")},
}
MAKE = TWO_TERM | {
    "crx": lib.CRXGate,
    "cry": lib.CRYGate,
    "crz": lib.CRZGate,
    "ccrx": lambda angle: lib.RXGate(angle).control(2, annotated=False),
    "cccry": lambda angle: lib.RYGate(angle).control(3, annotated=False),
    "xx_plus_yy": lib.XXPlusYYGate,
    "xx_minus_yy": lib.XXMinusYYGate,
}


def family(name: str) -> Family:
    found = family_of(MAKE[name](ANGLE))
    assert found is not None
    return found


def matrix(num_qubits: int, gates) -> np.ndarray:
    circuit = QuantumCircuit(num_qubits)
    for gate, qubits in gates:
        circuit.append(gate, qubits)
    return Operator(circuit).data


@pytest.mark.parametrize("name", MAKE)
def test_rotation_is_a_diagonal_between_changes_of_frame(name):
    one, expected = family(name), Operator(MAKE[name](ANGLE)).data
    phases = np.diag(np.exp(-1j * ANGLE * one.eigenvalues))
    whole, into, out, in_frame = (
        matrix(len(one.frames), gates)
        for gates in (one.gates(ANGLE), one.into_frame, one.out_of_frame, [one.phases(ANGLE)])
    )
    np.testing.assert_allclose(whole, expected, rtol=0, atol=1e-12)
    np.testing.assert_allclose(out @ phases @ into, expected, rtol=0, atol=1e-12)
    np.testing.assert_allclose(in_frame, phases, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", MAKE)
def test_shift_rule_matches_a_finite_difference(name):
    one, generator = family(name), np.random.default_rng(3)
    size = 1 << len(one.frames)
    state = generator.normal(size=size) + 1j * generator.normal(size=size)
    state /= np.linalg.norm(state)
    observable = generator.normal(size=(size, size)) + 1j * generator.normal(size=(size, size))
    observable += observable.conj().T

    def value(angle: float) -> float:
        moved = Operator(MAKE[name](angle)).data @ state
        return float(np.real(moved.conj() @ observable @ moved))

    by_shifts = sum(factor * value(ANGLE + shift) for factor, shift in one.shifts)
    step = 1e-5
    by_difference = (value(ANGLE + step) - value(ANGLE - step)) / (2 * step)
    assert by_shifts == pytest.approx(by_difference, abs=1e-7)
    assert len(one.shifts) == (2 if name in TWO_TERM else 4)


def test_four_term_rule_has_the_published_coefficients():
    (plus, first), _, (minus, third), _ = family("crx").shifts
    assert (first, third) == (math.pi / 2, 3 * math.pi / 2)
    assert plus == pytest.approx((math.sqrt(2) + 1) / (4 * math.sqrt(2)))
    assert minus == pytest.approx(-(math.sqrt(2) - 1) / (4 * math.sqrt(2)))


def test_families_of_hardware_gates():
    for name in ("cp", "mcp", "crx", "ccrx", "xx_plus_yy", "xx_minus_yy"):
        assert family_of(MAKE[name](ANGLE), whole=False) is None
    for name in ("rx", "rzz", "p"):
        assert family_of(MAKE[name](ANGLE), whole=False) is family(name)
    assert family_of(lib.UGate(0.1, 0.2, 0.3)) is None


@pytest.mark.parametrize(("base", "controls"), [("p", 1), ("rx", 2), ("ry", 1), ("rz", 3)])
def test_controlled_rotation_and_its_inverse(base, controls):
    gate = ControlledRotation(base, controls, ANGLE)
    expected = Operator(_STANDARD[base](ANGLE).control(controls, annotated=False)).data
    np.testing.assert_allclose(Operator(gate).data, expected, rtol=0, atol=1e-12)
    both = Operator(gate.inverse()).data @ expected
    np.testing.assert_allclose(both, np.eye(len(expected)), rtol=0, atol=1e-12)


STEP = 1e-4  # of central differences: their error is about STEP^2
OBSERVABLE = SparsePauliOp(["XIZ", "IYX", "ZZI"], [1.0, -0.7, 0.4])
DAMPING = Kraus([np.diag([1, np.sqrt(0.7)]), np.array([[0, np.sqrt(0.3)], [0, 0]])])
PLACES = [(name, place) for name, rules in _RULES.items() for place in range(len(rules))]


def value(kind: type[Gate], angles: list[float]) -> float:
    """Expectation value of a gate on three qubits with damping before and after it."""
    state = DensityMatrix.from_label("000")
    before, behind = QuantumCircuit(3), QuantumCircuit(3)
    for qubit in range(3):
        before.u(0.4 + qubit, 0.9 - qubit, 0.3 * qubit, qubit)
        behind.u(1.1 - 0.4 * qubit, 0.2 + qubit, 0.5, qubit)
    before.cx(0, 2)
    behind.cx(1, 0)
    gate = kind(*angles)
    state = state.evolve(before).evolve(DAMPING, [0]).evolve(gate, list(range(gate.num_qubits)))
    return state.evolve(DAMPING, [1]).evolve(behind).expectation_value(OBSERVABLE).real


@pytest.mark.parametrize(("name", "place"), PLACES)
def test_rule_and_frequencies_of_each_angle_with_noise(name, place):
    kind, rules = _STANDARD[name], _RULES[name]
    angles = [0.7, -1.2, 0.4, 1.9][: len(rules)]

    def at(shift: float) -> float:
        return value(kind, [a + shift * (k == place) for k, a in enumerate(angles)])

    slope = sum(coefficient * at(shift) for coefficient, shift in rules[place].shifts)
    assert slope == pytest.approx((at(STEP) - at(-STEP)) / (2 * STEP), abs=1e-7)
    count = 16  # one period of 4 pi holds frequencies up to 2 in steps of 1/2 twice over
    waves = np.fft.fft([at(4 * np.pi * k / count) for k in range(count)]) / count
    present = {k if k < count // 2 else k - count for k in np.flatnonzero(abs(waves) > 1e-10)}
    assert present <= rules[place].frequencies


def test_other_gates_with_a_known_name_have_no_rule():
    assert angle_rules(lib.CRXGate(ANGLE)) is not None
    for gate in (lib.CRXGate(ANGLE, ctrl_state=0), Gate("rx", 1, [ANGLE]), lib.XXPlusYYGate(ANGLE)):
        assert angle_rules(gate) is None


def test_aer_runs_diagonals_and_replaced_phases():
    def state(diagonal) -> np.ndarray:
        circuit = QuantumCircuit(4)
        circuit.h(range(4))
        circuit.append(diagonal, [2, 0, 3])
        circuit.save_statevector()
        simulator = AerSimulator(method="statevector")
        return np.asarray(simulator.run(circuit).result().get_statevector(circuit))

    first, second = np.exp(1j * np.random.default_rng(0).uniform(-3, 3, (2, 8))).tolist()
    diagonal = AerDiagonal(list(first))
    expected = state(lib.DiagonalGate(first))
    np.testing.assert_allclose(state(diagonal), expected, rtol=0, atol=1e-12)
    diagonal.set_first_phases(second[:5])
    expected = state(lib.DiagonalGate([*second[:5], *first[5:]]))
    np.testing.assert_allclose(state(diagonal), expected, rtol=0, atol=1e-12)
