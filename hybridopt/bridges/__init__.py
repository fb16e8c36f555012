"""Bridges: rules that carry a network into circuits and back, and their controls."""

from hybridopt.bridges.conversion import BRIDGES, Bridge, to_classical, to_quantum
from hybridopt.bridges.memory import Memory, MemoryNetwork
from hybridopt.bridges.network import QuantumNetwork
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
