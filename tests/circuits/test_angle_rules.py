"""Shift rules of gates that stay whole, against differences of dense matrices."""

from __future__ import annotations

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import Gate
from qiskit.circuit import library as lib
from qiskit.quantum_info import DensityMatrix, Kraus, SparsePauliOp

from hybridopt.circuits.gates import _RULES, _STANDARD, angle_rules

STEP = 1e-4  # of central differences: their error is about STEP^2
OBSERVABLE = SparsePauliOp(["XIZ", "IYX", "ZZI"], [1.0, -0.7, 0.4])
DAMPING = Kraus([np.diag([1, np.sqrt(0.7)]), np.array([[0, np.sqrt(0.3)], [0, 0]])])
PLACES = [(name, place) for name, rules in _RULES.items() for place in range(len(rules))]


def value(kind: type[Gate], angles: list[float]) -> float:
    """The gate in a circuit of three qubits, with damping before and behind it."""
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
def test_each_angle_has_its_rule_and_its_frequencies(name, place):
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


def test_namesakes_and_open_controls_have_no_rule():
    angle = 0.3
    assert angle_rules(lib.CRXGate(angle)) is not None
    assert angle_rules(lib.CRXGate(angle, ctrl_state=0)) is None
    assert angle_rules(Gate("rx", 1, [angle])) is None
    assert angle_rules(lib.XXPlusYYGate(angle)) is None
