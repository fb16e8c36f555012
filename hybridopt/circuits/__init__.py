"""Circuits: Qiskit only, no torch, no simulator."""

from hybridopt.circuits.loading import LoadedCircuit, circuit_names, load_circuit
from hybridopt.circuits.lowering import lower
from hybridopt.circuits.program import CircuitProgram, Program
from hybridopt.circuits.saving import save_circuit

__all__ = [
    # programs
    "CircuitProgram",
    "Program",
    "lower",
    # files
    "LoadedCircuit",
    "circuit_names",
    "load_circuit",
    "save_circuit",
]
