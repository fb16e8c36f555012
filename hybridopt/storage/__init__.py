"""Quantum networks in files: `save` and `load`."""

from hybridopt.storage.save_load import load, save

__all__ = ["load", "save"]
