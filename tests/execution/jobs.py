"""Jobs of the shared families of circuits, and their outputs by Qiskit's matrices."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from qiskit import QuantumCircuit
from qiskit.quantum_info import Statevector

from hybridopt.circuits import CircuitProgram, lower
from hybridopt.execution import Expectations, Job, Probabilities, Readout, Stream
from hybridopt.execution.readout import Setting
from tests.circuits.families import FAMILIES


def lowered(name: str, *, whole: bool = True) -> tuple[CircuitProgram, Expectations]:
    """Return the program of a family, and the readout of its observables."""
    family = next(f for f in FAMILIES if f.name == name)
    program = lower(family.circuit, family.inputs, family.weights, whole=whole)
    return program, Expectations(family.observables)


def job_of(
    name: str,
    num_rows: int = 3,
    num_shared: int = 2,
    *,
    readout: Readout | None = None,
    stream: Stream | None = None,
    like_a_shift: bool = False,
    whole: bool = True,
    seed: int = 0,
) -> Job:
    """Return a table of random angles; ``like_a_shift`` moves one shared angle in each row."""
    program, expectations = lowered(name, whole=whole)
    generator = np.random.default_rng(seed)
    rows = generator.uniform(-3, 3, (num_rows, program.num_row_angles))
    shared = generator.uniform(-3, 3, (num_shared, program.num_shared_angles))
    if like_a_shift:
        shared[:] = shared[0]
        moved = np.arange(1, num_shared)
        shared[moved, moved % program.num_shared_angles] += np.pi / 2
    return Job(program, readout or expectations, rows, shared, stream)


@dataclass(frozen=True)
class Rotations:
    """Program on three qubits: RY of the sample, a chain of CX, RX of the shared angles."""

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

    simulator_circuit = bind

    def working_memory(self):
        return 1000


def rotations_job(num_shared=2, num_rows=3, *, stream: Stream | None = None, seed=0) -> Job:
    generator = np.random.default_rng(seed)
    rows = generator.uniform(-3, 3, (num_rows, 3))
    shared = generator.uniform(-3, 3, (num_shared, 3))
    return Job(Rotations(), Probabilities(), rows, shared, stream)


def dense(job: Job) -> np.ndarray:
    """Return the expected outputs of the job, shape ``(S, B, K)``."""
    states = [
        [Statevector(job.program.bind(row, shared)) for row in job.rows] for shared in job.shared
    ]
    return np.array([[_read(job, state) for state in row] for row in states])


def _read(job: Job, state: Statevector) -> np.ndarray:
    if isinstance(job.readout, Expectations):
        return np.array([state.expectation_value(o).real for o in job.readout.observables])
    assert isinstance(job.readout, Probabilities)
    qubits = job.readout.qubits or tuple(range(job.program.num_qubits))
    return conditional(state.probabilities_dict(), qubits, job.readout.given)


def distribution(state: Statevector, setting: Setting) -> np.ndarray:
    """Return the probabilities of a setting, computed from the rotated state."""
    circuit = QuantumCircuit(state.num_qubits)
    for qubit, letter in setting.basis:
        if letter == "Y":
            circuit.sdg(qubit)
        circuit.h(qubit)
    return state.evolve(circuit).probabilities(list(setting.qubits))


def conditional(distribution: dict[str, float], qubits, given) -> np.ndarray:
    """Return conditional probabilities of some qubits from a sum over all outcomes."""
    result = np.zeros(1 << len(qubits))
    for outcome, probability in distribution.items():
        bits = [int(letter) for letter in reversed(outcome)]
        if all(bits[qubit] == value for qubit, value in given):
            result[sum(bits[qubit] << place for place, qubit in enumerate(qubits))] += probability
    return result / result.sum() if given and result.sum() > 0 else result
