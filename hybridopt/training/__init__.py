"""Training: one loop for classical and quantum networks."""

from hybridopt.training.fit import fit
from hybridopt.training.history import EpochRecord, History

__all__ = ["EpochRecord", "History", "fit"]
