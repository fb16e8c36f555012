"""Circuits as torch modules and as differentiable torch functions."""

from hybridopt.nn.circuit_layer import CircuitLayer
from hybridopt.nn.dressed import DressedCircuit, DressedSurrogate
from hybridopt.nn.fourier_series import FourierSeries

__all__ = ["CircuitLayer", "DressedCircuit", "DressedSurrogate", "FourierSeries"]
