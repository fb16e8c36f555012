"""Values of OpenQASM programs that Python has no type for: bits and durations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from qiskit.circuit import ParameterExpression

Number: TypeAlias = bool | int | float | ParameterExpression
SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}


@dataclass(frozen=True)
class Bits:
    """Qubits, classical bits or known values 0 and 1, the least significant first.

    Attributes:
        items: Elements.
        single: Whether this is one element and not a register.
    """

    items: tuple[Any, ...]
    single: bool = False


@dataclass(frozen=True)
class Duration:
    """Time with its unit, one of s, ms, us, ns and dt (cycles of a device)."""

    value: float
    unit: str

    def in_unit(self, unit: str) -> float:
        """Return the number of units; seconds and cycles cannot be converted."""
        if unit == self.unit:
            return self.value
        if "dt" in (unit, self.unit):
            raise ValueError("durations in `dt` and in seconds cannot be combined")
        return self.value * SECONDS[self.unit] / SECONDS[unit]

    def __neg__(self) -> Duration:
        return Duration(-self.value, self.unit)
