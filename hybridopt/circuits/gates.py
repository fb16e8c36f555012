r"""Rotations of known spectrum: how an angle enters a circuit, and how its derivative is read.

Every family here is

.. math::
    U(\theta) = V \, e^{-i \theta D} \, V^\dagger

with a fixed change of frame :math:`V` and a real diagonal :math:`D`. The gaps between the entries
of :math:`D` decide the shift rule, and in its frame the rotation only multiplies amplitudes by
phases.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import TypeAlias

import numpy as np
from jaxtyping import Float64
from qiskit.circuit import ControlledGate, Gate, Instruction, ParameterExpression
from qiskit.circuit.library import (
    CXGate,
    HGate,
    PhaseGate,
    RXGate,
    RXXGate,
    RYGate,
    RYYGate,
    RZGate,
    RZXGate,
    RZZGate,
    U1Gate,
    UnitaryGate,
    XGate,
    XXMinusYYGate,
    XXPlusYYGate,
)

Angle: TypeAlias = float | ParameterExpression
LocalGate = tuple[Gate, tuple[int, ...]]  # a gate and its qubits, counted within the rotation

TWO_TERM = ((0.5, math.pi / 2), (-0.5, -math.pi / 2))  # gaps 1; Schuld et al., arXiv:1811.11184
_PLUS, _MINUS = ((math.sqrt(2) + sign) / (4 * math.sqrt(2)) for sign in (1, -1))
FOUR_TERM = (  # gaps 1/2 and 1; Anselmetti et al., arXiv:2104.05695
    (_PLUS, math.pi / 2),
    (-_PLUS, -math.pi / 2),
    (-_MINUS, 3 * math.pi / 2),
    (_MINUS, -3 * math.pi / 2),
)
_INTO_FRAME: dict[str, tuple[Gate, ...]] = {
    "X": (HGate(),),
    "Y": (RXGate(math.pi / 2),),
    "Z": (),
}
_OUT_OF_FRAME: dict[str, tuple[Gate, ...]] = {
    "X": (HGate(),),
    "Y": (RXGate(-math.pi / 2),),
    "Z": (),
}


class ControlledRotation(Gate):  # type: ignore[misc]
    """A rotation or phase with closed controls, by the name under which Aer binds its angle.

    Aer's table of angles leaves out ``cp``, ``crx``, ``cry`` and ``crz`` without a word (0.18.2),
    but not ``mcp``, ``mcrx``, ``mcry`` and ``mcrz``, which are the same for one control.

    Args:
        base: ``"p"``, ``"rx"``, ``"ry"`` or ``"rz"``.
        num_ctrl_qubits: One or more; they come first.
        angle: A number or a parameter [rad].
    """

    def __init__(self, base: str, num_ctrl_qubits: int, angle: Angle) -> None:
        super().__init__(f"mc{base}", num_ctrl_qubits + 1, [angle])
        self._base = base

    def inverse(self, annotated: bool = False) -> ControlledRotation:
        """The same by the opposite angle."""
        return ControlledRotation(self._base, self.num_qubits - 1, -self.params[0])

    def _define(self) -> None:
        base = {"p": PhaseGate, "rx": RXGate, "ry": RYGate, "rz": RZGate}[self._base]
        self.definition = (
            base(self.params[0]).control(self.num_qubits - 1, annotated=False).definition
        )


@dataclass(frozen=True, eq=False)
class Family:
    """A kind of rotation.

    Attributes:
        name: As Qiskit spells the gate.
        frames: For each qubit the name of its frame; rotations that stand side by side with the
            same frames commute.
        into_frame: Gates that take the eigenvectors of the generator to basis states.
        out_of_frame: Their inverse.
        eigenvalues: Diagonal of D, qubit 0 of the rotation least significant.
        phases: The rotation in its frame, a diagonal gate of the angle, and its qubits.
        gates: The rotation itself, as gates that simulators know.
        made_by: Function and arguments that make it; it travels as these.
        rule: Shift rule of the readouts that the family is made for; None is the one that holds for
            every readout.
    """

    name: str
    frames: tuple[str, ...]
    into_frame: tuple[LocalGate, ...]
    out_of_frame: tuple[LocalGate, ...]
    eigenvalues: Float64[np.ndarray, " states"]
    phases: Callable[[Angle], LocalGate]
    gates: Callable[[Angle], tuple[LocalGate, ...]]
    made_by: tuple[Callable[..., Family], tuple[object, ...]]
    rule: tuple[tuple[float, float], ...] | None = None

    @property
    def num_qubits(self) -> int:
        """Qubits that the rotation acts on."""
        return len(self.frames)

    @property
    def shifts(self) -> tuple[tuple[float, float], ...]:
        """Pairs (coefficient, shift [rad]): f'(theta) = sum of coefficient f(theta + shift)."""
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
    """The family of a gate with one angle, or None if the gate has to be taken apart.

    Args:
        gate: Its controls, if any, are closed.
        whole: False takes apart all but Pauli rotations and phases of one qubit, as hardware
            does: with noise, a rule for the whole gate would not be exact.
    """
    controls = gate.num_ctrl_qubits if isinstance(gate, ControlledGate) else 0
    base = gate.base_gate if controls else gate
    if gate.num_qubits != controls + base.num_qubits:  # several targets, as in `MCMTGate`
        return None
    if not controls and (name := _name_in(_PAULI_ROTATIONS, base)):
        return _pauli_rotation(name)
    if isinstance(base, PhaseGate | U1Gate) and (whole or not controls):
        return _phase(controls)
    if controls and isinstance(base, RXGate | RYGate | RZGate) and whole:
        return _controlled_rotation(controls, base.name)
    if isinstance(gate, XXPlusYYGate | XXMinusYYGate) and whole:
        return _exchange(gate.name)
    return None


