"""Bridges: rules that carry a network into circuits and back, and their controls."""

from hybridopt.bridges.api import BRIDGES, to_classical, to_quantum
from hybridopt.bridges.base import Bridge
from hybridopt.bridges.generator import Generator, GeneratorNetwork
from hybridopt.bridges.memory import Memory, MemoryNetwork
from hybridopt.bridges.mesh import Mesh, MeshNetwork
from hybridopt.bridges.quantum_network import QuantumNetwork
from hybridopt.bridges.subspaces import RandomSubspace, WalshSubspace
from hybridopt.bridges.twin import Twin

__all__ = [
    "BRIDGES",
    "Bridge",
    "Generator",
    "GeneratorNetwork",
    "Memory",
    "MemoryNetwork",
    "Mesh",
    "MeshNetwork",
    "QuantumNetwork",
    "RandomSubspace",
    "Twin",
    "WalshSubspace",
    "to_classical",
    "to_quantum",
]
