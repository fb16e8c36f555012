"""Aer's diagonal instruction."""

from __future__ import annotations

from qiskit.circuit import Instruction


class AerDiagonal(Instruction):  # type: ignore[misc]
    """A diagonal of phases, of which none is checked: they are phases by construction.

    `qiskit.circuit.library.DiagonalGate` looks at each entry in Python, which takes longer than
    the simulation.

    Args:
        phases: Complex numbers of absolute value 1, two to the number of qubits.
    """

    def __init__(self, phases: list[complex]) -> None:
        super().__init__("diagonal", (len(phases) - 1).bit_length(), 0, [])
        self._params = phases

    def set_first_phases(self, phases: list[complex]) -> None:
        """Other phases in the first places."""
        self._params[: len(phases)] = phases
