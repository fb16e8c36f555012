"""Transfer learning: reuse a pretrained network for another task."""

from hybridopt.transfer.freezing import freeze, unfreeze
from hybridopt.transfer.groups import parameter_groups
from hybridopt.transfer.pretrained import KeyReport, load_weights
from hybridopt.transfer.schedule import Unfreeze
from hybridopt.transfer.transfer import transfer

__all__ = [
    "KeyReport",
    "Unfreeze",
    "freeze",
    "load_weights",
    "parameter_groups",
    "unfreeze",
    "transfer",
]
