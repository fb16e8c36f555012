"""Errors of hybridopt; each is a `HybridOptError` and a built-in error.

`CircuitError` is also a `qiskit.exceptions.QiskitError`. It is in `hybridopt.circuits.errors` and
loads on first use, because the import of hybridopt does not import Qiskit.
"""

from __future__ import annotations

from importlib import import_module


class HybridOptError(Exception):
    """Base class of all errors of hybridopt."""


class ArgumentError(HybridOptError, ValueError):
    """Error for an argument of the right type with an invalid value."""


class ArgumentTypeError(HybridOptError, TypeError):
    """Error for an argument of the wrong type."""


class UnknownNameError(ArgumentError):
    """Error for an unknown name; the message lists similar names."""


class UnknownArgumentError(UnknownNameError, ArgumentTypeError):
    """Error for a keyword argument that a function without further options does not take."""


class DataError(HybridOptError, ValueError):
    """Error for samples or labels that no network can be trained on."""


class ConversionError(HybridOptError, ValueError):
    """Error for a network without a circuit form, or a circuit without a torch form."""


class MissingAttributeError(HybridOptError, AttributeError):
    """Error for an attribute that does not exist; the message lists similar names."""


class LayerAttributeError(HybridOptError, AttributeError):
    """Error for access to the weights of a layer whose weights are in a circuit."""


class ExactResultAttributeError(HybridOptError, AttributeError):
    """Error for access to shots of an exact result, which has probabilities."""


class DeviceError(HybridOptError, RuntimeError):
    """Error for a device that is not available."""


class UnsupportedError(HybridOptError, NotImplementedError):
    """Error for a combination of options that this version does not support."""


class ExecutionError(HybridOptError, RuntimeError):
    """Error for a failure that the simulator reports."""


class ResourceError(HybridOptError, MemoryError):
    """Error for a circuit or a table that exceeds the memory limit."""


class LimitError(HybridOptError, RuntimeError):
    """Error for a job that would exceed a limit of its executor; nothing of it was sent."""


class TrainingError(HybridOptError, ArithmeticError):
    """Error for training that cannot continue, such as a loss that is not finite."""


class CheckpointError(HybridOptError, ValueError):
    """Error for a file that is damaged or belongs to another training run."""


class OutputError(HybridOptError, OSError):
    """Error for a file or folder that cannot be written."""


class MissingExtraError(HybridOptError, ImportError):
    """Error for a missing optional package; the message names the install command."""


def __getattr__(name: str) -> type[HybridOptError]:
    if name != "CircuitError":
        raise import_module("hybridopt._validation").no_attribute(__name__, name)
    error: type[HybridOptError] = import_module("hybridopt.circuits.errors").CircuitError
    return error


def __dir__() -> list[str]:
    return sorted({*globals(), "CircuitError"})
