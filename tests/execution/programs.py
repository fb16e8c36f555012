"""A family of circuits with angles of both kinds, and its numbers by Qiskit's own simulator."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from qiskit import QuantumCircuit
from qiskit.quantum_info import Statevector

from hybridopt.execution import Job, Probabilities, Stream


@dataclass(frozen=True)
class Rotations:
    """RY of the sample, a chain of CX, RX of the shared angles, on three qubits."""

    num_qubits: int = 3
    num_row_angles: int = 3
    num_shared_angles: int = 3

    def bind(self, row, shared):
        circuit = QuantumCircuit(3)
        for qubit in range(3):
            circuit.ry(float(row[qubit]), qubit)
        circuit.cx(0, 1)
        circuit.cx(1, 2)
        for qubit in range(3):
            circuit.rx(float(shared[qubit]), qubit)
        return circuit

    def simulator_circuit(self, row, shared):
        return self.bind(row, shared)

    def working_memory(self):
        return 1000


def rotations_job(num_shared=2, num_rows=3, *, stream: Stream | None = None, seed=0) -> Job:
    generator = np.random.default_rng(seed)
    rows = generator.uniform(-3, 3, (num_rows, 3))
    shared = generator.uniform(-3, 3, (num_shared, 3))
    return Job(Rotations(), Probabilities(), rows, shared, stream)


def exact_table(job: Job) -> np.ndarray:
    """The probabilities of every circuit of the job, one after the other."""
    return np.array(
        [
            [Statevector(job.program.bind(row, shared)).probabilities() for row in job.rows]
            for shared in job.shared
        ]
    )
