"""Parts of jobs fit into memory and hold at least one sample."""

from __future__ import annotations

import pytest

from hybridopt.execution.memory_budget import (
    AMPLITUDES_PER_ROW_OF_A_TABLE,
    AMPLITUDES_PER_RUN,
    BYTES_PER_STATE_AMPLITUDE,
    ROWS_PER_CALL,
    Limits,
)

PLENTY = 1 << 40


def test_stacks_fill_a_run():
    limits = Limits(PLENTY)
    assert limits.stack_size(4, table=False) << 4 == AMPLITUDES_PER_RUN
    assert limits.stack_size(4, table=True) << 4 == AMPLITUDES_PER_ROW_OF_A_TABLE
    assert limits.stack_size(25, table=True) == 1


@pytest.mark.parametrize("memory", [1, 1000, 10**5, 10**7, 10**9])
@pytest.mark.parametrize("qubits", [1, 5, 11])
def test_stacks_fit_into_memory_or_hold_one_sample(memory, qubits):
    size = Limits(memory).stack_size(qubits, table=False)
    assert size & (size - 1) == 0
    assert size == 1 or (size * BYTES_PER_STATE_AMPLITUDE << qubits) <= memory


def test_results_of_a_call_fit():
    limits = Limits(1 << 20)
    assert limits.runs_per_call(10) * (BYTES_PER_STATE_AMPLITUDE << 10) <= 1 << 20
    assert limits.runs_per_call(10) > 1
    assert limits.runs_per_call(30) == 1
    assert Limits(PLENTY).runs_per_call(2) == ROWS_PER_CALL
