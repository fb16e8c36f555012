"""Circuits: Qiskit only, no torch, no simulator."""

from hybridopt.circuits.circuit_program import CircuitProgram
from hybridopt.circuits.lowering import lower
from hybridopt.circuits.memory import MemoryProgram
from hybridopt.circuits.program import Program

__all__ = ["CircuitProgram", "MemoryProgram", "Program", "lower"]
