"""OpenQASM 3 to Qiskit: the importer of Qiskit with stricter checks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from openqasm3 import ast
from qiskit import QuantumCircuit
from qiskit.circuit import Gate, Parameter
from qiskit.circuit.library import get_standard_gate_name_mapping
from qiskit.quantum_info import Operator
from qiskit_qasm3_import import ConversionError, types
from qiskit_qasm3_import.converter import ConvertVisitor, GateBuilder
from qiskit_qasm3_import.data import Scope, Symbol
from qiskit_qasm3_import.exceptions import raise_from_node
from qiskit_qasm3_import.state import State

from hybridopt.circuits.gates import KEPT_GATES
from hybridopt.circuits.lowering import WAYS_OUT
from hybridopt.circuits.qasm.expressions import AngleResolver, Value
from hybridopt.circuits.qasm.reader import CONVENTION, parameter_number

TRIAL_ANGLES = (0.7, -1.9, 2.3, 0.4)  # to compare a gate of the file with that of Qiskit
MOST_QUBITS = 1024  # more than any simulator has; a larger number is a typing error
CONTROLS = frozenset({ast.GateModifierName.ctrl, ast.GateModifierName.negctrl})
ALIAS = "#"  # prefix of our own names; no name in OpenQASM has it
MEASURED = (
    "`measure` has no unitary. Delete the line, and define the outputs by `// observable:` lines. "
    "Mid-circuit measurements have no gradient."
)
CLASSICAL = "is classical control, which has no unitary. Unroll it."
REFUSED = {
    "Box": "`box` is not supported. Write its content without the box.",
    "BranchingStatement": f"`if` {CLASSICAL}",
    "ForInLoop": f"`for` {CLASSICAL}",
    "QuantumMeasurement": MEASURED,
    "QuantumMeasurementStatement": MEASURED,
    "QuantumReset": "`reset` has no unitary. Use a fresh qubit.",
    "SubroutineDefinition": "`def` is not supported. Write a `gate`, or the gates themselves.",
    "WhileLoop": f"`while` {CLASSICAL}",
}


class Converter(ConvertVisitor):
    """Importer of qiskit-qasm3-import with changes.

    - Gates of the file take their angles in the order of their declaration, not of their names.
    - A gate of the file that equals Qiskit's gate of that name, up to a global phase, becomes it.
      A different gate gets another name, as simulators identify gates by name.
    - Powers, functions and constants are supported. A quotient of integers must be an integer.
    - Every error has a line and a column.

    Attributes:
        parameters: Inputs of the file by letter and number.
    """

    def __init__(self) -> None:
        super().__init__()
        self.parameters: dict[tuple[str, int], Parameter] = {}

    def visit(self, node: ast.QASMNode, context: State | None = None) -> Any:
        """Visit a node; reject instructions without a unitary."""
        for part in (node, getattr(node, "init_expression", None)):
            if type(part).__name__ in REFUSED:
                raise_from_node(node, REFUSED[type(part).__name__])
        return super().visit(node, context)

    def visit_Program(self, node: ast.Program, context: State) -> State:  # noqa: N802
        """Visit all statements."""
        for statement in node.statements:
            try:
                self.visit(statement, context)
            except ConversionError:
                raise
            except Exception as error:  # noqa: BLE001  # any error gets its position
                raise_from_node(statement, str(error).strip("'\"") or type(error).__name__)
        return context

    def visit_IODeclaration(self, node: ast.IODeclaration, context: State) -> State:  # noqa: N802
        """Declare an input."""
        name = node.identifier.name
        place = parameter_number(name)
        if place is None or not isinstance(node.type, ast.FloatType | ast.AngleType):
            raise_from_node(node, f"`{name}` must be a float with a known name. {CONVENTION}")
        super().visit_IODeclaration(node, context)
        if place in self.parameters:
            other = self.parameters[place].name
            raise_from_node(node, f"`{other}` and `{name}` must have different numbers.")
        self.parameters[place] = context.symbol_table.get(name).data
        return context

    def visit_QubitDeclaration(self, node: ast.QubitDeclaration, context: State) -> State:  # noqa: N802
        """Declare a register."""
        size = 1 if node.size is None else self._resolve_constant_int(node.size, context)
        if not 1 <= size <= MOST_QUBITS:
            raise_from_node(node, f"a register must have 1 to {MOST_QUBITS} qubits (got {size}).")
        return super().visit_QubitDeclaration(node, context)

    def visit_ConstantDeclaration(  # noqa: N802
        self, node: ast.ConstantDeclaration, context: State
    ) -> State:
        """Declare a constant."""
        value, kind = self._resolve_generic(node.init_expression, context, strict=False)
        if not isinstance(kind, types.Int | types.Uint | types.Float) or not kind.const:
            raise_from_node(node, "a constant must be a number that does not depend on inputs.")
        if isinstance(node.type, ast.FloatType | ast.AngleType):
            value, kind = float(value), types.Float(const=True)
        name = node.identifier.name
        symbols: Any = context.symbol_table  # its methods are not typed
        symbols.insert(Symbol(name, value, kind, Scope.GLOBAL, node))
        return context

    def visit_QuantumGate(self, node: ast.QuantumGate, context: State) -> State:  # noqa: N802
        """Apply a gate with the right numbers of angles and qubits."""
        name = node.name.name
        symbol = context.symbol_table.get(name, node)
        if symbol is None:
            advice = 'Define it with `gate` before, or add `include "stdgates.inc";`.'
            raise_from_node(node, f"Gate `{name}` is not defined. {advice}")
        if isinstance(symbol.type, types.Gate):
            self._check_counts(node, symbol.type, context)
        alias = f"{ALIAS}{name}"
        if context.scope is Scope.GLOBAL and not node.modifiers and alias in context.symbol_table:
            node.name.name = alias  # a global phase has no effect, as no control can be added
        return super().visit_QuantumGate(node, context)

    def _apply_gate_modifier(
        self, modifier: ast.QuantumGateModifier, gate: Gate, context: State
    ) -> Gate:
        controls = self._num_controls(modifier, context)
        if not controls:
            return super()._apply_gate_modifier(modifier, gate, context)
        state = None if modifier.modifier is ast.GateModifierName.ctrl else 0
        return gate.control(controls, ctrl_state=state, annotated=False)

    def _num_controls(self, modifier: ast.QuantumGateModifier, context: State) -> int:
        if modifier.modifier not in CONTROLS:
            return 0
        argument = modifier.argument
        return 1 if argument is None else self._resolve_constant_int(argument, context)

    def _check_counts(self, node: ast.QuantumGate, kind: types.Gate, context: State) -> None:
        controls = sum(self._num_controls(item, context) for item in node.modifiers)
        angles, qubits = _count(kind.n_classical), _count(kind.n_quantum) + controls
        if (len(node.arguments), len(node.qubits)) != (angles, qubits):
            raise_from_node(
                node,
                f"Gate `{node.name.name}` must have {angles} angles and {qubits} qubits (got "
                f"{len(node.arguments)} and {len(node.qubits)}).",
            )

    def _resolve_generic(self, node: ast.QASMNode, context: State, strict: bool) -> Value:
        result: Value = AngleResolver(context, strict).visit(node)
        return result

    def _define_gate(
        self,
        name: str,
        definition: Callable[..., Any],
        n_parameters: int,
        n_qubits: int,
        definer: ast.QASMNode,
        context: State,
    ) -> State:
        if isinstance(definition, GateBuilder) and isinstance(definer, ast.QuantumGateDefinition):
            declared = [argument.name for argument in definer.arguments]
            definition = _builder(name, definition._definition, declared)
            standard = _standard_gate(name, definition, n_parameters)
            if standard is not None:
                alias = f"{ALIAS}{name}"
                super()._define_gate(alias, standard, n_parameters, n_qubits, definer, context)
        return super()._define_gate(name, definition, n_parameters, n_qubits, definer, context)


def _builder(name: str, body: QuantumCircuit, declared: Sequence[str]) -> GateBuilder:
    """Return a function of the angles, in their declared order, that makes the gate."""
    formal = {argument: Parameter(f"{ALIAS}{argument}") for argument in declared}
    body = body.assign_parameters({p: formal[p.name] for p in body.parameters})
    taken = name in _reserved_names()
    return GateBuilder(f"{name}_of_the_file" if taken else name, body, list(formal.values()))


def _standard_gate(name: str, own: GateBuilder, num_angles: int) -> type[Gate] | None:
    """Return Qiskit's class of this name if its gate is equal up to a global phase."""
    standard = get_standard_gate_name_mapping().get(name)
    if not isinstance(standard, Gate) or len(standard.params) != num_angles:
        return None
    angles = TRIAL_ANGLES[:num_angles]
    kind: type[Gate] = standard.base_class
    gates = own(*angles), kind(*angles)
    same = gates[0].num_qubits == gates[1].num_qubits
    return kind if same and Operator(gates[0]).equiv(Operator(gates[1])) else None


@cache
def _reserved_names() -> frozenset[str]:
    return KEPT_GATES | set(WAYS_OUT) | set(get_standard_gate_name_mapping())


def _count(given: int | Sequence[object]) -> int:
    return given if isinstance(given, int) else len(given)  # the built-in U has lists
