r"""Circuits that take a vector through a mesh, and what they are fed with.

The loader spreads one excitation over the input modes,
:math:`|0\rangle \to |x\rangle = \sum_k x_k e_k / |x|`, by rotations :math:`R(-a_k)` of modes
``k, k + 1``, with :math:`a_k = \mathrm{atan2}(|x_{k+1:}|, x_k)` and the last
:math:`a_{n-2} = \mathrm{atan2}(x_{n-1}, x_{n-2})`. It starts with H on mode 0, so that the vacuum
stays as a reference of the sign: :math:`(|0\rangle + |x\rangle)/\sqrt2` becomes
:math:`(|0\rangle + |W x/\alpha\rangle)/\sqrt2`, and
:math:`\langle X_k \rangle = (W x)_k / (\alpha |x|)`, all k in one setting.

Noise leaks out of these two sectors unseen. The ``reference`` circuit has one reference mode for
each output instead of the vacuum, :math:`(\sum_j |r_j\rangle/\sqrt m + |x\rangle)/\sqrt2`, and
ends with :math:`R(\pi/4)` on each pair :math:`(r_k, k)`, after which
:math:`(W x)_k/(\alpha |x| \sqrt m) = p(r_k) - p(k)`: measured in Z, where an outcome without
exactly one excitation betrays an error.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cache, lru_cache

import numpy as np
from qiskit.circuit import ParameterVector
from qiskit.circuit.library import CXGate, CZGate, HGate, RXGate, RYGate, XGate

from hybridopt.bridges.mesh.decomposition import MeshShape
from hybridopt.circuits.gates import Angle, ControlledRotation, Family, LocalGate, family_of
from hybridopt.circuits.program import CircuitProgram, FixedGate, Rotation, Step

# One excitation beside the vacuum: outputs that are linear in the amplitude go with phi/2 only.
LINEAR_RULE = ((0.25, math.pi), (-0.25, -math.pi))


@cache
def mode_rotation(native: bool, linear: bool) -> Family:
    """The family of rotations by phi between qubits (0, 1) = (a, b).

    If ``native``, in H, CZ and RY, as noise models know them; else in three gates that are faster
    to simulate. A readout that is ``linear`` in the amplitude of the excitation takes a shift rule
    of two terms, every other one of four: two RY by +-phi/2 give the frequencies 1/2 and 1.
    """
    entangle: LocalGate = (CXGate(), (1, 0))  # qubit 0 tells one excitation from none and two
    return Family(
        name="mode",
        frames=("mode", "mode partner"),
        into_frame=(entangle, (RXGate(math.pi / 2), (1,))),
        out_of_frame=((RXGate(-math.pi / 2), (1,)), entangle),
        eigenvalues=np.array([0.0, 0.5, 0.0, -0.5]),
        phases=lambda angle: (ControlledRotation("rz", 1, angle), (0, 1)),
        gates=_native if native else _fast,
        made_by=(mode_rotation, (native, linear)),
        rule=LINEAR_RULE if linear else None,
    )


def _fast(angle: Angle) -> tuple[LocalGate, ...]:
    entangle: LocalGate = (CXGate(), (1, 0))
    return (entangle, (ControlledRotation("ry", 1, angle), (0, 1)), entangle)


def _native(angle: Angle) -> tuple[LocalGate, ...]:
    around: tuple[LocalGate, ...] = ((HGate(), (0,)), (HGate(), (1,)))
    turn: tuple[LocalGate, ...] = ((RYGate(angle / 2), (0,)), (RYGate(-angle / 2), (1,)))
    entangle: LocalGate = (CZGate(), (0, 1))
    return (*around, entangle, *turn, entangle, *around)


PROGRAMS_KEPT = 256  # they hold what was derived from them, and are made anew when asked for


@dataclass(frozen=True, eq=False)
class MeshProgram(CircuitProgram):
    """The circuits of all matrices of one shape, with a feed as in `mesh_program`."""

    mesh: MeshShape = field(kw_only=True)
    feed: str | int = field(kw_only=True)


@lru_cache(maxsize=PROGRAMS_KEPT)
def mesh_program(
    mesh: MeshShape, feed: str | int, *, native: bool = False, linear: bool = False
) -> MeshProgram:
    """The circuits of all matrices of one shape; shared angles are ``-2 t``, in order.

    The feed ``"data"`` loads a vector, ``"reference"`` one beside reference modes: row angles are
    ``2 a_k``. ``"basis"`` has a row angle for each of n inputs, pi/2 for the one that is excited
    and 0 for all others. A number excites that input. The rest is as in `mode_rotation`.
    """
    turn = mode_rotation(native, linear)
    loader = [Rotation(turn, (k, k + 1), k, True) for k in range(mesh.num_inputs - 1)]
    if isinstance(feed, int):
        start: list[Step] = [FixedGate(HGate(), (feed,))]
    elif feed == "basis":
        flip = family_of(RYGate(0.0))
        assert flip is not None
        start = [Rotation(flip, (k,), k, True) for k in range(mesh.num_inputs)]
    elif feed == "data":
        start = [FixedGate(HGate(), (0,)), *loader]
    else:
        start = [*_references(mesh, turn), *loader]
    steps = start + [Rotation(turn, pair, number, False) for number, pair in enumerate(mesh.pairs)]
    if feed == "reference":
        for k in range(mesh.num_outputs):
            steps += _fixed(turn, (reference_mode(mesh, k), k), -math.pi / 2)
    rows = sum(isinstance(step, Rotation) and step.per_sample for step in steps)
    return MeshProgram(
        mesh=mesh,
        feed=feed,
        num_qubits=num_qubits_of(mesh, feed),
        steps=tuple(steps),
        row_expressions=tuple(ParameterVector("input", rows)),
        shared_expressions=tuple(ParameterVector("angle", mesh.num_angles)),
    )


def num_qubits_of(mesh: MeshShape, feed: str | int) -> int:
    """Modes, and reference modes if there are some."""
    return mesh.num_modes + (mesh.num_outputs if feed == "reference" else 0)


def reference_mode(mesh: MeshShape, output: int) -> int:
    """The qubit that an output is compared with in the ``reference`` circuit."""
    return mesh.num_modes + output


def _references(mesh: MeshShape, turn: Family) -> list[FixedGate]:
    """One excitation, half of it on mode 0, the rest spread evenly over the references."""
    gates = [FixedGate(XGate(), (0,))]
    gates += _fixed(turn, (0, reference_mode(mesh, 0)), math.pi / 2)
    for k in range(mesh.num_outputs - 1):
        angle = 2 * math.acos(1 / math.sqrt(mesh.num_outputs - k))
        gates += _fixed(turn, (reference_mode(mesh, k), reference_mode(mesh, k + 1)), angle)
    return gates


def _fixed(turn: Family, pair: tuple[int, int], angle: float) -> list[FixedGate]:
    return [FixedGate(gate, tuple(pair[at] for at in places)) for gate, places in turn.gates(angle)]
