"""Circuit with gates of every kind, for the tests of all translations."""

from __future__ import annotations

from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.circuit.library import UnitaryGate, XXMinusYYGate, XXPlusYYGate
from qiskit.quantum_info import SparsePauliOp, random_unitary

from hybridopt.bench.problem import Problem

X, W = ParameterVector("x", 3), ParameterVector("w", 9)


def mixed(shots: int | None = None) -> Problem:
    """Return a problem with mixed angles, functions, gates of every kind and open controls."""
    c = QuantumCircuit(4, name="mixed")
    for qubit in range(4):
        c.h(qubit)
    one_qubit_rotations(c)
    fixed_gates(c)
    c.crx(W[5], 0, 1)
    c.cry(W[6] ** 2, 1, 3)
    c.crz(W[7], 1, 2)
    c.cp(W[8], 1, 3)
    c.barrier()
    c.rxx(W[0], 0, 2)
    c.ryy(-W[1], 3, 1)
    c.rzz(W[2] / 2, 1, 2)
    c.rzx(W[3], 0, 3)
    c.append(XXPlusYYGate(W[4], 0.3), [0, 2])
    c.append(XXPlusYYGate(W[5]), [3, 2])
    c.append(XXMinusYYGate(W[6], W[7]), [1, 2])
    c.mcp(W[8], [2, 3], 0)
    observables = (
        SparsePauliOp("ZIXY"),
        SparsePauliOp(["XIIZ", "IYII", "IIII"], [0.5, 2, 0.3]),
    )
    return Problem("mixed", c, tuple(X), tuple(W), observables, 3, shots)


def one_qubit_rotations(c: QuantumCircuit) -> None:
    c.ry(X[0], 0)
    c.rx(2 * X[1] + W[0], 1)
    c.p(W[1], 2)
    c.u(W[2], X[2] * W[3], W[4].sin(), 3)
    c.rz(0.4, 1)
    c.u(0.3, 0.2, 0.1, 2)


def fixed_gates(c: QuantumCircuit) -> None:
    for name, qubit in {"sx": 0, "sxdg": 1, "sdg": 2, "t": 3, "tdg": 0, "s": 1, "x": 2, "y": 3,
                        "z": 0}.items():  # fmt: skip
        getattr(c, name)(qubit)
    for name, qubits in {"cx": (0, 2), "cy": (1, 3), "cz": (1, 2), "swap": (0, 3), "iswap": (1, 2),
                         "ecr": (2, 0), "ch": (1, 3), "ccx": (0, 1, 2), "cswap": (3, 0, 1),
                         "ccz": (1, 3, 0)}.items():  # fmt: skip
        getattr(c, name)(*qubits)
    c.mcx([3, 1, 0], 2)
    c.cx(0, 1, ctrl_state=0)
    for qubits, seed in (([2, 0], 1), ([2], 2), ([1, 3, 0], 3)):
        c.append(UnitaryGate(random_unitary(2 ** len(qubits), seed=seed)), qubits)
