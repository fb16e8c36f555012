"""Jobs travel whole; a readout knows how many numbers it takes."""

from __future__ import annotations

import pickle
import re

import numpy as np
import pytest

from hybridopt.circuits import MemoryProgram
from hybridopt.errors import ArgumentError
from hybridopt.execution import AerExecutor, Job, Probabilities, Stream

from .programs import rotations_job


def test_job_is_picklable():
    job = rotations_job(2, 3, stream=Stream(4, 1, 2))
    copied = pickle.loads(pickle.dumps(job))
    assert (copied.program, copied.readout, copied.stream) == (
        job.program,
        job.readout,
        Stream(call=4, first_shared=1, first_row=2),
    )
    np.testing.assert_array_equal(copied.rows, job.rows)
    np.testing.assert_array_equal(copied.shared, job.shared)


def test_stream_starts_at_the_first_row():
    assert Stream(3) == Stream(call=3, first_shared=0, first_row=0)


@pytest.mark.parametrize("num_index_qubits", [1, 3, 4])
def test_probabilities_read_every_outcome(num_index_qubits):
    outputs = Probabilities().num_outputs(MemoryProgram(num_index_qubits))
    assert outputs == 2 * 2**num_index_qubits


@pytest.mark.parametrize(
    ("rows", "shared", "message"),
    [
        (np.zeros((1, 0)), np.zeros((1, 5)), "Table `shared` must have 4 angles in a row"),
        (np.zeros((1, 3)), np.zeros((1, 4)), "Table `rows` must have 0 angles in a row"),
        (np.zeros((1, 0)), np.full((1, 4), np.nan), "Angle 0 is nan (in table `shared`)"),
    ],
)
def test_tables_that_do_not_fit_are_refused(rows, shared, message, aer_calls):
    job = Job(MemoryProgram(2), Probabilities(), rows, shared)
    with pytest.raises(ArgumentError, match=re.escape(message)):
        AerExecutor().run(job)
    assert aer_calls == []
