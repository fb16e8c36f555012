"""A circuit as gates that a simulator knows, definitions opened where it does not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from qiskit import QuantumCircuit
from qiskit.circuit import Instruction, ParameterExpression
from qiskit.transpiler import PassManager
from qiskit.transpiler.passes import HighLevelSynthesis

from hybridopt.errors import CircuitError

WITHOUT_EFFECT = frozenset({"barrier", "id", "delay", "global_phase"})


@dataclass(frozen=True, eq=False)
class Part:
    """One gate.

    Attributes:
        gate: With numbers and expressions as parameters.
        qubits: As the gate counts them, the first one least significant in its matrix.
    """

    gate: Instruction
    qubits: tuple[int, ...]

    @property
    def name(self) -> str:
        """Of the gate, as Qiskit spells it."""
        return str(self.gate.name)

    @property
    def free(self) -> list[ParameterExpression]:
        """Angles that are not numbers."""
        return [value for value in self.gate.params if is_free(value)]


def is_free(value: object) -> bool:
    """Whether a gate's parameter depends on inputs or weights."""
    return isinstance(value, ParameterExpression) and bool(value.parameters)


def flatten(circuit: QuantumCircuit, known: Callable[[Part], bool]) -> list[Part]:
    """All gates in order; what ``known`` refuses is replaced by its definition.

    Raises:
        CircuitError: If a gate is neither known nor defined.
    """
    if any(not isinstance(item.operation, Instruction) for item in circuit.data):
        circuit = PassManager([HighLevelSynthesis()]).run(circuit)  # annotated gates, Cliffords
    return list(_flatten(circuit, tuple(range(circuit.num_qubits)), known))


def _flatten(
    circuit: QuantumCircuit, qubits: tuple[int, ...], known: Callable[[Part], bool]
) -> Iterator[Part]:
    place = dict(zip(circuit.qubits, qubits, strict=True))
    for item in circuit.data:
        part = Part(item.operation, tuple(place[qubit] for qubit in item.qubits))
        if part.name in WITHOUT_EFFECT:
            continue
        if known(part):
            yield part
            continue
        definition = _euler(part.gate) if part.name == "u" else part.gate.definition
        if definition is None:
            raise CircuitError(
                f"Gate `{part.name}` on qubits {', '.join(map(str, part.qubits))} has no "
                "translation and no definition."
            )
        yield from _flatten(definition, part.qubits, known)


def _euler(gate: Instruction) -> QuantumCircuit:
    """U by rotations; the global phase that is left out cannot be observed."""
    theta, phi, lam = gate.params
    circuit = QuantumCircuit(1)
    circuit.rz(lam, 0)
    circuit.ry(theta, 0)
    circuit.rz(phi, 0)
    return circuit
