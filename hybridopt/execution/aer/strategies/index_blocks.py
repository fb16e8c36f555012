"""Strategy for multiplexers that are too large for one circuit: blocks of index bits in turn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from hybridopt.circuits.program import Program
from hybridopt.circuits.ry_multiplexer import (
    MultiplexerProgram,
    multiplexer_circuit,
    ry_matrices,
)
from hybridopt.execution.aer.in_place.state import BufferedState
from hybridopt.execution.aer.simulator import RunRequest, as_double, small_or_large
from hybridopt.execution.aer.strategies.base import PartialResult, Strategy
from hybridopt.execution.job import Job
from hybridopt.execution.memory_budget import Limits
from hybridopt.execution.random_stream import Sampler
from hybridopt.execution.readout import Readout, Setting

# Measured, per index: .28 us in blocks of 2^10 (the matrices fit into the cache), .33 in blocks of
# 2^14; 1.9 us in circuits, whose fixed cost is 2 ms.
INDEX_QUBITS_IN_PLACE = 10
INDEX_QUBITS_OF_A_CIRCUIT = 14
SMALLEST_BLOCK = 6  # index qubits
BYTES_PER_SELECTED_GATE = 1200  # measured: matrix, its copies in Aer, two amplitudes
HADAMARD = np.array([[1, 1], [1, -1]], dtype=complex) / np.sqrt(2)

Angles = Float64[np.ndarray, " n"]
Table = Float64[np.ndarray, "2 n"]


def multiplexer_of(program: Program, readout: Readout) -> MultiplexerProgram | None:
    """Return the program if it is a multiplexer whose blocks give the readout, else None.

    The readout must measure all qubits in Z: a measurement of the index in X mixes blocks.
    """
    if not (isinstance(program, MultiplexerProgram) and program.is_multiplexer):
        return None
    whole = (Setting((), tuple(range(program.num_qubits))),)
    return program if readout.settings(program) == whole else None


def needs_blocks(program: MultiplexerProgram) -> bool:
    """Return True if blocks in place are faster than one circuit."""
    return program.num_index_qubits > INDEX_QUBITS_IN_PLACE


@dataclass(frozen=True, eq=False)
class IndexBlocks(Strategy):
    """Strategy that runs a multiplexer in blocks of the lower index qubits.

    The upper index qubits are looped over classically. In a buffer of numpy, the superposition of
    the lower ones is prepared once and is the start of each block.
    """

    name = "index-blocks"
    in_place: bool  # on a buffer, which Aer offers on the CPU and in double precision

    def parts(self, job: Job, sampler: Sampler | None = None) -> Iterator[PartialResult]:
        """Run one setting after another."""
        num_index_qubits = job.program.num_qubits - 1
        size = 1 << self._block_qubits(num_index_qubits)
        fill = self._fill_in_place if self.in_place else self._fill_by_circuits
        for s, b in np.ndindex(len(job.shared), len(job.rows)):
            if self.in_place:
                self.simulator.count_in_place(job.readout, 1, 1)
            table = np.empty((2, 1 << num_index_qubits))
            fill(job.shared[s], table, size)
            table *= size / table.shape[1]
            cells = table.reshape(1, 1, -1)
            yield PartialResult(np.array([s]), np.array([b]), [cells])

    def explain(self, job: Job) -> str:
        """Return the blocks in words."""
        total = job.program.num_qubits - 1
        block = self._block_qubits(total)
        where = "on a buffer of numpy" if self.in_place else "as a circuit of its own"
        return (
            f"one multiplexer of {1 << total} RY gates, {where}, in {1 << (total - block)} blocks "
            f"of {1 << block} indices, which count as one setting"
        )

    def _block_qubits(self, num_index_qubits: int) -> int:
        usual = INDEX_QUBITS_IN_PLACE if self.in_place else INDEX_QUBITS_OF_A_CIRCUIT
        return min(num_index_qubits, block_qubits(self.limits, usual))

    def _fill_in_place(self, angles: Angles, table: Table, size: int) -> None:
        """Write the probabilities of each block, from gates of Aer on one buffer."""
        index = list(range(size.bit_length() - 1))
        buffer = np.zeros(2 * size, dtype=complex)
        buffer[0] = 1.0
        matrices = np.empty((size, 2, 2), dtype=complex)
        with BufferedState(buffer) as state:
            state.apply([([qubit], HADAMARD) for qubit in index])
            start = buffer.copy()
            for first in range(0, len(angles), size):
                block = slice(first, first + size)
                buffer[:] = start
                state.multiplex(index, len(index), ry_matrices(angles[block], matrices))
                probabilities = np.square(buffer.real)
                probabilities += np.square(buffer.imag)
                table[:, block] = probabilities.reshape(2, size)

    def _fill_by_circuits(self, angles: Angles, table: Table, size: int) -> None:
        """Write the probabilities of each block, from one circuit of Aer per block."""
        for first in range(0, len(angles), size):
            block = slice(first, first + size)
            circuit = multiplexer_circuit(angles[block])
            circuit.save_probabilities(label="all")
            request = RunRequest(circuit, settings=int(first == 0))
            options = small_or_large(circuit.num_qubits)
            ((data,),) = self.simulator.submit([request], **options)
            table[:, block] = as_double(data["all"]).reshape(2, size)


def block_qubits(limits: Limits, usual: int) -> int:
    """Return the number of index qubits of a block that takes an eighth of the memory at most."""
    fit = max(1, limits.max_memory // 8 // BYTES_PER_SELECTED_GATE)
    return max(SMALLEST_BLOCK, min(usual, fit.bit_length() - 1))
