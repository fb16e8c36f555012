"""Depth and gate counts, with and without a backend."""

from __future__ import annotations

import numpy as np
import pytest
from qiskit import QuantumCircuit, transpile
from qiskit.circuit import Parameter
from qiskit.providers.fake_provider import GenericBackendV2

from hybridopt.bridges.memory.circuit import MemoryProgram, chain_count
from hybridopt.bridges.memory.walsh import walsh_columns
from hybridopt.circuits import counts
from hybridopt.circuits.counts import GateCount, count_gates, find_backend
from hybridopt.errors import ArgumentError, ArgumentTypeError, ResourceError

LINE = GenericBackendV2(5, coupling_map=[[0, 1], [1, 2], [2, 3], [3, 4]], seed=1)


def small() -> QuantumCircuit:
    circuit = QuantumCircuit(3)
    circuit.ry(Parameter("a"), 0)
    circuit.barrier()
    circuit.cx(0, 1)
    circuit.rzz(0.3, 1, 2)
    circuit.h(0)
    return circuit


def test_counts_by_hand():
    assert count_gates(small()) == GateCount(depth=3, two_qubit=2)
    assert count_gates(QuantumCircuit(2)) == GateCount(0, 0)


def test_wide_gates_are_decomposed():
    circuit = QuantumCircuit(3)
    circuit.ccx(0, 1, 2)
    assert count_gates(circuit).two_qubit == 6  # the textbook's Toffoli gate


def test_counts_for_a_backend_are_reproducible():
    circuit = QuantumCircuit(4)
    for low, high in [(0, 3), (1, 2), (3, 1), (0, 2)]:
        circuit.cx(low, high)
    counted = count_gates(circuit, LINE)
    assert counted == count_gates(circuit, LINE)
    expected = transpile(circuit, LINE, optimization_level=1, seed_transpiler=0)
    assert counted.two_qubit == expected.num_nonlocal_gates() > 4  # swaps along the line


@pytest.mark.parametrize("columns", [None, 1, 5, 13])
def test_chain_of_a_memory_is_counted_without_its_circuit(columns):
    m = 4
    chosen = None if columns is None else tuple(walsh_columns(columns, 16).tolist())
    program = MemoryProgram(m, "gates", chosen)
    theta = np.full(16, np.pi / 2)
    circuit = program.bind(theta[:0], theta)
    assert chain_count(m, chosen) == count_gates(circuit)
    assert count_gates(circuit).depth == circuit.depth()


def test_backends_by_name_and_by_instance():
    pytest.importorskip("qiskit_ibm_runtime")
    assert find_backend(None) is None
    assert find_backend(LINE) is LINE
    assert find_backend("fake_manila").num_qubits == 5
    with pytest.raises(ArgumentError, match=r"'fake_manilla'.*fake_manila"):
        find_backend("fake_manilla")


def test_bad_backends(monkeypatch):
    with pytest.raises(ArgumentTypeError, match="`backend`"):
        find_backend(3)
    with pytest.raises(ArgumentError, match=r"5 .*`.*6"):
        count_gates(QuantumCircuit(6), LINE)
    monkeypatch.setattr(counts, "MOST_TRANSPILED", 3)
    with pytest.raises(ResourceError, match=r"3 .*4"):
        count_gates(small(), LINE)
