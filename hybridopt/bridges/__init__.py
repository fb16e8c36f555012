"""Bridges: rules that carry a network into circuits and back, and their controls."""

from hybridopt.bridges.bridge import Bridge
from hybridopt.bridges.conversion import BRIDGES, to_classical, to_quantum
from hybridopt.bridges.generator import Generator, GeneratorNetwork
from hybridopt.bridges.memory import Memory, MemoryNetwork
from hybridopt.bridges.mesh import Mesh
from hybridopt.bridges.mesh_network import MeshNetwork
from hybridopt.bridges.quantum_network import QuantumNetwork
from hybridopt.bridges.random_subspace import RandomSubspace
from hybridopt.bridges.twin import Twin
from hybridopt.bridges.walsh_subspace import WalshSubspace

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
