"""pyqtorch: differentiable state vectors in torch, by autodiff or its adjoint rule."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from qiskit.quantum_info import SparsePauliOp

from hybridopt.bench.expressions import angle_function
from hybridopt.bench.flattening import Part, flatten
from hybridopt.bench.peers.competitor import DOUBLE, EXACT, Prepared, missing
from hybridopt.bench.peers.pennylane_qubit import torch_gradient
from hybridopt.bench.problem import Problem
from hybridopt.errors import UnsupportedError
from hybridopt.nn.parameter_map import TORCH_FUNCTIONS

FIXED: Mapping[str, str] = {
    "cx": "CNOT",
    "cy": "CY",
    "cz": "CZ",
    "h": "H",
    "s": "S",
    "sdg": "SDagger",
    "swap": "SWAP",
    "t": "T",
    "x": "X",
    "y": "Y",
    "z": "Z",
}
ROTATIONS: Mapping[str, str] = {
    "crx": "CRX",
    "cry": "CRY",
    "crz": "CRZ",
    "cp": "CPHASE",
    "p": "PHASE",
    "rx": "RX",
    "ry": "RY",
    "rz": "RZ",
}
SYMMETRIC = frozenset({"cp", "cz", "swap"})
Values = dict[str, torch.Tensor]


@dataclass(frozen=True)
class PyQTorch:
    """One of its two rules.

    Attributes:
        rule: ``"autodiff"`` or ``"adjoint"``.
    """

    rule: str
    key: str = "pyqtorch"
    name: str = "pyqtorch"
    library: str = "pyqtorch"
    kind: str = EXACT
    packages: tuple[str, ...] = ("pyqtorch",)
    exact: bool = True
    compiles: bool = False
    samples: bool = False
    tolerance: float = DOUBLE
    one_by_one: bool = False

    def unavailable(self) -> str | None:
        """Without pyqtorch."""
        return missing(("pyqtorch",), "peers-all")

    def prepare(self, problem: Problem) -> Prepared:
        """A circuit whose angles are named and computed by torch."""
        import pyqtorch as pyq  # noqa: PLC0415  # an extra

        gates, angles = [], {}
        parts = flatten(problem.circuit, _is_known)
        if self.rule == "adjoint":
            _refuse_what_its_adjoint_mistakes(parts)
        for number, part in enumerate(parts):
            gates.append(_gate(part, f"a{number}"))
            if part.free:
                angles[f"a{number}"] = angle_function(
                    part.free[0], problem.inputs, problem.weights, TORCH_FUNCTIONS
                )
        circuit = pyq.QuantumCircuit(problem.num_qubits, gates).to(dtype=torch.complex128)
        observables = [_observable(op).to(dtype=torch.complex128) for op in problem.observables]
        measure = self._adjoint if self.rule == "adjoint" else self._autodiff

        def forward(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
            values = {name: angle(x, w) for name, angle in angles.items()}
            columns = measure(circuit, observables, values, len(x))
            return torch.stack([column.expand(len(x)) for column in columns], dim=-1)

        return Prepared(torch_gradient(forward))

    @staticmethod
    def _autodiff(
        circuit: Any, observables: list[Any], values: Values, batch: int
    ) -> list[torch.Tensor]:
        import pyqtorch as pyq  # noqa: PLC0415

        state = pyq.run(circuit, circuit.init_state(batch), values)
        return [observable.expectation(state) for observable in observables]

    @staticmethod
    def _adjoint(
        circuit: Any, observables: list[Any], values: Values, batch: int
    ) -> list[torch.Tensor]:
        import pyqtorch as pyq  # noqa: PLC0415

        wide = {name: value.expand(batch) for name, value in values.items()}
        state = circuit.init_state(batch)
        mode = pyq.DiffMode.ADJOINT
        return [pyq.expectation(circuit, state, wide, one, mode) for one in observables]


def _is_known(part: Part) -> bool:
    if part.free:
        return part.name in ROTATIONS
    if len(part.qubits) == 1:
        return hasattr(part.gate, "__array__")
    return part.name in FIXED


def _refuse_what_its_adjoint_mistakes(parts: list[Part]) -> None:
    """Its adjoint rule undoes gates on sorted qubits, whichever of them is the control (1.7.8)."""
    for part in parts:
        if list(part.qubits) != sorted(part.qubits) and part.name not in SYMMETRIC:
            raise UnsupportedError(
                f"pyqtorch's adjoint rule (1.7.8) is wrong for gates whose control comes after "
                f"the target, such as `{part.name}` on qubits "
                f"{', '.join(map(str, part.qubits))}."
            )


def _gate(part: Part, name: str) -> Any:
    import pyqtorch as pyq  # noqa: PLC0415
    from pyqtorch.primitives import Primitive  # noqa: PLC0415

    if part.name in FIXED:
        build: Callable[..., Any] = getattr(pyq, FIXED[part.name])
        return build(*part.qubits)
    if part.free:
        return getattr(pyq, ROTATIONS[part.name])(*part.qubits, name)
    matrix = torch.tensor(part.gate.to_matrix(), dtype=torch.complex128)
    return Primitive(matrix, part.qubits)


def _observable(observable: SparsePauliOp) -> Any:
    import pyqtorch as pyq  # noqa: PLC0415

    terms = []
    letters = zip(observable.paulis.to_labels(), observable.coeffs.real.tolist(), strict=True)
    for label, coefficient in letters:
        factors = [
            getattr(pyq, letter)(qubit)
            for qubit, letter in enumerate(label[::-1])
            if letter != "I"
        ] or [pyq.I(0)]  # fmt: skip
        term = pyq.Sequence(factors)
        terms.append(
            term
            if coefficient == 1
            else pyq.Scale(term, torch.tensor(coefficient, dtype=torch.float64))
        )
    return pyq.Observable(terms)
