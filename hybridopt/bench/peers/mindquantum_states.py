"""MindQuantum: state vectors in C++ with the adjoint rule, for a batch per call."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from qiskit.quantum_info import SparsePauliOp

from hybridopt.bench.angles import AngleTable
from hybridopt.bench.peers.competitor import Competitor, PreparedProblem
from hybridopt.bench.problem import Problem
from hybridopt.bench.translation import PlacedGate, flatten, pauli_terms

VERSION = "0.12.0"
FOLDER = Path(sys.prefix) / "peers" / "mindquantum"  # of `make peers`
INSTALL = f'{sys.executable} -m pip install --no-deps --target {FOLDER} "mindquantum=={VERSION}"'
FIXED: Mapping[str, str] = {  # on the last qubit of the gate; the others control it
    "ccx": "X", "cx": "X", "cy": "Y", "cz": "Z", "h": "H", "s": "S", "t": "T", "x": "X", "y": "Y",
    "z": "Z",
}  # fmt: skip
ROTATIONS: Mapping[str, str] = {
    "cp": "PhaseShift", "crx": "RX", "cry": "RY", "crz": "RZ", "p": "PhaseShift", "rx": "RX",
    "ry": "RY", "rz": "RZ",
}  # fmt: skip
ON_PAIRS: Mapping[str, str] = {"rxx": "Rxx", "ryy": "Ryy", "rzz": "Rzz"}


class MindQuantum(Competitor):
    """Simulator mqvector with 128-bit complex amplitudes.

    Its samples run in `threads` threads. It is the peer of a process with its own packages.
    """

    key, library = "mindquantum", "MindQuantum"
    rule = "adjoint"

    def __init__(self, threads: int = 1) -> None:
        self.threads = threads
        self.name = f"MindQuantum, {threads} thread{'s' * (threads > 1)}"

    def prepare(self, problem: Problem) -> PreparedProblem:
        """Create the circuit; angles that depend on inputs are its encoder."""
        import mindquantum as mq  # in a folder of its own, because it pins rich
        from mindquantum.core.circuit import Circuit
        from mindquantum.core.operators import Hamiltonian
        from mindquantum.simulator import Simulator

        parts = flatten(problem.circuit, _is_known)
        table = AngleTable([part.free[0] for part in parts if part.free], problem)
        circuit, number = Circuit(), 0
        for part in parts:
            gate = _gate(part, f"a{number}")
            encoded = bool(part.free) and bool(table.of_inputs[number])
            if encoded and not table.of_weights[number]:
                gate.no_grad()
            step = Circuit([gate])
            circuit += step.as_encoder() if encoded else step
            number += bool(part.free)
        outputs = [Hamiltonian(_operator(one)).astype(mq.complex128) for one in problem.observables]
        simulator = Simulator("mqvector", problem.num_qubits, dtype=mq.complex128)
        given = {"parallel_worker": self.threads} if table.of_inputs.any() else {}
        function = simulator.get_expectation_with_grad(outputs, circuit, **given)
        encoder, ansatz = np.flatnonzero(table.of_inputs), np.flatnonzero(~table.of_inputs)
        groups = [columns for columns in (encoder, ansatz) if len(columns)]

        def gradient(x: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            angles = table.values(x, w)
            data = angles[:, encoder], angles[0, ansatz]
            values, *found = (array.real for array in function(*(a for a in data if a.size)))
            by_angle = np.zeros(angles.shape)
            for columns, slopes in zip(groups, found, strict=True):
                by_angle[:, columns] = slopes.sum(1)  # over the outputs
            shape = len(x), len(outputs)
            return np.broadcast_to(values, shape), table.to_weights(by_angle, x, w)

        return PreparedProblem(gradient, note=f"MindQuantum {mq.__version__}")


def _is_known(part: PlacedGate) -> bool:
    if part.free:
        return part.name in ROTATIONS or part.name in ON_PAIRS
    return part.name in FIXED or (hasattr(part.gate, "__array__") and len(part.qubits) <= 2)


def _gate(part: PlacedGate, angle: str) -> Any:
    from mindquantum.core import gates

    *controls, target = part.qubits
    if part.name in ON_PAIRS and part.free:
        return getattr(gates, ON_PAIRS[part.name])(angle).on(list(part.qubits))
    if part.free:
        return getattr(gates, ROTATIONS[part.name])(angle).on(target, controls)
    if part.name in FIXED:
        return getattr(gates, FIXED[part.name]).on(target, controls)
    matrix = part.gate.to_matrix()
    return gates.UnivMathGate(part.name, matrix).on(list(part.qubits))


def _operator(observable: SparsePauliOp) -> Any:
    from mindquantum.core.operators import QubitOperator

    total = QubitOperator()
    for letters, factor in pauli_terms(observable):
        total += QubitOperator(" ".join(f"{p}{qubit}" for qubit, p in letters.items()), factor)
    return total
