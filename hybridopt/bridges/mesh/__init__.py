"""The mesh bridge: the data pass through circuits that stand for Linear and Conv2d layers."""

from hybridopt.bridges.mesh.bridge import Mesh
from hybridopt.bridges.mesh.network import MeshNetwork

__all__ = ["Mesh", "MeshNetwork"]
