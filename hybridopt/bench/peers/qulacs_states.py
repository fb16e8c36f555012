"""qulacs: state vectors in C++, differentiated by backpropagation, sample by sample."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from qiskit.quantum_info import SparsePauliOp

from hybridopt.bench.angles import AngleTable
from hybridopt.bench.peers.competitor import Competitor, PreparedProblem
from hybridopt.bench.problem import Problem
from hybridopt.bench.translation import PlacedGate, flatten, pauli_terms

FIXED: Mapping[str, str] = {
    "cx": "CNOT", "cz": "CZ", "h": "H", "s": "S", "sdg": "Sdag", "swap": "SWAP", "sx": "sqrtX",
    "sxdg": "sqrtXdag", "t": "T", "tdg": "Tdag", "x": "X", "y": "Y", "z": "Z",
}  # fmt: skip
ROTATIONS: Mapping[str, str] = {  # Pauli letters on the qubits of the gate; p has another phase
    "p": "Z", "rx": "X", "rxx": "XX", "ry": "Y", "ryy": "YY", "rz": "Z", "rzx": "ZX", "rzz": "ZZ",
}  # fmt: skip
LETTERS = "IXYZ"  # their positions are the numbers of qulacs
SIGN = -1  # its rotations are exp(+i angle P / 2)


class Qulacs(Competitor):
    """Parametric circuit of qulacs; one forward pass gives the values and starts the backward pass.

    `backprop` alone would return no values and would repeat the forward pass.
    """

    key = name = library = "qulacs"
    rule, one_by_one = "backprop", True
    modules = ("qulacs",)

    def prepare(self, problem: Problem) -> PreparedProblem:
        """Create the circuit; angles of inputs are set again for every sample."""
        import qulacs  # optional

        parts = flatten(problem.circuit, _is_known)
        table = AngleTable([part.free[0] for part in parts if part.free], problem)
        circuit = qulacs.ParametricQuantumCircuit(problem.num_qubits)
        for part in parts:
            _add(circuit, part)
        outputs = [_observable([one]) for one in problem.observables]
        total = _observable(problem.observables)
        state, image, work = (qulacs.QuantumState(problem.num_qubits) for _ in range(3))
        again = np.flatnonzero(table.of_inputs).tolist()

        def gradient(x: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            angles = SIGN * table.values(x, w)
            values, by_angle = np.empty((len(x), len(outputs))), np.empty(angles.shape)
            for sample, row in enumerate(angles.tolist()):
                for place in again if sample else range(len(row)):
                    circuit.set_parameter(place, row[place])
                state.set_zero_state()
                circuit.update_quantum_state(state)
                values[sample] = [one.get_expectation_value(state) for one in outputs]
                total.apply_to_state(work, state, image)
                by_angle[sample] = circuit.backprop_inner_product(image)
            return values, table.to_weights(2 * SIGN * by_angle, x, w)  # d<image|state> is half

        return PreparedProblem(gradient, note="one forward and one backward pass per sample")


def _is_known(part: PlacedGate) -> bool:
    if part.free:
        return part.name in ROTATIONS
    return hasattr(part.gate, "__array__")


def _add(circuit: Any, part: PlacedGate) -> None:
    from qulacs import gate

    if part.free:
        letters = [LETTERS.index(one) for one in ROTATIONS[part.name]]
        if len(letters) == 1:
            rotation = getattr(circuit, f"add_parametric_R{ROTATIONS[part.name]}_gate")
            rotation(*part.qubits, 0.0)
        else:
            circuit.add_parametric_multi_Pauli_rotation_gate(list(part.qubits), letters, 0.0)
    elif part.name in FIXED:
        circuit.add_gate(getattr(gate, FIXED[part.name])(*part.qubits))
    else:
        circuit.add_gate(gate.DenseMatrix(list(part.qubits), part.gate.to_matrix()))


def _observable(observables: Any) -> Any:
    import qulacs

    result = qulacs.Observable(observables[0].num_qubits)
    one: SparsePauliOp
    for one in observables:
        for letters, factor in pauli_terms(one):
            result.add_operator(factor, " ".join(f"{p} {qubit}" for qubit, p in letters.items()))
    return result