def _name_in(table: Mapping[str, tuple[type[Gate], str]], gate: Instruction) -> str | None:
    """The gate's name if the table has it, and not only a namesake."""
    known = table.get(gate.name)
    return gate.name if known is not None and isinstance(gate, known[0]) else None


_PAULI_ROTATIONS: dict[str, tuple[type[Gate], str]] = {
    "rx": (RXGate, "X"),
    "ry": (RYGate, "Y"),
    "rz": (RZGate, "Z"),
    "rxx": (RXXGate, "XX"),
    "ryy": (RYYGate, "YY"),
    "rzz": (RZZGate, "ZZ"),
    "rzx": (RZXGate, "ZX"),
}


@cache
def _pauli_rotation(name: str) -> Family:
    gate, frames = _PAULI_ROTATIONS[name]
    return _in_pauli_frames(
        name,
        tuple(frames),
        eigenvalues=_parity(len(frames)) / 2,
        phases=RZGate if len(frames) == 1 else RZZGate,
        gate=gate,
        made_by=(_pauli_rotation, (name,)),
    )


@cache
def _phase(controls: int) -> Family:
    eigenvalues = np.zeros(2 << controls)
    eigenvalues[-1] = -1
    gate = partial(ControlledRotation, "p", controls) if controls else PhaseGate
    return _in_pauli_frames(
        f"{'c' * controls}p",
        ("Z",) * (controls + 1),
        eigenvalues=eigenvalues,
        phases=gate,
        gate=gate,
        made_by=(_phase, (controls,)),
    )


@cache
def _controlled_rotation(controls: int, base: str) -> Family:
    eigenvalues = np.zeros(2 << controls)
    eigenvalues[[(1 << controls) - 1, -1]] = 0.5, -0.5
    return _in_pauli_frames(
        f"{'c' * controls}{base}",
        (*("Z",) * controls, base[-1].upper()),
        eigenvalues=eigenvalues,
        phases=partial(ControlledRotation, "rz", controls),
        gate=partial(ControlledRotation, base, controls),
        made_by=(_controlled_rotation, (controls, base)),
    )


def _in_pauli_frames(
    name: str,
    frames: tuple[str, ...],
    *,
    eigenvalues: Float64[np.ndarray, " states"],
    phases: Callable[[Angle], Gate],
    gate: Callable[[Angle], Gate],
    made_by: tuple[Callable[..., Family], tuple[object, ...]],
) -> Family:
    every = tuple(range(len(frames)))
    return Family(
        name=name,
        frames=frames,
        into_frame=_on_qubits(_INTO_FRAME, frames),
        out_of_frame=_on_qubits(_OUT_OF_FRAME, frames),
        eigenvalues=eigenvalues,
        phases=lambda angle: (phases(angle), every),
        gates=lambda angle: ((gate(angle), every),),
        made_by=made_by,
    )


@cache
def _exchange(name: str) -> Family:
    """XXPlusYY and XXMinusYY at beta = 0: a rotation by X between two of the four basis states.

    CX writes the parity of the qubits into the second, H on the first (if the parity is right)
    turns the sum and difference of the two states into basis states: a controlled RZ is left.
    """
    flip: tuple[LocalGate, ...] = ((XGate(), (0,)),) if name == "xx_minus_yy" else ()
    controlled_h = np.kron([[1, 0], [0, 0]], np.eye(2)) + np.kron(
        [[0, 0], [0, 1]], np.array([[1, 1], [1, -1]]) / math.sqrt(2)
    )
    entangle: LocalGate = (CXGate(), (0, 1))
    turn: LocalGate = (UnitaryGate(controlled_h), (0, 1))
    into_frame = (*flip, entangle, turn)
    out_of_frame = (turn, entangle, *flip)
    return Family(
        name=name,
        frames=(name, f"{name} partner"),
        into_frame=into_frame,
        out_of_frame=out_of_frame,
        eigenvalues=np.array([0.0, 0.0, 0.5, -0.5]),
        phases=lambda angle: (ControlledRotation("rz", 1, angle), (1, 0)),
        gates=lambda angle: (
            *into_frame,
            (ControlledRotation("rz", 1, angle), (1, 0)),
            *out_of_frame,
        ),
        made_by=(_exchange, (name,)),
    )


def _on_qubits(table: dict[str, tuple[Gate, ...]], frames: Sequence[str]) -> tuple[LocalGate, ...]:
    return tuple((gate, (qubit,)) for qubit, name in enumerate(frames) for gate in table[name])


def _parity(num_qubits: int) -> Float64[np.ndarray, " states"]:
    """(-1)^(number of ones of k) for every k."""
    signs = np.array([1.0, -1.0])
    result = np.ones(1)
    for _ in range(num_qubits):
        result = np.kron(signs, result)
    return result
