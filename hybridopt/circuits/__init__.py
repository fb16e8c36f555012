"""Circuits as Qiskit sees them: programs, their synthesis and the algebra behind it."""

from hybridopt.circuits.memory import MemoryProgram
from hybridopt.circuits.program import Program

__all__ = ["MemoryProgram", "Program"]
