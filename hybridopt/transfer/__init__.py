"""Transfer: carry what a network has learned to another task."""

from hybridopt.transfer.freezing import freeze, thaw
from hybridopt.transfer.groups import parameter_groups
from hybridopt.transfer.pretrained import KeyReport, load_weights
from hybridopt.transfer.schedule import Thaw
from hybridopt.transfer.transfer import transfer

__all__ = [
    "KeyReport",
    "Thaw",
    "freeze",
    "load_weights",
    "parameter_groups",
    "thaw",
    "transfer",
]
