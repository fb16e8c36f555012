r"""Gates: rotation families, shift rules of angles, and gates that are not decomposed.

Every rotation family has the form

.. math::
    U(\theta) = V \, e^{-i \theta D} \, V^\dagger

with a fixed change of frame :math:`V` and a real diagonal :math:`D`. The gaps between the entries
of :math:`D` determine the shift rule.

A native gate keeps all its angles. An expectation value is a trigonometric polynomial in each of
them, and the frequencies determine the shift rule. The frequency 1 needs two terms. The frequencies
1/2 and 1 (controlled rotations), or 1 and 2 (angle of the axis of ``r``), need four. Noise that
does not depend on the angle changes only coefficients, so the rules stay exact.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, reduce
from typing import TypeAlias

import numpy as np
from jaxtyping import Float64
from qiskit.circuit import Barrier, ControlledGate, Delay, Gate, Instruction, ParameterExpression
from qiskit.circuit import library as lib

Angle: TypeAlias = float | ParameterExpression
ShiftRule = tuple[tuple[float, float], ...]  # pairs (coefficient, shift [rad])
LocalGate = tuple[Gate, tuple[int, ...]]  # a gate and its qubits, numbered within the rotation

# gaps 1; Schuld et al., arXiv:1811.11184
TWO_TERM: ShiftRule = ((0.5, math.pi / 2), (-0.5, -math.pi / 2))
_PLUS, _MINUS = ((math.sqrt(2) + sign) / (4 * math.sqrt(2)) for sign in (1, -1))
FOUR_TERM: ShiftRule = (  # gaps 1/2 and 1; Anselmetti et al., arXiv:2104.05695
    (_PLUS, math.pi / 2),
    (-_PLUS, -math.pi / 2),
    (-_MINUS, 3 * math.pi / 2),
    (_MINUS, -3 * math.pi / 2),
)
_POINTS = tuple((2 * number + 1) * math.pi / 4 for number in range(4))
TWO_FREQUENCIES: ShiftRule = tuple(  # 1 and 2; Wierichs et al., arXiv:2107.12390, (11), R = 2
    ((-1) ** number / (8 * math.sin(point / 2) ** 2), point) for number, point in enumerate(_POINTS)
)
_FRAMES: dict[str, tuple[tuple[Gate, ...], tuple[Gate, ...]]] = {  # into the frame, out of it
    "X": ((lib.HGate(),), (lib.HGate(),)),
    "Y": ((lib.RXGate(math.pi / 2),), (lib.RXGate(-math.pi / 2),)),
    "Z": ((), ()),
}


class ControlledRotation(Gate):  # type: ignore[misc]
    """Rotation or phase with closed controls, under a name whose angle Aer can bind."""

    # Aer (0.18.2) does not bind angles of cp, crx, cry and crz; it binds those of mcp, mcrx, mcry
    # and mcrz, which are the same gates for one control

    def __init__(self, base: str, num_ctrl_qubits: int, angle: Angle) -> None:
        super().__init__(f"mc{base}", num_ctrl_qubits + 1, [angle])
        self._base = base

    def inverse(self, annotated: bool = False) -> ControlledRotation:
        """Return the gate with the opposite angle."""
        return ControlledRotation(self._base, self.num_qubits - 1, -self.params[0])

    def _define(self) -> None:
        gate = _PAULI_ROTATIONS[self._base][0](self.params[0])
        self.definition = gate.control(self.num_qubits - 1, annotated=False).definition


@dataclass(frozen=True, eq=False)
class Family:
    """Kind of rotation; rotations with equal frames on common qubits commute."""

    name: str  # of Qiskit's gate
    frames: tuple[str, ...]  # one per qubit
    into_frame: tuple[LocalGate, ...]  # maps the eigenvectors of the generator to basis states
    out_of_frame: tuple[LocalGate, ...]
    eigenvalues: Float64[np.ndarray, " states"]  # diagonal of D, qubit 0 least significant
    phases: Callable[[Angle], LocalGate]  # the rotation in its frame, a diagonal gate
    gates: Callable[[Angle], tuple[LocalGate, ...]]  # the rotation, as gates of simulators
    made_by: tuple[Callable[..., Family], tuple[object, ...]]  # function and arguments to pickle
    rule: ShiftRule | None = None  # valid for some readouts only; None: from the eigenvalues

    @property
    def shifts(self) -> ShiftRule:
        """Pairs (coefficient, shift [rad]): f'(theta) = sum of coefficient * f(theta + shift)."""
        if self.rule is not None:
            return self.rule
        gaps = np.abs(np.subtract.outer(self.eigenvalues, self.eigenvalues))
        return TWO_TERM if np.isclose(gaps[gaps > 0], 1).all() else FOUR_TERM

    @property
    def frequencies(self) -> frozenset[int]:
        """Frequencies of expectation values in the angle, both signs, in units of 1/2."""
        eigenvalues = np.unique(np.round(2 * self.eigenvalues).astype(int))
        return frozenset(np.subtract.outer(eigenvalues, eigenvalues).ravel().tolist())

    def __reduce__(self) -> tuple[Callable[..., Family], tuple[object, ...]]:
        return self.made_by  # functions of angles cannot be pickled


