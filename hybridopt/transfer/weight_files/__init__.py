"""Files of weights: formats told apart by their content, read without running code."""

from hybridopt.transfer.weight_files.reading import read_weights

__all__ = ["read_weights"]
