"""Error for circuits, which is also an error of Qiskit."""

from __future__ import annotations

from qiskit.exceptions import QiskitError

from hybridopt.errors import HybridOptError


class CircuitError(HybridOptError, QiskitError, ValueError):  # type: ignore[misc]
    """Error for a circuit that cannot be run or differentiated."""

    __str__ = Exception.__str__  # Qiskit's returns the message in quotation marks