def family_of(gate: Instruction, *, whole: bool = True) -> Family | None:
    """Return the family of a gate with one angle, or None if the gate must be decomposed."""
    controls = gate.num_ctrl_qubits if isinstance(gate, ControlledGate) else 0
    base = gate.base_gate if controls else gate
    if gate.num_qubits != controls + base.num_qubits:  # several targets, as in `MCMTGate`
        return None
    if isinstance(base, lib.U1Gate):
        base = lib.PhaseGate(*base.params)
    kind, letters = _PAULI_ROTATIONS.get(base.name, (None, ""))
    in_one_piece = not controls or (whole and len(letters) == 1)
    if kind is not None and isinstance(base, kind) and in_one_piece:  # the name is not enough
        return _in_pauli_frames(base.name, controls)
    if isinstance(gate, lib.XXPlusYYGate | lib.XXMinusYYGate) and whole:
        return _exchange(gate.name)
    return None


_PAULI_ROTATIONS: dict[str, tuple[type[Gate], str]] = {
    "p": (lib.PhaseGate, "Z"),
    "rx": (lib.RXGate, "X"),
    "ry": (lib.RYGate, "Y"),
    "rz": (lib.RZGate, "Z"),
    "rxx": (lib.RXXGate, "XX"),
    "ryy": (lib.RYYGate, "YY"),
    "rzz": (lib.RZZGate, "ZZ"),
    "rzx": (lib.RZXGate, "ZX"),
}


@cache
def _in_pauli_frames(base: str, controls: int) -> Family:
    """Return the family of a Pauli rotation or a phase, with controls on the first qubits."""
    letters = _PAULI_ROTATIONS[base][1]
    frames = (*"Z" * controls, *letters)
    every = tuple(range(len(frames)))
    local = np.array([0.0, -1.0])
    if base != "p":
        local = reduce(np.kron, [np.array([1.0, -1.0])] * len(letters)) / 2
    eigenvalues = np.zeros(local.size << controls)
    eigenvalues[(1 << controls) - 1 :: 1 << controls] = local  # all controls are 1
    diagonal = base if base == "p" else {1: "rz", 2: "rzz"}[len(letters)]

    def gate(name: str, angle: Angle) -> LocalGate:
        if controls:
            return ControlledRotation(name, controls, angle), every
        return _PAULI_ROTATIONS[name][0](angle), every

    return Family(
        name=f"{'c' * controls}{base}",
        frames=frames,
        into_frame=tuple((g, (q,)) for q, frame in enumerate(frames) for g in _FRAMES[frame][0]),
        out_of_frame=tuple((g, (q,)) for q, frame in enumerate(frames) for g in _FRAMES[frame][1]),
        eigenvalues=eigenvalues,
        phases=lambda angle: gate(diagonal, angle),
        gates=lambda angle: (gate(base, angle),),
        made_by=(_in_pauli_frames, (base, controls)),
    )


