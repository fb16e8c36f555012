"""Readouts: outputs of a circuit, and the measurement bases that they need."""

from hybridopt.execution.readout.expectations import Expectations
from hybridopt.execution.readout.probabilities import Probabilities, check_qubits
from hybridopt.execution.readout.setting import Setting

Readout = Probabilities | Expectations

__all__ = ["Expectations", "Probabilities", "Readout", "Setting", "check_qubits"]
