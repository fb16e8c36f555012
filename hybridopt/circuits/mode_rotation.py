r"""The rotation of one excitation between two qubits, of which meshes are built.

With :math:`e_a, e_b` the states in which qubit a, or b, is excited alone,

.. math::
    G(\varphi) \, e_a = \cos\tfrac\varphi2 \, e_a + \sin\tfrac\varphi2 \, e_b , \qquad
    G(\varphi) \, e_b = -\sin\tfrac\varphi2 \, e_a + \cos\tfrac\varphi2 \, e_b ,

and :math:`G` leaves :math:`|00\rangle` and :math:`|11\rangle` as they are. In the words of a mesh
it is :math:`R(-\varphi/2)` with ``R(t) = [[cos t, sin t], [-sin t, cos t]]``; in those of Qiskit,
``XXPlusYYGate(-phi, -pi/2)``.

References:
    Kerenidis, Landman and Mathur, arXiv:2106.07198.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from qiskit.circuit.library import CXGate, CZGate, HGate, RXGate, RYGate

from hybridopt.circuits.rotations import Angle, ControlledRotation, Family, LocalGate

# One excitation beside the vacuum: outputs that are linear in the amplitude go with phi/2 only.
LINEAR_RULE = ((0.25, math.pi), (-0.25, -math.pi))


@cache
def mode_rotation(*, native: bool = False, linear: bool = False) -> Family:
    """The family of rotations by phi between qubits (0, 1) = (a, b).

    Args:
        native: Writes the rotation in H, CZ and RY, as hardware would run it and as noise models
            know it; else in three gates that are simulated faster.
        linear: Whether the readout is linear in the amplitude of the excitation, which takes a
            shift rule of two terms; every other readout takes one of four, also if there are errors
            between the gates: two RY by +-phi/2 give the frequencies 1/2 and 1.
    """
    into_frame: tuple[LocalGate, ...] = (
        (CXGate(), (1, 0)),  # qubit 0 tells one excitation from none and two
        (RXGate(math.pi / 2), (1,)),
    )
    return Family(
        name="mode",
        frames=("mode", "mode partner"),
        into_frame=into_frame,
        out_of_frame=((RXGate(-math.pi / 2), (1,)), (CXGate(), (1, 0))),
        eigenvalues=np.array([0.0, 0.5, 0.0, -0.5]),
        phases=lambda angle: (ControlledRotation("rz", 1, angle), (0, 1)),
        gates=_native if native else _fast,
        made_by=(_made, (native, linear)),
        rule=LINEAR_RULE if linear else None,
    )


def _made(native: bool, linear: bool) -> Family:
    return mode_rotation(native=native, linear=linear)


def _fast(angle: Angle) -> tuple[LocalGate, ...]:
    entangle: LocalGate = (CXGate(), (1, 0))
    return (entangle, (ControlledRotation("ry", 1, angle), (0, 1)), entangle)


def _native(angle: Angle) -> tuple[LocalGate, ...]:
    around: tuple[LocalGate, ...] = ((HGate(), (0,)), (HGate(), (1,)))
    turn: tuple[LocalGate, ...] = ((RYGate(angle / 2), (0,)), (RYGate(-angle / 2), (1,)))
    entangle: LocalGate = (CZGate(), (0, 1))
    return (*around, entangle, *turn, entangle, *around)
