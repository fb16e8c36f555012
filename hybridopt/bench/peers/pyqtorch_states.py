"""pyqtorch: differentiable state vectors in torch, with autodiff or its adjoint rule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from qiskit.quantum_info import SparsePauliOp

from hybridopt.bench.peers.competitor import Competitor, PreparedProblem, torch_gradient
from hybridopt.bench.problem import Problem
from hybridopt.bench.translation import PlacedGate, angle_function, flatten, pauli_terms
from hybridopt.errors import UnsupportedError

FIXED: Mapping[str, str] = {
    "cx": "CNOT", "cy": "CY", "cz": "CZ", "h": "H", "s": "S", "sdg": "SDagger", "swap": "SWAP",
    "t": "T", "x": "X", "y": "Y", "z": "Z",
}  # fmt: skip
ROTATIONS: Mapping[str, str] = {
    "crx": "CRX", "cry": "CRY", "crz": "CRZ", "cp": "CPHASE", "p": "PHASE", "rx": "RX", "ry": "RY",
    "rz": "RZ",
}  # fmt: skip
SYMMETRIC = frozenset({"cp", "cz", "swap"})


class PyQTorch(Competitor):
    """State vectors of pyqtorch with one rule, ``"autodiff"`` or ``"adjoint"``."""

    key = name = library = "pyqtorch"
    modules = ("pyqtorch",)

    def __init__(self, rule: str) -> None:
        self.rule = rule

    def prepare(self, problem: Problem) -> PreparedProblem:
        """Create a circuit with named angles, which torch computes."""
        import pyqtorch as pyq  # optional

        parts, adjoint = flatten(problem.circuit, _is_known), self.rule == "adjoint"
        for part in parts if adjoint else ():
            if list(part.qubits) != sorted(part.qubits) and part.name not in SYMMETRIC:
                raise UnsupportedError(  # it inverts gates on sorted qubits
                    "The adjoint rule of pyqtorch (1.7.8) gives wrong gradients if a control "
                    f"follows its target (got `{part.name}` on qubits {part.qubits})."
                )
        names = {f"a{number}": part for number, part in enumerate(parts)}
        angles = {
            n: angle_function(p.gate.params[0], problem, torch) for n, p in names.items() if p.free
        }
        gates = [_gate(part, name) for name, part in names.items()]
        circuit = pyq.QuantumCircuit(problem.num_qubits, gates).to(dtype=torch.complex128)
        observables = [_observable(op).to(dtype=torch.complex128) for op in problem.observables]

        def forward(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
            values = {name: angle(x, w) for name, angle in angles.items()}
            state = circuit.init_state(len(x))
            if adjoint:
                wide = {name: value.expand(len(x)) for name, value in values.items()}
                mode = pyq.DiffMode.ADJOINT
                columns = [pyq.expectation(circuit, state, wide, o, mode) for o in observables]
            else:
                state = pyq.run(circuit, state, values)
                columns = [observable.expectation(state) for observable in observables]
            return torch.stack([column.expand(len(x)) for column in columns], dim=-1)

        return PreparedProblem(torch_gradient(forward))


def _is_known(part: PlacedGate) -> bool:
    if part.free:
        return part.name in ROTATIONS
    if len(part.qubits) == 1:
        return hasattr(part.gate, "__array__")
    return part.name in FIXED


def _gate(part: PlacedGate, name: str) -> Any:
    import pyqtorch as pyq
    from pyqtorch.primitives import Primitive

    if part.name in FIXED:
        return getattr(pyq, FIXED[part.name])(*part.qubits)
    if part.free:
        return getattr(pyq, ROTATIONS[part.name])(*part.qubits, name)
    return Primitive(torch.tensor(part.gate.to_matrix(), dtype=torch.complex128), part.qubits)


def _observable(observable: SparsePauliOp) -> Any:
    import pyqtorch as pyq

    terms = []
    for letters, factor in pauli_terms(observable):
        gates = [getattr(pyq, one)(qubit) for qubit, one in letters.items()] or [pyq.I(0)]
        term = pyq.Sequence(gates)
        if factor != 1:
            term = pyq.Scale(term, torch.tensor(factor, dtype=torch.float64))
        terms.append(term)
    return pyq.Observable(terms)
