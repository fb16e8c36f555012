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


class SizedInteger(int):
    """Integer of a declared size, such as ``uint[4]``.

    Args:
        value: The value; it wraps around as in OpenQASM.
        size: Number of bits.
        signed: Whether one of the bits is the sign.
    """

    range: range

    def __new__(cls, value: int, size: int, *, signed: bool) -> SizedInteger:
        """Return the integer, wrapped around to its size."""
        low = -(1 << (size - 1)) if signed else 0
        self = super().__new__(cls, (value - low) % (1 << size) + low)
        self.range = range(low, low + (1 << size))
        return self

    def __deepcopy__(self, memo: object) -> SizedInteger:
        return self


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
