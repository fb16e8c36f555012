"""Where torch's autograd and an executor meet."""

from hybridopt.nn.circuit_layer import CircuitLayer
from hybridopt.nn.cosines import CosineReader, read_cosines
from hybridopt.nn.dressed import DressedCircuit, DressedSurrogate
from hybridopt.nn.fourier_series import FourierSeries
from hybridopt.nn.memory_reader import CircuitReader, ClosedFormSampler

__all__ = [
    "CircuitLayer",
    "CircuitReader",
    "ClosedFormSampler",
    "CosineReader",
    "DressedCircuit",
    "DressedSurrogate",
    "FourierSeries",
    "read_cosines",
]
