"""Samples and rows of a table side by side in one circuit."""

from __future__ import annotations

import numpy as np
import pytest

from hybridopt.execution import AerExecutor, Probabilities
from hybridopt.execution.aer.stack import Stack
from tests.circuits.families import FAMILIES
from tests.execution.jobs import dense, job_of


@pytest.mark.parametrize("samples", [2, 7])
@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.name)
def test_every_block_is_a_circuit_of_its_own(family, samples):
    job = job_of(family.name, samples, 1, readout=Probabilities())
    executor = AerExecutor(strategy="stacked")
    np.testing.assert_allclose(executor.run(job), dense(job), rtol=0, atol=1e-12)
    assert executor.usage.runs == 1


@pytest.mark.parametrize(("count", "bits"), [(1, 0), (2, 1), (3, 2), (4, 2), (5, 3), (1024, 10)])
def test_index_qubits_for_a_number_of_samples(count, bits):
    assert Stack.bits_for(count) == bits
