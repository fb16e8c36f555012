"""Memory bridge: the weights of any network as cosines of the angles of one circuit."""

from hybridopt.bridges.memory.network import Memory

__all__ = ["Memory"]
