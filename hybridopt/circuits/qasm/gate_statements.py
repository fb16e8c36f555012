"""Applications of gates with their modifiers: ``ctrl(2) @ inv @ pow(0.5) @ rx(pi) q[0], ...``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import groupby

from openqasm3 import ast
from qiskit import QuantumCircuit
from qiskit.circuit import Gate, Parameter, Qubit
from qiskit.circuit.library import GlobalPhaseGate, PhaseGate, U3Gate, UGate

from hybridopt.circuits.parameter_roles import with_params
from hybridopt.circuits.qasm.arithmetic import num_names
from hybridopt.circuits.qasm.circuit_builder import CircuitBuilder
from hybridopt.circuits.qasm.expressions import Evaluator
from hybridopt.circuits.qasm.gate_library import FileGate, GateKind, library_gate
from hybridopt.circuits.qasm.values import Bits
from hybridopt.circuits.qasm.variables import ErrorAt, as_expression

MOST_CONTROLS = 32  # of one gate
LARGEST_MODIFIED = 2000  # operations in a gate that is controlled, or of which a matrix is needed
WIDEST_MATRIX = 8  # qubits of a gate with a power by its matrix
CONTROLS = frozenset({ast.GateModifierName.ctrl, ast.GateModifierName.negctrl})
Modifiers = Sequence[ast.QuantumGateModifier]


class GateStatements:
    """Gates of the file and of the known libraries, applied to a circuit.

    Args:
        evaluator: Evaluates angles, operands and modifiers.
        builder: Receives the gates.
        error: Returns the error at a place.
        define_known: Defines a gate of another tool; returns whether its name is known.
    """

    def __init__(
        self,
        evaluator: Evaluator,
        builder: CircuitBuilder,
        error: ErrorAt,
        define_known: Callable[[str], bool],
    ) -> None:
        self.kinds: dict[str, GateKind] = {}
        self._evaluator, self._builder, self._error = evaluator, builder, error
        self._define_known = define_known

    def apply(self, node: ast.QuantumGate) -> None:
        """Apply a gate."""
        kind = self._kind(node)
        controls = self._num_controls(node.modifiers, node)
        wanted = kind.num_angles, kind.num_qubits + controls
        given = len(node.arguments), len(node.qubits)
        if wanted != given:
            raise self._error(
                node,
                f"Gate `{node.name.name}` takes {_counted(wanted)} (got {_counted(given)}).",
            )
        angles = [self._evaluator.angle(argument) for argument in node.arguments]
        if self._builder.in_gate:
            self._builder.grow(kind.growth * max(map(num_names, angles), default=1), node)
        qubits = [self.qubits(part) for part in node.qubits]
        plain = not node.modifiers and not self._builder.in_gate and kind.uncontrolled
        gate = (plain or kind.make)(*angles)
        gate, size = self._modified(gate, kind.size, node.modifiers, node)
        self._builder.broadcast(gate, qubits, node, size)

    def apply_phase(self, node: ast.QuantumPhase) -> None:
        """Apply a global phase, which controls make a phase of qubits."""
        gate: Gate = GlobalPhaseGate(self._evaluator.angle(node.argument))
        controls = self._num_controls(node.modifiers, node)
        names_qubits = self._evaluator.context.version == 2  # PennyLane writes `gphase(0.3) q[0];`
        if len(node.qubits) != controls and not names_qubits:
            raise self._error(
                node, f"`gphase` takes {controls} qubits here (got {len(node.qubits)})."
            )
        gate, size = self._modified(gate, 1, node.modifiers, node)
        if gate.num_qubits == 0:
            self._builder.circuit.global_phase += gate.params[0]
        else:
            self._builder.broadcast(gate, [self.qubits(part) for part in node.qubits], node, size)

    def qubits(self, node: ast.IndexedIdentifier | ast.Identifier | ast.Expression) -> Bits:
        """Return the qubits that an operand names."""
        value = self._evaluator.value(as_expression(node))
        if not isinstance(value, Bits) or not all(isinstance(q, Qubit) for q in value.items):
            raise self._error(node, "qubits are needed here.")
        return value

    def _kind(self, node: ast.QuantumGate) -> GateKind:
        name = node.name.name
        kind = self.kinds.get(name) or library_gate(name)
        if kind is None and self._define_known(name):
            kind = self.kinds[name]
        if kind is None:
            raise self._error(node, f"Gate `{name}` is not defined. Define it by `gate` before.")
        return kind

    def _num_controls(self, modifiers: Modifiers, node: ast.QASMNode) -> int:
        total = sum(self._argument(item) for item in modifiers if item.modifier in CONTROLS)
        if total > MOST_CONTROLS:
            raise self._error(
                node, f"a gate must have at most {MOST_CONTROLS} controls (got {total})."
            )
        return total

    def _argument(self, modifier: ast.QuantumGateModifier) -> int:
        count = 1 if modifier.argument is None else self._evaluator.integer(modifier.argument)
        if count < 1:
            raise self._error(modifier, f"the number of controls must be at least 1 (got {count}).")
        return count

    def _modified(
        self, gate: Gate, size: int, modifiers: Modifiers, node: ast.QASMNode
    ) -> tuple[Gate, int]:
        """Return a gate with its modifiers, the last first, and its number of operations."""
        kinds = groupby(reversed(modifiers), key=lambda one: one.modifier in CONTROLS)
        for are_controls, group in kinds:
            if are_controls:  # together, because each control of a controlled gate doubles its size
                self._check_size(size, "ctrl", node)
                gate = _controlled(gate, self._closed(reversed(list(group))))
                continue
            for modifier in group:
                if modifier.modifier is ast.GateModifierName.inv:
                    gate = _inverse(gate)
                else:
                    gate, size = self._raised(gate, size, modifier, node)
        return gate, size

    def _closed(self, controls: Iterable[ast.QuantumGateModifier]) -> list[bool]:
        """Return for each control qubit whether it acts in state 1."""
        negated = ast.GateModifierName.negctrl
        return [one.modifier is not negated for one in controls for _ in range(self._argument(one))]

    def _raised(
        self, gate: Gate, size: int, modifier: ast.QuantumGateModifier, node: ast.QASMNode
    ) -> tuple[Gate, int]:
        """Return a gate to a power, and its number of operations."""
        assert modifier.argument is not None
        exponent = self._evaluator.number(modifier.argument)
        if not isinstance(exponent, int | float):
            raise self._error(node, "the exponent of `pow` must be a number.")
        if int(exponent) == exponent:
            size *= max(abs(int(exponent)), 1)
            self._builder.check(size, node)
        else:
            self._check_size(size, "pow", node)
        return self._power(gate, exponent, node), size

    def _check_size(self, size: int, modifier: str, node: ast.QASMNode) -> None:
        if size > LARGEST_MODIFIED:
            raise self._error(
                node,
                f"`{modifier}` needs a gate of at most {LARGEST_MODIFIED} operations (got {size}).",
            )

    def _power(self, gate: Gate, exponent: float, node: ast.QASMNode) -> Gate:
        if isinstance(gate, GlobalPhaseGate):
            return GlobalPhaseGate(exponent * gate.params[0])
        integer = int(exponent) == exponent
        if type(gate).power is not Gate.power and (integer or not isinstance(gate, FileGate)):
            return gate.power(exponent, annotated=False)
        if integer:
            return _repeated(gate, int(exponent))
        if _free_parameters(gate) or gate.num_qubits > WIDEST_MATRIX:
            raise self._error(node, f"gate `{gate.name}` has no power {exponent}.")
        return gate.power(exponent, annotated=False)


def _inverse(gate: Gate) -> Gate:
    if isinstance(gate, GlobalPhaseGate):
        return GlobalPhaseGate(-gate.params[0])
    return gate.inverse()


def _controlled(gate: Gate, closed: list[bool]) -> Gate:
    """Return a gate with control qubits before its own, which act in state 1 if closed."""
    if isinstance(gate, GlobalPhaseGate):
        *closed, last = closed
        gate = _phase_of_a_qubit(gate.params[0], is_open=not last)
    if not closed:
        return gate
    if type(gate) is UGate:
        gate = U3Gate(*gate.params)  # its controlled gate has no fourth angle
    state = sum(1 << place for place, is_closed in enumerate(closed) if is_closed)
    return gate.control(len(closed), ctrl_state=state, annotated=False)


def _phase_of_a_qubit(angle: object, *, is_open: bool) -> Gate:
    """Return the controlled global phase; Qiskit 2.4 makes a wrong definition for open controls."""
    if not is_open:
        return PhaseGate(angle)
    body, formal = QuantumCircuit(1), Parameter("angle")
    body.x(0)
    body.p(formal, 0)
    body.x(0)
    return FileGate("negctrl_phase", [angle], body, [formal])


def _repeated(gate: Gate, exponent: int) -> Gate:
    """Return an integer power of a gate of Qiskit, with the same angles."""
    formal = [Parameter(f"#{place}") for place in range(len(gate.params))]
    body = QuantumCircuit(gate.num_qubits)
    body.append(with_params(gate, formal) if formal else gate, range(gate.num_qubits))
    return FileGate(gate.name, gate.params, body, formal, exponent)


def _free_parameters(gate: Gate) -> set[Parameter]:
    return {item for angle in gate.params for item in getattr(angle, "parameters", ())}


def _counted(counts: tuple[int, int]) -> str:
    words = zip(counts, ("angle", "qubit"), strict=True)
    return " and ".join(f"{count} {word}{'' if count == 1 else 's'}" for count, word in words)
