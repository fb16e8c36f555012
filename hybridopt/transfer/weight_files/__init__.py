"""Files of weights: formats recognised by their content, read without running code."""

from hybridopt.transfer.weight_files.reading import read_weights

__all__ = ["read_weights"]
