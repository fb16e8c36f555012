"""Bridges: rules that carry a network into circuits and back, and their controls."""

from hybridopt.bridges.bridge import Bridge
from hybridopt.bridges.conversion import BRIDGES, to_classical, to_quantum
from hybridopt.bridges.memory import Memory, MemoryNetwork
from hybridopt.bridges.quantum_network import QuantumNetwork
from hybridopt.bridges.random_subspace import RandomSubspace
from hybridopt.bridges.twin import Twin

__all__ = [
    "BRIDGES",
    "Bridge",
    "Memory",
    "MemoryNetwork",
    "QuantumNetwork",
    "RandomSubspace",
    "Twin",
    "to_classical",
    "to_quantum",
]
