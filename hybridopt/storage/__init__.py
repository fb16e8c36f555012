"""Quantum networks in files: `save` and `load`."""

from hybridopt.storage.keeping import load, save

__all__ = ["load", "save"]
