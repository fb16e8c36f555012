"""Circuit with gates of every kind, for the tests of all translations."""

from __future__ import annotations

from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.circuit.library import UnitaryGate, XXMinusYYGate, XXPlusYYGate
from qiskit.quantum_info import SparsePauliOp, random_unitary

from hybridopt.bench.problem import Problem

X, W = ParameterVector("x", 3), ParameterVector("w", 9)
GATES = (  # name and arguments of methods of QuantumCircuit
    ("h", range(4)), ("ry", X[0], 0), ("rx", 2 * X[1] + W[0], 1), ("p", W[1], 2),
    ("u", W[2], X[2] * W[3], W[4].sin(), 3), ("rz", 0.4, 1), ("u", 0.3, 0.2, 0.1, 2), ("sx", 0),
    ("sxdg", 1), ("sdg", 2), ("t", 3), ("tdg", 0), ("s", 1), ("x", 2), ("y", 3), ("z", 0),
    ("cx", 0, 2), ("cy", 1, 3), ("cz", 1, 2), ("swap", 0, 3), ("iswap", 1, 2), ("ecr", 2, 0),
    ("ch", 1, 3), ("ccx", 0, 1, 2), ("cswap", 3, 0, 1), ("ccz", 1, 3, 0), ("mcx", [3, 1, 0], 2),
    ("cx", 0, 1, None, 0),  # acts if qubit 0 is in state 0
    *(("append", UnitaryGate(random_unitary(2 ** len(qubits), seed=seed)), qubits)
      for qubits, seed in (([2, 0], 1), ([2], 2), ([1, 3, 0], 3))),
    ("crx", W[5], 0, 1), ("cry", W[6] ** 2, 1, 3), ("crz", W[7], 1, 2), ("cp", W[8], 1, 3),
    ("barrier",), ("rxx", W[0], 0, 2), ("ryy", -W[1], 3, 1), ("rzz", W[2] / 2, 1, 2),
    ("rzx", W[3], 0, 3), ("append", XXPlusYYGate(W[4], 0.3), [0, 2]),
    ("append", XXPlusYYGate(W[5]), [3, 2]), ("append", XXMinusYYGate(W[6], W[7]), [1, 2]),
    ("mcp", W[8], [2, 3], 0),
)  # fmt: skip


def mixed(shots: int | None = None) -> Problem:
    """Return a problem with mixed angles, functions, gates of every kind and open controls."""
    circuit = QuantumCircuit(4, name="mixed")
    for name, *arguments in GATES:
        getattr(circuit, name)(*arguments)
    observables = SparsePauliOp("ZIXY"), SparsePauliOp(["XIIZ", "IYII", "IIII"], [0.5, 2, 0.3])
    return Problem("mixed", circuit, tuple(X), tuple(W), observables, 3, shots)
