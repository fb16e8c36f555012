"""How much runs at one time."""

from __future__ import annotations

import os
from dataclasses import dataclass

BYTES_PER_AMPLITUDE = 64  # Aer's state, what it saves, numpy's copy and its probabilities
# One run of many samples: a gate on so many amplitudes is still bound by arithmetic, not memory.
AMPLITUDES_PER_RUN = 1 << 19
# A table of angles: Aer gives each core a run of its own, which should fit into its cache.
AMPLITUDES_PER_ROW_OF_A_TABLE = 1 << 15
ROWS_PER_CALL = 4096
SAVED_BYTES_PER_CALL = 1 << 28  # what one call may bring back, however large the memory is


@dataclass(frozen=True)
class Limits:
    """Sizes of the pieces that a job is cut into.

    Attributes:
        max_memory: Bytes.
        amplitudes: Largest stack; None leaves it to the strategy.
        rows_per_call: Longest table of angles.
    """

    max_memory: int
    amplitudes: int | None = None
    rows_per_call: int = ROWS_PER_CALL

    def stack_size(self, num_qubits: int, *, table: bool) -> int:
        """Samples side by side: a power of two, at least 1."""
        default = AMPLITUDES_PER_ROW_OF_A_TABLE if table else AMPLITUDES_PER_RUN
        amplitudes = min(self.amplitudes or default, self.max_memory // BYTES_PER_AMPLITUDE)
        return 1 << max(0, (amplitudes >> num_qubits).bit_length() - 1)

    def runs_per_call(self, num_qubits: int) -> int:
        """Runs of that many qubits, index included, whose results are held together."""
        held = min(self.max_memory, SAVED_BYTES_PER_CALL)
        return max(1, min(self.rows_per_call, held // (BYTES_PER_AMPLITUDE << num_qubits)))


def physical_memory() -> int:
    """Bytes of this machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
