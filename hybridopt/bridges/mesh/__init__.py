"""The mesh bridge: the data pass through circuits that stand for Linear and Conv2d layers."""

from hybridopt.bridges.mesh.network import Mesh, MeshNetwork

__all__ = ["Mesh", "MeshNetwork"]
