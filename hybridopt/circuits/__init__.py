"""Circuits: Qiskit only, no torch, no simulator."""

from hybridopt.circuits.circuit_program import CircuitProgram
from hybridopt.circuits.loading import LoadedCircuit, circuit_names, load_circuit
from hybridopt.circuits.lowering import lower
from hybridopt.circuits.memory import MemoryProgram
from hybridopt.circuits.program import Program
from hybridopt.circuits.saving import save_circuit

__all__ = [
    # programs
    "CircuitProgram",
    "MemoryProgram",
    "Program",
    "lower",
    # files
    "LoadedCircuit",
    "circuit_names",
    "load_circuit",
    "save_circuit",
]
