r"""Circuits that send a vector through a mesh, and their inputs.

The loader spreads one excitation over the input modes,
:math:`|0\rangle \to |x\rangle = \sum_k x_k e_k / |x|`, by rotations :math:`R(-a_k)` of modes
``k, k + 1``. Here :math:`a_k = \mathrm{atan2}(|x_{k+1:}|, x_k)`, and the last angle is
:math:`a_{n-2} = \mathrm{atan2}(x_{n-1}, x_{n-2})`. The loader starts with H on mode 0, so that the
vacuum remains as a phase reference: :math:`(|0\rangle + |x\rangle)/\sqrt2` becomes
:math:`(|0\rangle + |W x/\alpha\rangle)/\sqrt2`. One setting gives
:math:`\langle X_k \rangle = (W x)_k / (\alpha |x|)` for all k.

With noise, leakage out of these two sectors is not detected. The ``reference`` circuit therefore
has one reference mode per output instead of the vacuum,
:math:`(\sum_j |r_j\rangle/\sqrt m + |x\rangle)/\sqrt2`, and ends with :math:`R(\pi/4)` on each pair
:math:`(r_k, k)`. Then :math:`(W x)_k/(\alpha |x| \sqrt m) = p(r_k) - p(k)`, measured in Z. An
outcome without exactly one excitation is an error and is discarded.
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
from hybridopt.circuits.program import CircuitProgram
from hybridopt.circuits.steps import FixedGate, Rotation, Step

# With one excitation and the vacuum, outputs linear in the amplitude depend on phi/2 only.
LINEAR_RULE = ((0.25, math.pi), (-0.25, -math.pi))


@cache
def mode_rotation(native: bool, linear: bool) -> Family:
    """Return the family of rotations by phi between qubits (0, 1) = (a, b).

    ``native`` uses the gates of noise models. A readout ``linear`` in the amplitude of the
    excitation needs two shift terms; others need four, as RY by +-phi/2 has frequencies 1/2 and 1.
    """
    entangle: LocalGate = (CXGate(), (1, 0))  # qubit 0 is 1 for exactly one excitation
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
    rotate: tuple[LocalGate, ...] = ((RYGate(angle / 2), (0,)), (RYGate(-angle / 2), (1,)))
    entangle: LocalGate = (CZGate(), (0, 1))
    return (*around, entangle, *rotate, entangle, *around)


@dataclass(frozen=True, eq=False)
class MeshProgram(CircuitProgram):
    """Circuits for all matrices of one shape, with a feed as in `mesh_program`."""

    mesh: MeshShape = field(kw_only=True)
    feed: str | int = field(kw_only=True)


@lru_cache(maxsize=256)
def mesh_program(
    mesh: MeshShape, feed: str | int, *, native: bool = False, linear: bool = False
) -> MeshProgram:
    """Return the circuits for all matrices of one shape; shared angles are ``-2 t``, in order.

    The feeds ``"data"`` and ``"reference"`` load a vector by row angles ``2 a_k``. ``"basis"`` has
    one row angle per input, pi/2 for the excited one and 0 for the others. A number excites that
    input. ``native`` and ``linear`` are as in `mode_rotation`.
    """
    family = mode_rotation(native, linear)
    loader = [Rotation(family, (k, k + 1), k, True) for k in range(mesh.num_inputs - 1)]
    if isinstance(feed, int):
        start: list[Step] = [FixedGate(HGate(), (feed,))]
    elif feed == "basis":
        flip = family_of(RYGate(0.0))
        assert flip is not None
        start = [Rotation(flip, (k,), k, True) for k in range(mesh.num_inputs)]
    elif feed == "data":
        start = [FixedGate(HGate(), (0,)), *loader]
    else:
        start = [*_references(mesh, family), *loader]
    num_rows = sum(isinstance(step, Rotation) for step in start)
    steps = start + [Rotation(family, pair, k, False) for k, pair in enumerate(mesh.pairs)]
    if feed == "reference":
        for k in range(mesh.num_outputs):
            steps += _fixed(family, (reference_mode(mesh, k), k), -math.pi / 2)
    return MeshProgram(
        mesh=mesh,
        feed=feed,
        num_qubits=num_qubits_of(mesh, feed),
        steps=tuple(steps),
        row_expressions=tuple(ParameterVector("input", num_rows)),
        shared_expressions=tuple(ParameterVector("angle", mesh.num_angles)),
    )


def num_qubits_of(mesh: MeshShape, feed: str | int) -> int:
    """Return the number of modes, including reference modes."""
    return mesh.num_modes + (mesh.num_outputs if feed == "reference" else 0)


def reference_mode(mesh: MeshShape, output: int) -> int:
    """Return the reference qubit of an output in the ``reference`` circuit."""
    return mesh.num_modes + output


def _references(mesh: MeshShape, family: Family) -> list[FixedGate]:
    """Return gates that put half an excitation on mode 0, and the rest on all references."""
    gates = [FixedGate(XGate(), (0,))]
    gates += _fixed(family, (0, reference_mode(mesh, 0)), math.pi / 2)
    for k in range(mesh.num_outputs - 1):
        angle = 2 * math.acos(1 / math.sqrt(mesh.num_outputs - k))
        gates += _fixed(family, (reference_mode(mesh, k), reference_mode(mesh, k + 1)), angle)
    return gates


def _fixed(family: Family, pair: tuple[int, int], angle: float) -> list[FixedGate]:
    return [FixedGate(gate, tuple(pair[q] for q in qubits)) for gate, qubits in family.gates(angle)]
