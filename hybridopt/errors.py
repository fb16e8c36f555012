"""Our errors: each is a `HybridOptError` and the built-in that a caller would catch."""

from __future__ import annotations


class HybridOptError(Exception):
    """Base class of everything that hybridopt raises on purpose."""


class ArgumentError(HybridOptError, ValueError):
    """An argument has the right type and an unusable value."""


class ArgumentTypeError(HybridOptError, TypeError):
    """An argument has the wrong type."""


class UnknownNameError(ArgumentError):
    """A name is not in its registry; the message lists the nearest ones."""


class DataError(HybridOptError, ValueError):
    """Samples or labels that no network can be trained on."""


class ConversionError(HybridOptError, ValueError):
    """A network has no circuit form, or a circuit no torch form."""


class LayerAttributeError(HybridOptError, AttributeError):
    """A layer in a circuit is asked for the weights that it no longer holds."""


class CircuitError(HybridOptError, ValueError):
    """A circuit that cannot be run or differentiated as it is."""


class DeviceError(HybridOptError, RuntimeError):
    """A device that was asked for is not there."""


class UnsupportedError(HybridOptError, NotImplementedError):
    """A combination of settings that this version cannot run."""


class ExecutionError(HybridOptError, RuntimeError):
    """The simulator reported a failure."""


class ResourceError(HybridOptError, MemoryError):
    """A circuit or a table needs more memory than is allowed."""


class TrainingError(HybridOptError, ArithmeticError):
    """Training cannot go on, for instance because the loss is no longer finite."""


class CheckpointError(HybridOptError, ValueError):
    """A checkpoint is damaged or belongs to another training run."""


class OutputError(HybridOptError, OSError):
    """A file or folder cannot be written."""


class MissingExtraError(HybridOptError, ImportError):
    """An optional package is not installed; the message says which extra brings it."""
