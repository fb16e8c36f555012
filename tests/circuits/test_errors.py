"""Errors about circuits: ours, Qiskit's and built-in, with the same text."""

from __future__ import annotations

import pickle
import subprocess
import sys

import pytest
from qiskit import QuantumCircuit
from qiskit.exceptions import QiskitError

import hybridopt
from hybridopt.circuits import lower
from hybridopt.circuits.errors import CircuitError


@pytest.mark.parametrize("kind", [QiskitError, ValueError, hybridopt.errors.HybridOptError])
def test_circuit_errors_are_caught_as_ours_qiskits_and_built_in(kind):
    circuit = QuantumCircuit(3)
    circuit.h(1)
    circuit.reset(1)
    with pytest.raises(kind, match=r"^Instruction `reset` on qubit 1") as caught:
        lower(circuit)
    assert type(caught.value) is hybridopt.errors.CircuitError is CircuitError
    assert caught.value.message == str(caught.value)  # Qiskit's errors have a message
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (type(copy), str(copy)) == (CircuitError, str(caught.value))


def test_other_errors_load_without_qiskit():
    script = (
        "import sys; from hybridopt.errors import ArgumentError; import hybridopt.errors as e; "
        "assert 'CircuitError' in dir(e) and 'qiskit' not in sys.modules; "
        "assert not hasattr(e, 'CircuitsError'); e.CircuitError; assert 'qiskit' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
