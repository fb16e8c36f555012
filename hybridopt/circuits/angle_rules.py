r"""Shift rules of the angles of gates that stay whole, as a device or a noise model has them.

Each angle of a standard gate enters its matrix through a trigonometric polynomial. The
frequencies of an expectation value in that angle decide the rule: 1 alone takes two terms,
1/2 and 1 (a controlled rotation) or 1 and 2 (an axis in the equator) take four. Noise
before and behind the gate changes the coefficients of the polynomial, never its frequencies, so
that the rules are exact with any noise that does not depend on the angle.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from qiskit.circuit import Instruction
from qiskit.circuit import library as lib

from hybridopt.circuits.gates import FOUR_TERM, TWO_TERM

ShiftRule = tuple[tuple[float, float], ...]  # pairs (coefficient, shift [rad])

# Frequencies 1 and 2; Wierichs et al., arXiv:2107.12390, equation (11) with R = 2.
_POINTS = tuple((2 * number + 1) * math.pi / 4 for number in range(4))
TWO_FREQUENCIES: ShiftRule = tuple(
    ((-1) ** number / (8 * math.sin(point / 2) ** 2), point) for number, point in enumerate(_POINTS)
)


@dataclass(frozen=True)
class AngleRule:
    """Dependence of an expectation value on one angle of a gate.

    Attributes:
        shifts: Pairs (coefficient, shift [rad]): the derivative is the sum of coefficient times
            the value at the shifted angle.
        frequencies: All frequencies of the value in the angle, both signs, in units of 1/2.
    """

    shifts: ShiftRule
    frequencies: frozenset[int]


ROTATION = AngleRule(TWO_TERM, frozenset({-2, 0, 2}))
CONTROLLED = AngleRule(FOUR_TERM, frozenset({-2, -1, 0, 1, 2}))
AXIS = AngleRule(TWO_FREQUENCIES, frozenset({-4, -2, 0, 2, 4}))

_RULES: dict[str, tuple[type[Instruction], tuple[AngleRule, ...]]] = {
    "cp": (lib.CPhaseGate, (ROTATION,)),
    "crx": (lib.CRXGate, (CONTROLLED,)),
    "cry": (lib.CRYGate, (CONTROLLED,)),
    "crz": (lib.CRZGate, (CONTROLLED,)),
    "cu": (lib.CUGate, (CONTROLLED, ROTATION, ROTATION, ROTATION)),
    "cu1": (lib.CU1Gate, (ROTATION,)),
    "cu3": (lib.CU3Gate, (CONTROLLED, ROTATION, ROTATION)),
    "p": (lib.PhaseGate, (ROTATION,)),
    "r": (lib.RGate, (ROTATION, AXIS)),
    "rx": (lib.RXGate, (ROTATION,)),
    "rxx": (lib.RXXGate, (ROTATION,)),
    "ry": (lib.RYGate, (ROTATION,)),
    "ryy": (lib.RYYGate, (ROTATION,)),
    "rz": (lib.RZGate, (ROTATION,)),
    "rzx": (lib.RZXGate, (ROTATION,)),
    "rzz": (lib.RZZGate, (ROTATION,)),
    "u": (lib.UGate, (ROTATION, ROTATION, ROTATION)),
    "u1": (lib.U1Gate, (ROTATION,)),
    "u2": (lib.U2Gate, (ROTATION, ROTATION)),
    "u3": (lib.U3Gate, (ROTATION, ROTATION, ROTATION)),
}


def angle_rules(gate: Instruction) -> tuple[AngleRule, ...] | None:
    """Rules of all angles of a gate, in the order of ``gate.params``; None if it has none.

    A namesake of a standard gate has none, nor has a gate with open controls.
    """
    known, rules = _RULES.get(gate.name, (None, ()))
    if known is None or not isinstance(gate, known):
        return None
    controls = getattr(gate, "num_ctrl_qubits", 0)
    if controls and gate.ctrl_state != (1 << controls) - 1:
        return None
    return rules
