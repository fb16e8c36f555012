"""Files of quantum networks: `save` and `load`."""

from hybridopt.storage.loading import load
from hybridopt.storage.saving import save

__all__ = ["load", "save"]
