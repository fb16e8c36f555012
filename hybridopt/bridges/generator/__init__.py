"""Generator bridge: the weights of any network from a small circuit with few angles."""

from hybridopt.bridges.generator.network import Generator

__all__ = ["Generator"]
