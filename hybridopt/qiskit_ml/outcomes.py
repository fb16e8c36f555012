"""From the qubits that are read to the integers that a SamplerQNN interprets, and its outputs."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
from jaxtyping import Int64
from qiskit import QuantumCircuit

from hybridopt.circuits.instructions import without_measurements
from hybridopt.errors import ArgumentError, ArgumentTypeError, CircuitError

DROPPED = -1
MAX_BITS = 30  # a table of 2^30 integers is 8 GB, and no simulator goes further
Interpret = Callable[[int], Any]


@dataclass(frozen=True, eq=False)
class Outcomes:
    """Classical bits that are read, and the integer that each outcome stands for."""

    bits: tuple[int, ...]  # the first is the least significant bit of the outcome
    keys: Int64[np.ndarray, " outcomes"]  # DROPPED where a SamplerQNN leaves it out


def outcomes_of(circuit: QuantumCircuit, num_virtual_qubits: int, *, squeezed: bool) -> Outcomes:
    """Return the integers that the classical bits of a circuit stand for, in the order of the bits.

    A register named ``meas`` is read alone; otherwise all registers are joined, the first the
    least significant. If all qubits of a device are measured, each into the bit of its number, as
    by ``measure_all`` after the circuit was transpiled, the bits of the circuit's qubits before
    it was transpiled are read, in their order. (A SamplerQNN reads a transpiled circuit so
    whatever was measured into which bit, which mixes up the bits of a circuit that was measured
    before it was transpiled, qiskit-machine-learning issue 1040.)

    Classical bits that nothing is measured into read 0, or are left out (``squeezed``), as
    `QMLSampler` without shots does. The circuit had ``num_virtual_qubits`` before it was placed.
    """
    measured = without_measurements(circuit)[1]
    bits = [bit for bit in joined_bits(circuit) if not squeezed or bit in measured]
    if not any(bit in measured for bit in bits):
        raise CircuitError(
            "The circuit of the SamplerQNN measures into no classical register. Use "
            "`circuit.measure_all()`, or a circuit without classical bits."
        )
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
    """Refuse an unmeasured bit below a measured one, about which samplers disagree."""
    bits, found = joined_bits(circuit), without_measurements(circuit)[1]
    measured = [place for place, bit in enumerate(bits) if bit in found]
    for place in range(max(measured, default=0)):
        if place not in measured:
            raise CircuitError(
                f"Classical bit {bits[place]} is not measured but a bit above it is. QMLSampler "
                "leaves it out and other samplers read 0, so that a gradient cannot know what the "
                "network reads. Measure into a register of the right size."
            )


def output_index(
    keys: Int64[np.ndarray, " outcomes"], interpret: Interpret, output_shape: tuple[int, ...]
) -> Int64[np.ndarray, " outcomes"]:
    """Return the flat index of the output that each outcome counts for, `DROPPED` for none."""
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
                f"interpret({key}) must return an int or a tuple of ints, but returned {value!r}."
            ) from None
        except IndexError:
            place = flat
        if np.ndim(place):
            raise ArgumentError(
                f"interpret({key}) returned {value!r}, which is no index into the output shape "
                f"{output_shape}."
            )
        index[outcome] = place
    return index


def _table(bits: list[int], sources: list[int | None], num_virtual_qubits: int) -> Outcomes:
    """Bits of one qubit are the same, and are read once."""
    first: dict[int, int] = {}
    for bit, qubit in zip(bits, sources, strict=True):
        if qubit is not None:
            first.setdefault(qubit, bit)
    if len(first) > MAX_BITS:
        raise CircuitError(
            f"The circuit measures {len(first)} qubits; outputs for all outcomes of more than "
            f"{MAX_BITS} do not fit into memory. Measure fewer."
        )
    place = {qubit: number for number, qubit in enumerate(first)}
    outcomes = np.arange(1 << len(first))
    keys = np.zeros_like(outcomes)
    for bit, qubit in enumerate(sources):
        if qubit is not None:
            keys |= ((outcomes >> place[qubit]) & 1) << min(bit, num_virtual_qubits)
    keys[keys >= 1 << num_virtual_qubits] = DROPPED
    return Outcomes(tuple(first.values()), keys)
