"""Outcomes of a circuit as the integers that a SamplerQNN interprets, and its outputs."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
from jaxtyping import Int64
from qiskit import QuantumCircuit

from hybridopt.circuits.errors import CircuitError
from hybridopt.circuits.instructions import without_measurements
from hybridopt.errors import ArgumentError, ArgumentTypeError

DROPPED = -1
MAX_BITS = 30  # a table of 2^30 integers needs 8 GB, and simulators hold no more qubits
NOT_MEASURED = (
    "The circuit must measure into a classical register (got no such measurement). Use "
    "`circuit.measure_all()`."
)
Interpret = Callable[[int], Any]


@dataclass(frozen=True, eq=False)
class Outcomes:
    """Classical bits to read, and the integer of each outcome."""

    bits: tuple[int, ...]  # the first is the least significant bit of the outcome
    keys: Int64[np.ndarray, " outcomes"]  # DROPPED for outcomes that a SamplerQNN leaves out


def outcomes_of(circuit: QuantumCircuit, num_virtual_qubits: int, *, squeezed: bool) -> Outcomes:
    """Return the classical bits that a SamplerQNN reads, and the integers of their outcomes.

    A register named ``meas`` is read alone. Otherwise all registers are joined, the first the least
    significant. If all qubits of a device are measured after transpilation, each into the bit of
    its number, the bits are those of the layout. A SamplerQNN uses the layout of any transpiled
    circuit. It permutes the bits of a circuit that was measured before (qiskit-machine-learning
    issue 1040). Unmeasured classical bits are 0, or left out (``squeezed``) as by `QMLSampler`.
    """
    measured = without_measurements(circuit)[1]
    bits = [bit for bit in joined_bits(circuit) if not squeezed or bit in measured]
    if not any(bit in measured for bit in bits):
        raise CircuitError(NOT_MEASURED)
    sources = [measured.get(bit) for bit in bits]
    if circuit.layout is not None and sources == list(range(circuit.num_qubits)):
        places = circuit.layout.final_index_layout(filter_ancillas=True)
        bits, sources = [bits[place] for place in places], list(places)
    return _table(bits, sources, num_virtual_qubits)


def joined_bits(circuit: QuantumCircuit) -> list[int]:
    """Return the classical bits that a SamplerQNN reads, the least significant first."""
    registers = [register for register in circuit.cregs if register.name == "meas"]
    bits = (bit for register in registers or circuit.cregs for bit in register)
    return [circuit.find_bit(bit).index for bit in bits]


def refuse_gaps(circuit: QuantumCircuit) -> None:
    """Raise CircuitError for an unmeasured bit below a measured one: samplers disagree about it."""
    bits, found = joined_bits(circuit), without_measurements(circuit)[1]
    measured = [place for place, bit in enumerate(bits) if bit in found]
    for place in range(max(measured, default=0)):
        if place not in measured:
            raise CircuitError(
                f"Classical bit {bits[place]} must be measured, because a higher bit is. "
                "QMLSampler omits it, other samplers read 0. Use a register without unused bits."
            )


def output_index(
    keys: Int64[np.ndarray, " outcomes"], interpret: Interpret, output_shape: tuple[int, ...]
) -> Int64[np.ndarray, " outcomes"]:
    """Return the flat index of the output of each outcome, `DROPPED` for none."""
    flat = np.arange(np.prod(output_shape, dtype=np.int64)).reshape(output_shape)
    index = np.full(len(keys), DROPPED)
    for outcome in np.flatnonzero(keys != DROPPED).tolist():
        key = int(keys[outcome])
        value = interpret(key)
        try:
            parts = (value,) if isinstance(value, Integral) else tuple(value)
            place = flat[tuple(operator.index(part) for part in parts)]
        except TypeError:
            raise ArgumentTypeError(
                f"interpret({key}) must return an int or a tuple of ints (got {value!r})."
            ) from None
        except IndexError:
            place = flat
        if np.ndim(place):
            raise ArgumentError(
                f"interpret({key}) must return an index into the output shape {output_shape} (got "
                f"{value!r})."
            )
        index[outcome] = place
    return index


def check_width(num_qubits: int) -> None:
    """Raise CircuitError if the outcomes of this number of measured qubits do not fit in memory."""
    if num_qubits > MAX_BITS:
        raise CircuitError(
            f"The circuit must measure at most {MAX_BITS} qubits (got {num_qubits}): the "
            "probabilities of all outcomes must fit in memory."
        )


def _table(bits: list[int], sources: list[int | None], num_virtual_qubits: int) -> Outcomes:
    """Return the outcomes; several bits of one qubit are read once."""
    first: dict[int, int] = {}
    for bit, qubit in zip(bits, sources, strict=True):
        if qubit is not None:
            first.setdefault(qubit, bit)
    check_width(len(first))
    place = {qubit: number for number, qubit in enumerate(first)}
    outcomes = np.arange(1 << len(first))
    keys = np.zeros_like(outcomes)
    for bit, qubit in enumerate(sources):
        if qubit is not None:
            keys |= ((outcomes >> place[qubit]) & 1) << min(bit, num_virtual_qubits)
    keys[keys >= 1 << num_virtual_qubits] = DROPPED
    return Outcomes(tuple(first.values()), keys)