@cache
def _exchange(name: str) -> Family:
    """Return the family of XXPlusYY or XXMinusYY at beta = 0."""
    # It rotates by X between two of the four basis states. CX writes the parity of the qubits
    # into the second one. A controlled H makes basis states of the sum and difference of the two
    # states. A controlled RZ is left.
    flip: tuple[LocalGate, ...] = ((lib.XGate(), (0,)),) if name == "xx_minus_yy" else ()
    entangle: LocalGate = (lib.CXGate(), (0, 1))
    turn: LocalGate = (lib.UnitaryGate(lib.CHGate()), (1, 0))  # simulators do not have `ch`
    into_frame, out_of_frame = (*flip, entangle, turn), (turn, entangle, *flip)

    def phases(angle: Angle) -> LocalGate:
        return ControlledRotation("rz", 1, angle), (1, 0)

    return Family(
        name=name,
        frames=(name, f"{name} partner"),
        into_frame=into_frame,
        out_of_frame=out_of_frame,
        eigenvalues=np.array([0.0, 0.0, 0.5, -0.5]),
        phases=phases,
        gates=lambda angle: (*into_frame, phases(angle), *out_of_frame),
        made_by=(_exchange, (name,)),
    )


@dataclass(frozen=True)
class AngleRule:
    """Dependence of an expectation value on one angle of a gate."""

    shifts: ShiftRule  # the derivative is the sum of coefficient * value at the shifted angle
    frequencies: frozenset[int]  # of the value in the angle, both signs, in units of 1/2


ROTATION = AngleRule(TWO_TERM, frozenset({-2, 0, 2}))
CONTROLLED = AngleRule(FOUR_TERM, frozenset({-2, -1, 0, 1, 2}))
AXIS = AngleRule(TWO_FREQUENCIES, frozenset({-4, -2, 0, 2, 4}))

_RULES = {
    name: rules
    for names, rules in (
        ("cp cu1 p rx rxx ry ryy rz rzx rzz u1", (ROTATION,)),
        ("u2", (ROTATION,) * 2),
        ("u u3", (ROTATION,) * 3),
        ("crx cry crz", (CONTROLLED,)),
        ("cu", (CONTROLLED, ROTATION, ROTATION, ROTATION)),
        ("cu3", (CONTROLLED, ROTATION, ROTATION)),
        ("r", (ROTATION, AXIS)),
    )
    for name in names.split()
}


def angle_rules(gate: Instruction) -> tuple[AngleRule, ...] | None:
    """Return the rules of all angles of a gate of Qiskit; None for other gates, open controls."""
    rules = _RULES.get(gate.name)
    if rules is None or not isinstance(gate, _STANDARD[gate.name]):
        return None
    controls = getattr(gate, "num_ctrl_qubits", 0)
    return rules if not controls or gate.ctrl_state == (1 << controls) - 1 else None


# Classes, because a gate made from a circuit may have any name, and Aer identifies gates by name.
_STANDARD = {name: gate.base_class for name, gate in lib.get_standard_gate_name_mapping().items()}
_PLAIN = (
    "ccx ccz cp crx cry crz cswap csx cx cy cz ecr h id p r rx rxx ry ryy rz rzx rzz s sdg swap "
    "sx sxdg t tdg u x y z"
)
_KEPT: dict[str, type[Instruction]] = {
    "barrier": Barrier,
    "delay": Delay,
    "diagonal": lib.DiagonalGate,
    "mcphase": lib.MCPhaseGate,
    "mcx": lib.MCXGate,
    "pauli": lib.PauliGate,
    "unitary": lib.UnitaryGate,
} | {name: _STANDARD[name] for name in _PLAIN.split()}
KEPT_GATES = frozenset(_KEPT)  # not decomposed if they have no free angle


def is_kept(gate: Instruction) -> bool:
    """Return whether a gate is one of `KEPT_GATES`, by its name and its class."""
    return isinstance(gate, _KEPT.get(gate.name, ()))


def is_standard(gate: Instruction) -> bool:
    """Return whether a gate is the gate that Qiskit and Aer identify by its name."""
    return is_kept(gate) or isinstance(gate, _STANDARD.get(gate.name, ()))


class AerDiagonal(Instruction):  # type: ignore[misc]
    """Diagonal gate without the checks of `DiagonalGate`, which take longer than a simulation."""

    def __init__(self, phases: list[complex]) -> None:
        super().__init__("diagonal", (len(phases) - 1).bit_length(), 0, [])
        self._params = phases

    def set_first_phases(self, phases: list[complex]) -> None:
        """Replace the first phases."""
        self._params[: len(phases)] = phases
