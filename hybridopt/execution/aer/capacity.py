"""Checks that a circuit and its readout fit into the memory, for each method of Aer."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NoReturn

from hybridopt import _validation
from hybridopt.circuits.program import BYTES_PER_STATE_AMPLITUDE, Program
from hybridopt.errors import ResourceError
from hybridopt.execution.memory_budget import BYTES_PER_STRING, STRINGS_OF_SMALL_SUMS
from hybridopt.execution.readout import Expectations, Probabilities, Readout

BYTES_PER_OUTCOME = 256  # measured: probabilities of a matrix product state, with copies
WIDEST_REGISTER = 63  # qubits of outcomes, which Aer stores in 64 bits


@dataclass(frozen=True)
class Capacity:
    """Largest circuits and readouts that fit into a memory limit [bytes]."""

    max_memory: int

    def largest(self, base: int, bytes_each: int = BYTES_PER_STATE_AMPLITUDE) -> int:
        """Return the largest n for which ``base ** n`` amplitudes fit."""
        amplitudes = max(1, self.max_memory // bytes_each)
        return (amplitudes.bit_length() - 1) // (base.bit_length() - 1)

    def check_width(
        self, program: Program, readout: Readout, method: str, *, is_automatic: bool
    ) -> None:
        """Refuse circuits and distributions that are too wide for the method."""
        fits: float = self.largest(4 if method == "density_matrix" else 2)
        if method == "matrix_product_state":
            fits = WIDEST_REGISTER if isinstance(readout, Probabilities) else math.inf
        if program.num_qubits > fits:
            way_out = (
                "Give `shots` to simulate trajectories, raise `max_memory`, or use fewer qubits."
                if method == "density_matrix" and is_automatic
                else "Raise `max_memory`, or use fewer qubits."
            )
            self.refuse(
                f"The circuit has {in_words(program.num_qubits, 'qubit')}", method, fits, way_out
            )
        if isinstance(readout, Probabilities) and method == "matrix_product_state":
            # entanglement limits the size of the state, but not that of its probabilities
            read = len(readout.settings(program)[0].qubits)
            fits = self.largest(2, BYTES_PER_OUTCOME)
            if read > fits:
                given = f", {len(readout.given)} of them given" if readout.given else ""
                what = f"The readout has probabilities of {in_words(read, 'qubit')}{given}"
                self.refuse(what, method, fits, "Raise `max_memory`, or read fewer qubits.")

    def check_strings(self, readout: Expectations) -> None:
        """Refuse more Pauli strings than can be grouped within the memory."""
        count = len(readout.strings)
        needed = count * BYTES_PER_STRING
        if count > STRINGS_OF_SMALL_SUMS and needed > self.max_memory:
            raise ResourceError(
                f"`max_memory` must be at least {_validation.memory_text(needed, up=True)} to "
                f"group {count} Pauli strings by their measurement bases (got "
                f"{_validation.memory_text(self.max_memory)}). Raise it, read fewer "
                "strings, or use exact state vectors, which need no groups."
            )

    def check_working_memory(self, program: Program, needed: int) -> None:
        """Refuse a program that builds its own circuits, if these need more memory [bytes]."""
        if needed > self.max_memory:
            raise ResourceError(
                f"`max_memory` must be at least {_validation.memory_text(needed, up=True)} for a "
                f"circuit of {program.num_qubits} qubits (got "
                f"{_validation.memory_text(self.max_memory)}). Raise it, or use a circuit "
                "of fewer qubits."
            )

    def refuse(self, what: str, method: str, fits: float, way_out: str) -> NoReturn:
        """Raise the error of a circuit or readout that is too wide."""
        number = f"at most {fits} fit" if fits else "not even one fits"
        raise ResourceError(
            f"{what}, but with method {method} and `max_memory` of "
            f"{_validation.memory_text(self.max_memory)}, {number}. {way_out}"
        )


def in_words(number: int, thing: str) -> str:
    """Return a number and a thing, in the plural if needed."""
    return f"{number} {thing}{'' if number == 1 else 's'}"
