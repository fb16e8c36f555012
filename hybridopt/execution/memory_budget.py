"""Memory budget: how much runs at one time."""

from __future__ import annotations

import os
from dataclasses import dataclass

from hybridopt.circuits.program import BYTES_PER_STATE_AMPLITUDE

BYTES_PER_COMPLEX = 16
BYTES_PER_ADJOINT_AMPLITUDE = 128  # the stack of both states, copies in numpy, their product
BYTES_PER_PROBABILITY = 24  # of each further setting: in Aer, in its result, and in numpy
BYTES_PER_SAVED_AMPLITUDE = 32  # in Aer's result and in numpy
# One run of many samples: a gate on so many amplitudes is still bound by arithmetic, not memory.
AMPLITUDES_PER_RUN = 1 << 19
# A table of angles: Aer gives each core a run of its own, which should fit into its cache.
AMPLITUDES_PER_ROW_OF_A_TABLE = 1 << 15
ROWS_PER_CALL = 4096
SAVED_BYTES_PER_CALL = 1 << 28  # what one call may bring back, however large the memory is


@dataclass(frozen=True)
class Limits:
    """Sizes of the pieces that a job is cut into, from the bytes that they may take."""

    max_memory: int

    def stack_size(self, num_qubits: int, *, table: bool, settings: int = 1) -> int:
        """Return samples side by side, with so many settings read: a power of two."""
        usual = AMPLITUDES_PER_ROW_OF_A_TABLE if table else AMPLITUDES_PER_RUN
        amplitudes = min(usual, self.max_memory // _bytes_per_amplitude(settings))
        return 1 << max(0, (amplitudes >> num_qubits).bit_length() - 1)

    def runs_per_call(self, num_qubits: int, settings: int = 1) -> int:
        """Runs of that many qubits, index included, whose results are held together."""
        held = min(self.max_memory, SAVED_BYTES_PER_CALL)
        fit = held // (_bytes_per_amplitude(settings) << num_qubits)
        return max(1, min(ROWS_PER_CALL, fit))

    def settings_at_once(self, num_qubits: int) -> int:
        """Settings read from one run: their probabilities take a quarter of the memory at most."""
        return max(1, self.max_memory // 4 // (BYTES_PER_PROBABILITY << num_qubits))

    def states_at_once(self, num_qubits: int) -> int:
        """States saved in one run, which take half of the memory at most."""
        return max(1, self.max_memory // 2 // (BYTES_PER_SAVED_AMPLITUDE << num_qubits))


def _bytes_per_amplitude(settings: int) -> int:
    return BYTES_PER_STATE_AMPLITUDE + BYTES_PER_PROBABILITY * max(0, settings - 1)


def physical_memory() -> int:
    """Bytes of this machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
