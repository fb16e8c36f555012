"""Training loop for classical and quantum networks."""

from hybridopt.training.callbacks import Callback
from hybridopt.training.fit import fit
from hybridopt.training.history import EpochRecord, History, RangeTest
from hybridopt.training.tensorboard import TensorBoard

__all__ = ["Callback", "EpochRecord", "History", "RangeTest", "TensorBoard", "fit"]
