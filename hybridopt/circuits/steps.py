"""Steps of a lowered circuit: fixed gates, rotations and native gates, and layers of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

from qiskit.circuit import Instruction

from hybridopt.circuits.fingerprint import digest, operation_content
from hybridopt.circuits.gates import Angle, AngleRule, Family, LocalGate

Kind = TypeVar("Kind", "FixedGate", "Rotation")
PROBE = 0.8642  # [rad], of no meaning; the angle at which the gates of a rotation are compared


@dataclass(frozen=True, eq=False)
class FixedGate:
    """Gate without a free angle, and its qubits."""

    gate: Instruction
    qubits: tuple[int, ...]

    def content(self) -> tuple[object, ...]:
        """Return what identifies the step, for `digest`."""
        return "fixed", operation_content(self.gate), self.qubits


@dataclass(frozen=True, eq=False)
class Rotation:
    """Rotation by one angle that no other gate has."""

    family: Family
    qubits: tuple[int, ...]  # in the order of the family
    angle: int  # index in its table
    per_sample: bool  # True for the table of row angles, False for shared angles

    @property
    def frames(self) -> dict[int, object]:
        """Frame of each qubit; rotations commute if they have equal frames on common qubits."""
        names = self.family.frames
        pauli = set(names) <= {"X", "Y", "Z"}
        return {
            qubit: name if pauli else (name, self.qubits)
            for qubit, name in zip(self.qubits, names, strict=True)
        }

    def content(self) -> tuple[object, ...]:
        """Return what identifies the step, for `digest`."""
        return "rotation", _gates_digest(self.family), self.qubits, self.per_sample, self.angle

    def gates(self, angle: Angle) -> list[FixedGate]:
        """Return the rotation by this angle [rad]."""
        return self.placed(self.family.gates(angle))

    def phases(self, angle: Angle) -> FixedGate:
        """Return the rotation in its frame, as a diagonal gate."""
        return self.placed((self.family.phases(angle),))[0]

    def placed(self, local: tuple[LocalGate, ...]) -> list[FixedGate]:
        """Return gates on qubits of the rotation as gates on qubits of the program."""
        return [FixedGate(gate, tuple(self.qubits[place] for place in at)) for gate, at in local]


@lru_cache(maxsize=256)
def _gates_digest(family: Family) -> str:
    return digest("family", family.gates(PROBE))


@dataclass(frozen=True, eq=False)
class FreeAngle:
    """Free angle of a native gate."""

    position: int  # in ``gate.params``
    angle: int  # index in its table, as in `Rotation`
    per_sample: bool
    rule: AngleRule


@dataclass(frozen=True, eq=False)
class NativeGate:
    """Gate of Qiskit with free angles that is not decomposed, for noise models and hardware."""

    gate: Instruction
    qubits: tuple[int, ...]
    free_angles: tuple[FreeAngle, ...]

    def content(self) -> tuple[object, ...]:
        """Return what identifies the step, for `digest`."""
        params = list(self.gate.params)
        for free in self.free_angles:
            params[free.position] = PROBE
        gate = self.gate.copy()
        gate.params = params
        places = [(free.position, free.per_sample, free.angle) for free in self.free_angles]
        return "native", operation_content(gate), self.qubits, places

    def at(self, row: list[Angle], shared: list[Angle]) -> FixedGate:
        """Return the gate at these angles [rad]."""
        params = list(self.gate.params)
        for free in self.free_angles:
            params[free.position] = (row if free.per_sample else shared)[free.angle]
        gate = self.gate.copy()
        gate.params = params
        return FixedGate(gate, self.qubits)


Step = FixedGate | Rotation | NativeGate


@dataclass(frozen=True, eq=False)
class Layer:
    """Fixed gates in order, then rotations that commute, each diagonal in its frame."""

    fixed: tuple[FixedGate, ...]
    rotations: tuple[Rotation, ...]


def frame_changes(rotations: Iterable[Rotation]) -> tuple[list[FixedGate], list[FixedGate]]:
    """Return the gates into the frames of the rotations of a layer, and the gates out of them."""
    into: list[FixedGate] = []
    out: list[FixedGate] = []
    framed: set[int] = set()
    for rotation in rotations:
        gates = rotation.placed(rotation.family.into_frame)
        new = [item for item in gates if not framed.issuperset(item.qubits)]
        touched = {qubit for item in new for qubit in item.qubits}
        into += new
        gates = rotation.placed(rotation.family.out_of_frame)
        out += [item for item in gates if touched.issuperset(item.qubits)]
        framed |= touched
    return into, out


def take(steps: list[Step], kind: type[Kind]) -> tuple[list[Kind], list[Step]]:
    """Split off the steps of a kind that can move to the front; rotations must share frames."""
    taken: list[Kind] = []
    left: list[Step] = []
    blocked: set[int] = set()
    frames: dict[int, object] = {}
    for step in steps:
        if isinstance(step, kind) and blocked.isdisjoint(step.qubits):
            own = step.frames if isinstance(step, Rotation) else {}
            if all(frames.get(qubit, frame) == frame for qubit, frame in own.items()):
                taken.append(step)
                frames.update(own)
                continue
        blocked.update(step.qubits)
        left.append(step)
    return taken, left
