"""Bridges: rules that convert networks to circuits and back, and their controls."""

from hybridopt.bridges.api import BRIDGES, to_classical, to_quantum
from hybridopt.bridges.base import Bridge, QuantumNetwork
from hybridopt.bridges.generator.network import Generator
from hybridopt.bridges.memory.network import Memory
from hybridopt.bridges.mesh.network import Mesh, MeshNetwork
from hybridopt.bridges.subspaces import RandomSubspace, WalshSubspace
from hybridopt.bridges.twin import Twin
from hybridopt.bridges.weight_network import WeightNetwork

__all__ = [
    "BRIDGES",
    "Bridge",
    "Generator",
    "Memory",
    "Mesh",
    "MeshNetwork",
    "QuantumNetwork",
    "RandomSubspace",
    "Twin",
    "WalshSubspace",
    "WeightNetwork",
    "to_classical",
    "to_quantum",
]
