"""Gates by their names in circuit files: Qiskit's, those of other tools, and those of a file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from qiskit import QuantumCircuit, qasm2
from qiskit.circuit import Gate, Parameter, ParameterExpression
from qiskit.circuit.library import IGate, get_standard_gate_name_mapping
from qiskit.quantum_info import Operator

from hybridopt.circuits.gates import KEPT_GATES
from hybridopt.circuits.lowering import WAYS_OUT

KNOWN_GATES = Path(__file__).with_name("known_gates.inc")
LIBRARIES = frozenset(
    {"stdgates.inc", "qelib1.inc", "hqslib1.inc", "hqslib1_dev.inc"}
)  # defined here, never read
LARGEST_COMPARED = (
    1000  # operations in a gate that may have the name of Qiskit's because it equals it
)
TRIAL_ANGLES = (0.7, -1.9, 2.3, 0.4)  # at which a gate of a file is compared with Qiskit's
# names in OpenQASM 2 and 3, Braket and Cirq, and the names in Qiskit
ALIASES = {
    "CX": "cx", "U": "u", "i": "id", "si": "sdg", "ti": "tdg", "v": "sx", "vi": "sxdg",
    "cv": "csx", "phase": "p", "phaseshift": "p", "cphase": "cp", "cphaseshift": "cp",
    "cnot": "cx", "ccnot": "ccx", "toffoli": "ccx", "fredkin": "cswap", "prx": "r",
    "xx": "rxx", "yy": "ryy", "zz": "rzz",
}  # fmt: skip


class FileGate(Gate):  # type: ignore[misc]
    """Gate that a circuit file defines, or an integer power of it.

    Its definition is made of the body when it is needed, one level at a time.

    Args:
        name: Name of the gate.
        params: Angles in radians, in the order of the file.
        body: Circuit of the gate with formal parameters.
        formal: Formal parameters of the body, in the order of the file.
        exponent: Number of applications; negative for those of the inverse gate.
    """

    def __init__(
        self,
        name: str,
        params: Sequence[float | ParameterExpression],
        body: QuantumCircuit,
        formal: Sequence[Parameter],
        exponent: int = 1,
    ) -> None:
        suffix = {1: "", -1: "_dg"}.get(exponent, f"^{exponent}")
        super().__init__(f"{name}{suffix}", body.num_qubits, list(params))
        self._plain_name, self._body, self._formal = name, body, tuple(formal)
        self._exponent = exponent

    def inverse(self, annotated: bool = False) -> FileGate:
        """Return the inverse gate, with the same angles."""
        return self._to_the(-1)

    def power(self, exponent: float, annotated: bool = False) -> Gate:
        """Return a power; with the same angles if the exponent is an integer."""
        if int(exponent) == exponent:
            return self._to_the(int(exponent))
        return super().power(exponent, annotated)

    def __deepcopy__(self, memo: object = None) -> FileGate:
        copied = self._to_the(1)  # body and formal parameters are never changed
        copied.label = self.label
        return copied

    def _to_the(self, exponent: int) -> FileGate:
        return FileGate(
            self._plain_name, self.params, self._body, self._formal, self._exponent * exponent
        )

    def _define(self) -> None:
        bound = self._body.assign_parameters(
            dict(zip(self._formal, self.params, strict=True)), strict=False
        )
        if self._exponent < 0:
            bound = bound.inverse()
        self.definition = QuantumCircuit(bound.qubits, global_phase=0)
        for _ in range(abs(self._exponent)):
            self.definition.compose(bound, inplace=True)


@dataclass(frozen=True)
class GateKind:
    """Gates of one name.

    Attributes:
        num_angles: Number of angles.
        num_qubits: Number of qubits.
        make: Returns the gate with given angles.
        size: Number of operations in the gate, with those within defined gates.
        growth: Largest number of names in an angle of these operations, if each angle of the gate
            is one name.
        uncontrolled: Class of Qiskit that differs from the gate by a global phase only, if any; it
            serves where the gate is not controlled, because simulators know it by name.
    """

    num_angles: int
    num_qubits: int
    make: Callable[..., Gate]
    uncontrolled: Callable[..., Gate] | None = None
    size: int = 1
    growth: int = 1


@cache
def library_gate(name: str) -> GateKind | None:
    """Return a gate of Qiskit by its name in any of the supported tools, or None."""
    if name == "u0":  # waits for as many cycles as its angle says
        return GateKind(1, 1, lambda _: IGate())
    name = ALIASES.get(name, name)
    standard = get_standard_gate_name_mapping().get(name)
    if isinstance(standard, Gate):
        return GateKind(len(standard.params), standard.num_qubits, standard.base_class)
    for gate in qasm2.LEGACY_CUSTOM_INSTRUCTIONS:
        if gate.name == name and gate.name != "delay":
            return GateKind(gate.num_params, gate.num_qubits, gate.constructor)
    return None


def file_gate(
    name: str, body: QuantumCircuit, formal: Sequence[Parameter], size: int, growth: int = 1
) -> GateKind:
    """Return a gate that a file defines.

    If it equals Qiskit's gate of the same name but for a global phase, uncontrolled gates are
    Qiskit's. Otherwise it gets another name, because simulators and shift rules go by names.
    """
    taken = name in names_with_a_meaning()
    shown = f"{name}_of_the_file" if taken else name

    def make(*angles: float | ParameterExpression) -> Gate:
        return FileGate(shown, angles, body, formal)

    standard = get_standard_gate_name_mapping().get(name)
    same = (
        isinstance(standard, Gate)
        and size <= LARGEST_COMPARED
        and len(standard.params) == len(formal)
        and standard.num_qubits == body.num_qubits
        and _equal(make, standard.base_class, len(formal))
    )
    uncontrolled = standard.base_class if same and standard is not None else None
    return GateKind(len(formal), body.num_qubits, make, uncontrolled, max(size, 1), growth)


@cache
def names_with_a_meaning() -> frozenset[str]:
    """Return the names of gates that lowering, shift rules or Qiskit know."""
    return KEPT_GATES | set(WAYS_OUT) | set(get_standard_gate_name_mapping())


def _equal(first: Callable[..., Gate], second: Callable[..., Gate], num_angles: int) -> bool:
    angles = TRIAL_ANGLES[:num_angles]
    return bool(Operator(first(*angles)).equiv(Operator(second(*angles))))
