"""Memory budget: sizes of the parts of a job that run at one time."""

from __future__ import annotations

import os
from dataclasses import dataclass

from hybridopt.circuits.program import BYTES_PER_STATE_AMPLITUDE

BYTES_PER_COMPLEX = 16
BYTES_PER_OUTPUT = 32  # result, the part that is added to it, and copies in torch
BYTES_PER_ADJOINT_AMPLITUDE = 320  # measured: both states, their copies in Aer, numpy's products
BYTES_PER_CHECKPOINT_AMPLITUDE = 384  # measured: a run that starts from a saved state
BYTES_PER_PROBABILITY = 24  # per further setting: in Aer, in its result, and in numpy
BYTES_PER_DRAWN_OUTCOME = 32  # with shots: frequencies, their variances and copies
BYTES_PER_INTERPOLATED_AMPLITUDE = 64  # per setting: saved states, sums of them, probabilities
BYTES_PER_SAVED_AMPLITUDE = 32  # in Aer's result and in numpy
# One run of many samples: up to this size, arithmetic limits the speed of a gate, not memory.
AMPLITUDES_PER_RUN = 1 << 19
# One run of a table of angles: each core runs one row, which should fit into its cache.
AMPLITUDES_PER_ROW_OF_A_TABLE = 1 << 15
# On a GPU, a gate on fewer amplitudes takes no less time than its start, about 10 us.
AMPLITUDES_PER_RUN_ON_A_GPU = 1 << 24
ROWS_PER_CALL = 4096
BYTES_PER_READ_STATE = 112  # saved state, its bra, permuted states, products
MOST_OF_OBSERVABLES = 1 << 28
BYTES_PER_STRING = 2000  # measured: groups of 100,000 strings on 10 qubits, and their settings
STRINGS_OF_SMALL_SUMS = 1000  # whose groups are small beside the program
BYTES_PER_COPY = 64  # from a GPU, per setting: in Aer's result, in numpy, and its probabilities
SAVED_BYTES_PER_CALL = 1 << 28  # largest result of one call, even on large machines


@dataclass(frozen=True)
class Limits:
    """Sizes of the parts of a job, within a memory limit [bytes]."""

    max_memory: int
    on_gpu: bool = False

    @property
    def of_observables(self) -> int:
        """Largest memory of tables of observables [bytes]."""
        return min(MOST_OF_OBSERVABLES, self.max_memory // 4)

    def stack_size(
        self, num_qubits: int, *, table: bool, settings: int = 1, bytes_each: int | None = None
    ) -> int:
        """Return the number of samples per run, a power of two, for a number of settings."""
        usual = AMPLITUDES_PER_ROW_OF_A_TABLE if table else AMPLITUDES_PER_RUN
        usual = AMPLITUDES_PER_RUN_ON_A_GPU if self.on_gpu else usual
        each = bytes_each or self._bytes_per_amplitude(settings)
        amplitudes = min(usual, self.max_memory // 2 // each)
        return 1 << max(0, (amplitudes >> num_qubits).bit_length() - 1)

    def runs_per_call(self, num_qubits: int, settings: int = 1) -> int:
        """Return the number of runs per call, for qubits that include the index."""
        held = min(self.max_memory // 2, SAVED_BYTES_PER_CALL)
        fit = held // (self._bytes_per_amplitude(settings) << num_qubits)
        return max(1, min(ROWS_PER_CALL, fit))

    def interpolated_rows(self, num_qubits: int, settings: int) -> int:
        """Return the number of rows per call whose states in all bases are saved or summed."""
        held = min(self.max_memory // 2, SAVED_BYTES_PER_CALL)
        each = BYTES_PER_STATE_AMPLITUDE + BYTES_PER_INTERPOLATED_AMPLITUDE * settings
        return max(1, min(ROWS_PER_CALL, held // (each << num_qubits)))

    def settings_at_once(self, num_qubits: int) -> int:
        """Return the number of settings per run, with probabilities in a quarter of the memory."""
        each = BYTES_PER_COPY if self.on_gpu else BYTES_PER_PROBABILITY
        return max(1, self.max_memory // 4 // (each << num_qubits))

    def kept_states(self, num_qubits: int) -> int:
        """Return the number of states that are saved and read per call."""
        fit = min(self.max_memory // 2, SAVED_BYTES_PER_CALL) // (
            BYTES_PER_READ_STATE << num_qubits
        )
        return max(1, min(ROWS_PER_CALL, fit))

    def states_at_once(self, num_qubits: int) -> int:
        """Return the number of states saved per run, within an eighth of the memory."""
        return max(1, self.max_memory // 8 // (BYTES_PER_SAVED_AMPLITUDE << num_qubits))

    def _bytes_per_amplitude(self, settings: int) -> int:
        if self.on_gpu:
            return BYTES_PER_STATE_AMPLITUDE + BYTES_PER_COPY * settings
        return BYTES_PER_STATE_AMPLITUDE + BYTES_PER_PROBABILITY * max(0, settings - 1)


def physical_memory() -> int:
    """Return the memory of this machine [bytes]."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def usable_cores() -> int:
    """Return the number of cores that this process may use, and so of the threads of Aer.

    Aer and torch obey the affinity of the process and ``OMP_NUM_THREADS``. They do not see the CPU
    quota of a container; set ``OMP_NUM_THREADS`` there.
    """
    every = os.cpu_count() or 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else every
    first = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return min(cores, int(first)) if first.isdecimal() and int(first) > 0 else cores
