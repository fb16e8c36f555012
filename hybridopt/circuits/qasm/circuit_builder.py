"""Circuit of an OpenQASM program while its statements are executed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from qiskit import QuantumCircuit, QuantumRegister
from qiskit.circuit import Barrier, Instruction, Parameter, Qubit

from hybridopt.circuits.errors import CircuitError
from hybridopt.circuits.qasm.arithmetic import MOST_NAMES, TOO_LONG
from hybridopt.circuits.qasm.values import Bits

if TYPE_CHECKING:  # imported when a text of OpenQASM 3 is read
    from openqasm3 import ast

MOST_QUBITS = 1024  # of a register; a simulator holds far fewer
MOST_QUBITS_IN_ALL = 2048  # of a circuit
MOST_OPERATIONS = 1_000_000  # gates, with those within defined gates
MOST_REPEATED = 50_000  # statements, beyond those that a text can list one by one


class ParsedProgram(NamedTuple):
    """Circuit of a file without its measurements.

    Attributes:
        circuit: Gates, barriers and delays.
        parameters: Inputs of the file in the order of their declarations.
        measured: Measured qubits in the order of their classical bits; None without measurements.
        notes: Remarks on parts of the file that were ignored.
    """

    circuit: QuantumCircuit
    parameters: list[Parameter]
    measured: list[Qubit] | None = None
    notes: Sequence[str] = ()


class CircuitBuilder:
    """Circuit, or body of a gate while that is defined; its qubits, and those measured.

    Measurements are not part of the circuit. They must be final, so gates on measured qubits and
    resets of used qubits are refused.

    Args:
        error: Returns the error at a place.
        length: Number of characters of the text.
    """

    def __init__(self, error: Callable[[ast.QASMNode, str], CircuitError], length: int) -> None:
        self._error = error
        self._most_steps = MOST_REPEATED + length // 4  # the shortest statements have 4 characters
        self._steps = 0
        self.circuit = QuantumCircuit()
        self.measured: dict[Qubit, None] = {}
        self.in_gate = False
        self._physical: dict[int, Qubit] = {}
        self._used: set[Qubit] = set()
        self._operations = self._body_size = 0
        self._growth = 1

    def add_register(self, node: ast.QubitDeclaration, size: int) -> Bits:
        """Add a register of qubits, or a single qubit."""
        if not 1 <= size <= MOST_QUBITS:
            raise self._error(node, f"a register must have 1 to {MOST_QUBITS} qubits (got {size}).")
        if self.circuit.num_qubits + size > MOST_QUBITS_IN_ALL:
            raise self._error(node, f"a circuit must have at most {MOST_QUBITS_IN_ALL} qubits.")
        register = QuantumRegister(size, node.qubit.name)
        self.circuit.add_register(register)
        return Bits(tuple(register), single=node.size is None)

    def physical(self, node: ast.Identifier) -> Bits:
        """Return a qubit by its number in the device, such as ``$3``."""
        if self.in_gate:
            raise self._error(node, f"`{node.name}` is not a qubit of this gate.")
        number = int(node.name[1:])
        if number not in self._physical:
            self._physical[number] = Qubit()
            self.circuit.add_bits([self._physical[number]])
        return Bits((self._physical[number],), single=True)

    def count(self, node: ast.QASMNode, size: int = 1, steps: int = 1) -> None:
        """Count operations, and statements that are executed; both are limited."""
        self._steps += steps
        if self._steps > self._most_steps:
            raise self._error(node, f"loops take more than {MOST_REPEATED:,} steps.")
        self._body_size += size
        self._operations += 1 if self.in_gate else size
        self.check(self._operations, node)

    def check(self, operations: int, node: ast.QASMNode) -> None:
        """Refuse too many operations."""
        if operations > MOST_OPERATIONS:
            raise self._error(node, f"the program has more than {MOST_OPERATIONS:,} operations.")

    def broadcast(
        self, gate: Instruction, parts: Sequence[Bits], node: ast.QASMNode, size: int = 1
    ) -> None:
        """Apply a gate once, or to each element of registers that have one size.

        Args:
            gate: Any gate.
            parts: Registers and single qubits.
            node: Place of errors.
            size: Number of operations in the gate.
        """
        sizes = {len(part.items) for part in parts if not part.single}
        if len(sizes) > 1:
            raise self._error(node, f"registers must have one size (got {sorted(sizes)}).")
        for place in range(sizes.pop() if sizes else 1):
            self.count(node, size)
            qubits = [part.items[0 if part.single else place] for part in parts]
            self._check(gate, qubits, node)
            self.circuit.append(gate if place == 0 else gate.copy(), qubits, copy=False)

    def barrier(self, qubits: Sequence[Qubit]) -> None:
        """Apply a barrier to some qubits, or to all without any; gates have none inside."""
        if not self.in_gate:
            chosen = list(dict.fromkeys(qubits)) or list(self.circuit.qubits)
            self.circuit.append(Barrier(len(chosen)), chosen, copy=False)

    def measure(self, qubits: Bits) -> None:
        """Note the measurement of qubits."""
        self.measured |= dict.fromkeys(qubits.items)

    def reset(self, qubits: Bits, node: ast.QASMNode) -> None:
        """Check that qubits are fresh."""
        for qubit in qubits.items:
            if qubit in self._used or qubit in self.measured:
                raise self._error(
                    node,
                    f"`reset` of `{self._name(qubit)}` after gates has no unitary. Use a fresh "
                    "qubit.",
                )

    @contextmanager
    def gate_body(self, num_qubits: int) -> Iterator[Callable[[], tuple[int, int]]]:
        """Collect the body of a gate in a circuit of its own.

        Yields:
            Function for the size and the growth of the gate; see `GateKind`.
        """
        outer = self.circuit, self.in_gate, self._body_size, self._growth
        self.circuit, self.in_gate = QuantumCircuit(num_qubits), True
        self._body_size, self._growth = 0, 1
        try:
            yield lambda: (self._body_size, self._growth)
        finally:
            self.circuit, self.in_gate, self._body_size, self._growth = outer

    def grow(self, growth: int, node: ast.QASMNode) -> None:
        """Note the number of names in an angle within a gate; refuse too many."""
        if growth > MOST_NAMES:
            raise self._error(node, TOO_LONG)
        self._growth = max(self._growth, growth)

    def finished(self) -> QuantumCircuit:
        """Return the circuit: registers, then physical qubits in the order of their numbers."""
        if not self._physical:
            return self.circuit
        physical = set(self._physical.values())
        others = [qubit for qubit in self.circuit.qubits if qubit not in physical]
        ordered = [self._physical[number] for number in sorted(self._physical)]
        result = QuantumCircuit([*others, *ordered], global_phase=self.circuit.global_phase)
        for register in self.circuit.qregs:
            result.add_register(register)
        for item in self.circuit.data:
            result._append(item)
        return result

    def _check(self, gate: Instruction, qubits: Sequence[Qubit], node: ast.QASMNode) -> None:
        word = getattr(getattr(node, "name", None), "name", gate.name)  # as the file has it
        if len(set(qubits)) < len(qubits):
            raise self._error(node, f"`{word}` must act on different qubits.")
        if self.in_gate:
            if not set(qubits).issubset(self.circuit.qubits):
                raise self._error(node, f"`{word}` must act on qubits of the defined gate.")
            return
        if gate.name == "delay":
            return
        for qubit in qubits:
            if qubit in self.measured:
                raise self._error(
                    node,
                    f"`{word}` follows the measurement of `{self._name(qubit)}`. Mid-circuit "
                    "measurements have no gradient; only final measurements are supported.",
                )
        self._used.update(qubits)

    def _name(self, qubit: Qubit) -> str:
        for number, physical in self._physical.items():
            if physical is qubit:
                return f"${number}"
        register, place = self.circuit.find_bit(qubit).registers[0]
        return f"{register.name}[{place}]"
