"""The generator bridge: the weights of any network from a small circuit with few angles."""

from hybridopt.bridges.generator.bridge import Generator, GeneratorNetwork

__all__ = ["Generator", "GeneratorNetwork"]
