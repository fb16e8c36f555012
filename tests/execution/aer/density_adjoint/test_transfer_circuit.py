"""Parts of a circuit, and its tables of angles and derivatives."""

from __future__ import annotations

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector

from hybridopt.execution.aer.density_adjoint.steps import StepReader
from hybridopt.execution.aer.density_adjoint.transfer_circuit import TransferCircuit, reached_from

ROWS, SHARED = ParameterVector("row", 2), ParameterVector("shared", 3)


def circuit_of_three_parts() -> TransferCircuit:
    circuit = QuantumCircuit(3)
    circuit.ry(SHARED[0], 0)  # 0, head
    circuit.rzz(ROWS[1] - SHARED[1], 0, 1)  # 1
    circuit.ry(2 * SHARED[1] + 0.3, 2)  # 2, tail
    circuit.rx(SHARED[2], 1)  # 3
    circuit.u(ROWS[0], 0.1, SHARED[2], 1)  # 4
    circuit.rz(SHARED[0], 0)  # 5, tail
    steps = StepReader(list(ROWS)).steps(circuit)
    return TransferCircuit(3, steps, list(ROWS), list(SHARED))


def test_parts_are_before_among_and_after_the_angles_of_samples():
    circuit = circuit_of_three_parts()
    assert (circuit.head, circuit.middle, circuit.tail) == ([0], [1, 3, 4], [2, 5])
    assert reached_from([0, 1, 2], [(0,), (1, 2), (2,)], [False, True, False]) == ([1, 2], [0])


def test_derivatives_are_needed_where_angles_are():
    circuit = circuit_of_three_parts()
    assert circuit.wanted((True, False)) == {1, 4}
    assert circuit.wanted((False, True)) == {0, 1, 2, 3, 4, 5}
    assert circuit.wanted((False, False)) == frozenset()


def test_slopes_are_differences_of_matrices():
    circuit, generator = circuit_of_three_parts(), np.random.default_rng(0)
    rows, shared = generator.normal(size=(4, 2)), generator.normal(size=3)
    weights = {
        n: generator.normal(size=m.shape) for n, m in enumerate(matrices(circuit, rows, shared))
    }

    def value(rows, shared):
        found = matrices(circuit, rows, shared)
        return sum((weights[n] * found[n]).sum() for n in weights)

    angles = circuit.angles(rows, shared)
    by_rows, by_shared = circuit.slopes(angles, weights, (rows, shared))
    step = 1e-6
    for table, slopes in ((rows, by_rows), (shared, by_shared)):
        for place in np.ndindex(table.shape):
            ends = []
            for sign in (1, -1):
                moved = table.copy()
                moved[place] += sign * step
                ends.append(value(*((moved, shared) if table is rows else (rows, moved))))
            np.testing.assert_allclose(slopes[place], (ends[0] - ends[1]) / (2 * step), atol=1e-7)


def matrices(circuit, rows, shared) -> list[np.ndarray]:
    return circuit.matrices(circuit.angles(rows, shared))
