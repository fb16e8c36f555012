"""PennyLane: default.qubit, lightning.qubit, default.mixed, with their fastest gradient rules.

Parameter shift on default.qubit is fastest if all inputs are broadcast in one tape: 7 to 14 times
faster than one tape per sample, on 4, 8 and 10 qubits. PennyLane does not support this if an angle
contains an input and a weight. Such circuits run as one tape per sample, with broadcast shifts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from qiskit.quantum_info import SparsePauliOp

from hybridopt.bench.noise import depolarizing_kraus, gates_and_noise
from hybridopt.bench.peers.competitor import (
    SHIFT,
    SINGLE,
    Competitor,
    PreparedProblem,
    torch_gradient,
)
from hybridopt.bench.problem import Problem
from hybridopt.bench.translation import PlacedGate, angle_function, pauli_terms

NAMES: Mapping[str, str] = {
    "ccx": "Toffoli", "ccz": "CCZ", "ch": "CH", "cp": "ControlledPhaseShift", "crx": "CRX",
    "cry": "CRY", "crz": "CRZ", "cswap": "CSWAP", "cu1": "ControlledPhaseShift", "cx": "CNOT",
    "cy": "CY", "cz": "CZ", "ecr": "ECR", "h": "Hadamard", "iswap": "ISWAP",
    "mcx": "MultiControlledX", "p": "PhaseShift", "rx": "RX", "rxx": "IsingXX", "ry": "RY",
    "ryy": "IsingYY", "rz": "RZ", "rzz": "IsingZZ", "s": "S", "swap": "SWAP", "sx": "SX", "t": "T",
    "u": "U3", "u1": "PhaseShift", "u2": "U2", "u3": "U3", "x": "PauliX", "y": "PauliY",
    "z": "PauliZ",
}  # fmt: skip
INVERSES: Mapping[str, str] = {"sdg": "S", "sxdg": "SX", "tdg": "T"}


class PennyLane(Competitor):
    """Device of PennyLane with a differentiation method; default.mixed runs problems with noise."""

    library, extra = "PennyLane", "peers"
    modules = ("pennylane", "pennylane_lightning")

    def __init__(self, device: str, rule: str) -> None:
        lightning, shift = device == "lightning.qubit", rule == SHIFT
        self.device, self.rule = device, rule
        self.key = f"pennylane-{device.partition('.')[0]}"
        self.name = f"PennyLane {device}"
        self.kind = SHIFT if shift else self.kind
        self.samples = shift and not lightning
        self.noisy = device == "default.mixed"  # it rounds diagonal gates to 32 bits (0.45.1)
        if lightning or self.noisy:  # from lightning, torch receives 32 bits
            self.tolerance = SINGLE
        self.one_by_one = lightning  # it splits batches

    def supports(self, problem: Problem) -> bool:
        """Return True for problems with noise, or without it, as the device is made for."""
        return super().supports(problem) and self.noisy == (problem.noise is not None)

    def prepare(self, problem: Problem) -> PreparedProblem:
        """Create a QNode with the torch interface."""
        import pennylane as qml  # optional, and slow to import

        steps_and_noise = list(gates_and_noise(problem, _is_known))
        parts = [part for part in steps_and_noise if isinstance(part, PlacedGate)]
        steps = [
            _step(part, problem) if isinstance(part, PlacedGate) else _channel(part, problem)
            for part in steps_and_noise
        ]
        operators = [_operator(observable) for observable in problem.observables]

        def circuit(x: torch.Tensor, w: torch.Tensor) -> list[Any]:
            for step in steps:
                step(x, w)
            return [qml.expval(operator) for operator in operators]

        mixed = self.rule == SHIFT and any(_is_mixed(p, problem) for p in parts)
        node = qml.QNode(
            circuit,
            qml.device(self.device, wires=problem.num_qubits),
            interface="torch",
            diff_method=self.rule,
            gradient_kwargs={"broadcast": True} if mixed and not self.one_by_one else {},
        )
        if problem.shots is not None:
            node = qml.set_shots(node, shots=problem.shots)
        if mixed:
            node = qml.transforms.broadcast_expand(node)
        note = "one tape per sample" if mixed or self.one_by_one else "inputs broadcast in one tape"

        def forward(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
            # an observable that depends on no input has one value for all samples
            return torch.stack([value.expand(len(x)) for value in node(x, w)], dim=-1)

        return PreparedProblem(torch_gradient(forward), note=note)


def _is_known(part: PlacedGate) -> bool:
    if part.name == "unitary":
        return len(part.qubits) <= 2  # limit of parameter shift and of lightning
    if part.name == "xx_plus_yy":
        return bool(part.gate.params[1] == 0)
    return part.name in NAMES or part.name in INVERSES


def _is_mixed(part: PlacedGate, problem: Problem) -> bool:
    """Return True if an angle contains an input and a weight."""
    given = problem.inputs, problem.weights
    return any(
        all(not angle.parameters.isdisjoint(kind) for kind in given) for angle in part.free.values()
    )


def _step(part: PlacedGate, problem: Problem) -> Callable[[torch.Tensor, torch.Tensor], object]:
    import pennylane as qml

    if part.name == "unitary":
        matrix, wires = part.gate.to_matrix(), part.qubits[::-1]
        return lambda _x, _w: qml.QubitUnitary(matrix, wires)
    if part.name in INVERSES:
        fixed = getattr(qml, INVERSES[part.name])
        return lambda _x, _w: qml.adjoint(fixed(part.qubits))
    angles = [angle_function(value, problem, torch) for value in part.gate.params]
    if part.name == "xx_plus_yy":
        return lambda x, w: qml.IsingXY(-angles[0](x, w), part.qubits)
    gate = getattr(qml, NAMES[part.name])
    if not angles:
        return lambda _x, _w: gate(wires=part.qubits)
    return lambda x, w: gate(*(angle(x, w) for angle in angles), wires=part.qubits)


def _channel(
    qubits: tuple[int, ...], problem: Problem
) -> Callable[[torch.Tensor, torch.Tensor], object]:
    import pennylane as qml

    assert problem.noise is not None
    if len(qubits) == 1:  # its probability is that of X, Y or Z
        probability = 0.75 * problem.noise
        return lambda _x, _w: qml.DepolarizingChannel(probability, qubits)
    operators = depolarizing_kraus(problem.noise, len(qubits))
    return lambda _x, _w: qml.QubitChannel(operators, qubits)


def _operator(observable: SparsePauliOp) -> Any:
    import pennylane as qml

    terms = [(qml.pauli.PauliWord(word), factor) for word, factor in pauli_terms(observable)]
    if len(terms) == 1 and terms[0][1] == 1 and len(terms[0][0]):
        return terms[0][0].operation()
    return qml.pauli.PauliSentence(dict(terms)).operation(range(observable.num_qubits))
