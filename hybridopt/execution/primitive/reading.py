"""Outputs and variances from the results of samplers and estimators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float64, UInt8
from qiskit.primitives import BitArray

from hybridopt.circuits.program import Program
from hybridopt.errors import ExecutionError
from hybridopt.execution.primitive.isa_circuits import REGISTER
from hybridopt.execution.readout import Expectations, Readout

Shots = UInt8[np.ndarray, "cells shots bytes"]  # outcomes in bytes, the most significant first
Values = Float64[np.ndarray, "cells K"]
ENTRIES_AT_ONCE = 1 << 22  # of tables of frequencies
WIDEST_TABLE = 12  # qubits of a table of frequencies; beyond, outcomes that occurred are counted


def shots_of(pub_result: Any, cells: int, num_bits: int) -> Shots:
    """Return the shots of a pub; raise ExecutionError if the sampler returns something else."""
    bits = getattr(pub_result.data, REGISTER, None)
    if not isinstance(bits, BitArray):
        raise ExecutionError(
            f"The sampler must return bits of the register `{REGISTER}` (got "
            f"{type(bits).__name__}). Set the measurement type of its options to 'classified'."
        )
    array: Shots = bits.array.reshape(-1, *bits.array.shape[-2:])
    if bits.num_bits != num_bits or len(array) != cells:
        raise ExecutionError(
            f"The sampler must return {num_bits} bits for each of {cells} rows (got "
            f"{bits.num_bits} bits for {len(array)} rows). Report this to its authors."
        )
    return array


def read_shots(readout: Readout, program: Program, shots: Sequence[Shots]) -> tuple[Values, Values]:
    """Return outputs and their variances from the shots of each setting."""
    widest = max(len(setting.qubits) for setting in readout.settings(program))
    cells = len(shots[0])
    size = max(1, ENTRIES_AT_ONCE >> widest)
    if isinstance(readout, Expectations) and widest > WIDEST_TABLE:
        size = 1
    parts = [
        _read_part(readout, program, [one[first : first + size] for one in shots], widest)
        for first in range(0, cells, size)
    ]
    values, variances = (np.concatenate(kind) for kind in zip(*parts, strict=True))
    return values, variances


def _read_part(
    readout: Readout, program: Program, shots: Sequence[Shots], widest: int
) -> tuple[Values, Values]:
    count = shots[0].shape[1]
    if isinstance(readout, Expectations) and widest > WIDEST_TABLE:
        mean, variance = readout.read_counts(program, [counted(one[0]) for one in shots])
        return mean[None], variance[None] / count
    tables = [
        frequencies(one, len(setting.qubits))
        for one, setting in zip(shots, readout.settings(program), strict=True)
    ]
    return readout.read(program, tables), readout.variances(program, tables) / count


def frequencies(shots: Shots, num_bits: int) -> Values:
    """Return the relative frequency of each outcome per cell."""
    cells, count, width = shots.shape
    outcomes = np.zeros((cells, count), dtype=np.int64)
    for byte in range(width):
        outcomes = (outcomes << 8) | shots[..., byte]
    outcomes += np.arange(cells)[:, None] << num_bits
    flat = np.bincount(outcomes.ravel(), minlength=cells << num_bits)
    return np.asarray(flat.reshape(cells, -1) / count)


def counted(shots: UInt8[np.ndarray, "shots bytes"]) -> dict[int, int]:
    """Return the number of shots of each outcome that occurred."""
    found, counts = np.unique(shots, axis=0, return_counts=True)
    outcomes = (int.from_bytes(one.tobytes(), "big") for one in found)
    return dict(zip(outcomes, counts.tolist(), strict=True))


def estimates_of(
    pub_result: Any, shape: tuple[int, int], precision: float
) -> tuple[Values, Values]:
    """Return values and variances of a pub, one row per cell and one column per observable.

    An estimator that reports no standard errors, or only zeros, has reached its precision.
    """
    values = _column(pub_result, "evs", shape)
    if values is None or not np.isfinite(values).all():
        raise ExecutionError(
            f"The estimator must return {shape[0]} x {shape[1]} finite values `evs` (got "
            f"{pub_result.data!r:.200}). Report this to its authors."
        )
    errors = _column(pub_result, "stds", shape)
    if errors is None or not np.nan_to_num(errors).any():
        errors = np.full(values.shape, precision)
    return values, errors**2


def _column(pub_result: Any, name: str, shape: tuple[int, int]) -> Values | None:
    found = np.asarray(getattr(pub_result.data, name, None))
    if found.dtype.kind not in "fi" or found.size != shape[0] * shape[1]:
        return None
    return np.ascontiguousarray(found.reshape(shape).T, dtype=np.float64)
