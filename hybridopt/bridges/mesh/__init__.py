"""Mesh bridge: data pass through circuits in place of Linear and Conv2d layers."""

from hybridopt.bridges.mesh.network import Mesh, MeshNetwork

__all__ = ["Mesh", "MeshNetwork"]
