"""Where torch's autograd and an executor meet."""

from hybridopt.nn.circuit_layer import CircuitLayer
from hybridopt.nn.dressed import DressedCircuit, DressedSurrogate
from hybridopt.nn.fourier_series import FourierSeries

__all__ = ["CircuitLayer", "DressedCircuit", "DressedSurrogate", "FourierSeries"]
