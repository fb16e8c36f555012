"""PennyLane: default.qubit and lightning.qubit, by every rule that is one of their best.

Measured on 4, 8 and 10 qubits: parameter shift on default.qubit is fastest with all inputs
broadcast in one tape (7 to 14 times faster than one tape a sample). PennyLane refuses that where
an angle contains an input and a weight; then there is one tape a sample, its shifts broadcast.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from qiskit.quantum_info import SparsePauliOp

from hybridopt.bench.expressions import Angle, angle_function
from hybridopt.bench.flattening import Part, flatten
from hybridopt.bench.peers.competitor import DOUBLE, EXACT, SHIFT, SINGLE, Prepared, missing
from hybridopt.bench.problem import Problem
from hybridopt.nn.parameter_map import TORCH_FUNCTIONS

NAMES: Mapping[str, str] = {
    "ccx": "Toffoli",
    "ccz": "CCZ",
    "ch": "CH",
    "cp": "ControlledPhaseShift",
    "crx": "CRX",
    "cry": "CRY",
    "crz": "CRZ",
    "cswap": "CSWAP",
    "cu1": "ControlledPhaseShift",
    "cx": "CNOT",
    "cy": "CY",
    "cz": "CZ",
    "ecr": "ECR",
    "h": "Hadamard",
    "iswap": "ISWAP",
    "mcx": "MultiControlledX",
    "p": "PhaseShift",
    "rx": "RX",
    "rxx": "IsingXX",
    "ry": "RY",
    "ryy": "IsingYY",
    "rz": "RZ",
    "rzz": "IsingZZ",
    "s": "S",
    "swap": "SWAP",
    "sx": "SX",
    "t": "T",
    "u": "U3",
    "u1": "PhaseShift",
    "u2": "U2",
    "u3": "U3",
    "x": "PauliX",
    "y": "PauliY",
    "z": "PauliZ",
}
INVERSES: Mapping[str, str] = {"sdg": "S", "sxdg": "SX", "tdg": "T"}


@dataclass(frozen=True)
class PennyLane:
    """A device of PennyLane with a differentiation method.

    Attributes:
        device: ``"default.qubit"`` or ``"lightning.qubit"``.
        rule: ``"backprop"``, ``"adjoint"`` or ``"parameter-shift"``.
    """

    device: str
    rule: str
    library: str = "PennyLane"
    packages: tuple[str, ...] = ("pennylane", "pennylane-lightning")
    exact: bool = True
    compiles: bool = False

    @property
    def key(self) -> str:
        """``pennylane-default`` or ``pennylane-lightning``."""
        return f"pennylane-{self.device.partition('.')[0]}"

    @property
    def name(self) -> str:
        """Library and device."""
        return f"PennyLane {self.device}"

    @property
    def kind(self) -> str:
        """Parameter shift, or exact differentiation."""
        return SHIFT if self.rule == "parameter-shift" else EXACT

    @property
    def samples(self) -> bool:
        """Shots are run on default.qubit by parameter shift."""
        return self.device == "default.qubit" and self.rule == "parameter-shift"

    @property
    def tolerance(self) -> float:
        """What lightning.qubit finds in 64 bits reaches torch in 32."""
        return SINGLE if self.device == "lightning.qubit" else DOUBLE

    @property
    def one_by_one(self) -> bool:
        """lightning.qubit takes batches apart."""
        return self.device == "lightning.qubit"

    def unavailable(self) -> str | None:
        """Without PennyLane and its lightning plug-in."""
        return missing(("pennylane", "pennylane_lightning"), "peers")

    def prepare(self, problem: Problem) -> Prepared:
        """A QNode with torch's interface."""
        import pennylane as qml  # noqa: PLC0415  # an extra, and slow to import

        parts = flatten(problem.circuit, _is_known)
        steps = [_step(part, problem) for part in parts]
        operators = [_operator(observable) for observable in problem.observables]

        def circuit(x: torch.Tensor, w: torch.Tensor) -> list[Any]:
            for step in steps:
                step(x, w)
            return [qml.expval(operator) for operator in operators]

        mixed = self.rule == "parameter-shift" and any(_is_mixed(p, problem) for p in parts)
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
        note = "one tape a sample" if mixed or self.one_by_one else "inputs broadcast in one tape"
        return Prepared(torch_gradient(lambda x, w: _stacked(node(x, w), len(x))), note=note)


def torch_gradient(
    forward: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
) -> Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Values and gradient of a torch function of inputs and weights, by its backward pass."""

    def gradient(x: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        weights = torch.tensor(w, requires_grad=True)
        values = forward(torch.tensor(x), weights)
        values.sum(-1).mean().backward()  # type: ignore[no-untyped-call]
        assert weights.grad is not None
        return values.detach().numpy(), weights.grad.numpy()

    return gradient


def _stacked(values: list[torch.Tensor], batch: int) -> torch.Tensor:
    # an observable that no input reaches has one value for all samples
    return torch.stack([value.expand(batch) for value in values], dim=-1)


def _is_known(part: Part) -> bool:
    if part.name == "unitary":
        return len(part.qubits) <= 2  # parameter shift and lightning take apart no larger ones
    if part.name == "xx_plus_yy":
        return bool(part.gate.params[1] == 0)
    return part.name in NAMES or part.name in INVERSES


def _is_mixed(part: Part, problem: Problem) -> bool:
    """Whether an angle contains an input and a weight."""
    inputs, weights = set(problem.inputs), set(problem.weights)
    return any(
        not inputs.isdisjoint(angle.parameters) and not weights.isdisjoint(angle.parameters)
        for angle in part.free
    )


def _step(part: Part, problem: Problem) -> Callable[[torch.Tensor, torch.Tensor], object]:
    import pennylane as qml  # noqa: PLC0415

    if part.name == "unitary":
        matrix, wires = part.gate.to_matrix(), part.qubits[::-1]
        return lambda _x, _w: qml.QubitUnitary(matrix, wires)
    if part.name in INVERSES:
        fixed = getattr(qml, INVERSES[part.name])
        return lambda _x, _w: qml.adjoint(fixed(part.qubits))
    angles: list[Angle] = [
        angle_function(value, problem.inputs, problem.weights, TORCH_FUNCTIONS)
        for value in part.gate.params
    ]
    if part.name == "xx_plus_yy":
        return lambda x, w: qml.IsingXY(-angles[0](x, w), part.qubits)
    gate = getattr(qml, NAMES[part.name])
    if not angles:
        return lambda _x, _w: gate(wires=part.qubits)
    return lambda x, w: gate(*(angle(x, w) for angle in angles), wires=part.qubits)


def _operator(observable: SparsePauliOp) -> Any:
    import pennylane as qml  # noqa: PLC0415

    words = []
    for letters in observable.paulis.to_labels():
        paulis = {wire: letter for wire, letter in enumerate(letters[::-1]) if letter != "I"}
        words.append(qml.pauli.PauliWord(paulis))
    if len(words) == 1 and observable.coeffs[0] == 1 and len(words[0]):
        return words[0].operation()
    terms = dict(zip(words, observable.coeffs.real.tolist(), strict=True))
    return qml.pauli.PauliSentence(terms).operation(range(observable.num_qubits))
