"""Cut of a job into stacks, so that every core has a run.

A job has S rows of shared angles and B samples. Samples fill a state of limited size. Rows of
angles are a table, one run each, or index qubits of the same state. With C cores, the rule is:

1. In states of up to 10 qubits, rows are index qubits: Aer takes longer to bind the angles of a
   run than to simulate it.
2. A job of up to 2^13 amplitudes is one run, because threads would take longer to start.
3. Otherwise there are at least C runs. If S is C or more, they are rows. They are a table if C
   cores bind S rows faster than C stacks reach Aer, which takes one core; otherwise C stacks or
   more, of equal numbers of rows, run in one call.
4. If S is less than C, samples are divided among several stacks of at least 2^13 amplitudes.

On a GPU, which runs one stack at a time, rows are index qubits of a state of up to 2^24 amplitudes,
and samples fill the rest.

The cut changes the number of runs and the last digits of exact values, but no setting and no shot.
"""

from __future__ import annotations

from dataclasses import dataclass

from hybridopt.execution.aer.simulator import AMPLITUDES_OF_SMALL_TABLES
from hybridopt.execution.aer.stack import Stack
from hybridopt.execution.memory_budget import Limits

QUBITS_OF_A_TINY_RUN = 10
QUBITS_OF_ROWS_ON_A_GPU = 10  # a diagonal on index qubits has twice as many entries, 60 ns each
SECONDS_PER_BINDING = 2e-6  # measured, per gate and run of a table
SECONDS_PER_TRANSFER = 1e-5  # measured, per gate and stack, on one core


@dataclass(frozen=True)
class Cut:
    """Sizes of the runs of a job.

    Attributes:
        samples: Largest number of samples per stack.
        table_bits: Number of index qubits for rows of shared angles; 0 if rows are a table.
        stacks: Largest number of stacks per call of Aer, which run in parallel.
    """

    samples: int
    table_bits: int = 0
    stacks: int = 1


def cut(shape: tuple[int, int], num_qubits: int, settings: int, limits: Limits, cores: int) -> Cut:
    """Return the cut of a job.

    Args:
        shape: Numbers of rows of shared angles and of samples.
        num_qubits: Number of qubits of the circuit.
        settings: Number of measurement bases, whose probabilities are saved in each run.
        limits: Memory limits, and the device.
        cores: Number of runs that execute at the same time.
    """
    num_shared, num_rows = shape
    largest = limits.stack_size(num_qubits, table=num_shared > 1, settings=settings)
    samples = min(largest, num_rows)
    row = num_qubits + Stack.bits_for(samples)  # qubits of one row of angles
    if num_shared == 1:
        return Cut(samples)
    if limits.on_gpu:
        room = largest.bit_length() - 1
        bits = min(Stack.bits_for(num_shared), room, QUBITS_OF_ROWS_ON_A_GPU)
        return Cut(min(samples, 1 << (room - bits)), bits)
    room = limits.stack_size(row, table=True).bit_length() - 1
    rows_inside = min(Stack.bits_for(num_shared), room) if row <= QUBITS_OF_A_TINY_RUN else 0
    few = num_shared < cores
    if cores == 1 or num_shared << row <= AMPLITUDES_OF_SMALL_TABLES or (few and rows_inside):
        return Cut(samples, rows_inside)
    if few:
        return _divided(shape, num_qubits, samples, cores)
    binding = num_shared * SECONDS_PER_BINDING / cores
    if not rows_inside or binding <= cores * SECONDS_PER_TRANSFER:
        return Cut(samples)
    return Cut(samples, min(rows_inside, (num_shared // cores).bit_length() - 1), cores)


def _divided(shape: tuple[int, int], num_qubits: int, samples: int, cores: int) -> Cut:
    """Return the cut with samples in several stacks, so that every core has a run."""
    num_shared, num_rows = shape
    stacks = -(-cores // num_shared)
    smallest = max(1, AMPLITUDES_OF_SMALL_TABLES >> num_qubits)
    size = max(smallest, 1 << max(0, (num_rows // stacks).bit_length() - 1))
    return Cut(min(samples, size), 0, stacks)
