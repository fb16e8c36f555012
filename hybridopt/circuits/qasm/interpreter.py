"""OpenQASM programs as circuits: constants are computed, loops and subroutines unrolled.

A file may contain classical code as long as it depends neither on inputs nor on measurements.
Measurements must be final: no gate may follow on a measured qubit, and no bit may be read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from openqasm3 import ast
from qiskit import QuantumCircuit, QuantumRegister
from qiskit.circuit import Barrier, Clbit, Delay, Gate, Parameter, Qubit
from qiskit.circuit.library import GlobalPhaseGate, PhaseGate

from hybridopt.circuits.qasm import gate_library
from hybridopt.circuits.qasm.expressions import CONSTANTS, Bits, Duration, Evaluator
from hybridopt.circuits.qasm.gate_library import GateKind
from hybridopt.errors import CircuitError

if TYPE_CHECKING:
    from hybridopt.circuits.qasm.reader import SourceText

MOST_QUBITS = 1024  # of a register; a simulator holds far fewer
MOST_BITS = 1 << 16
MOST_OPERATIONS = 1_000_000
MOST_CONTROLS = 16  # of one modifier
DEEPEST_CALLS = 64  # of subroutines and includes
CONTROLS = frozenset({ast.GateModifierName.ctrl, ast.GateModifierName.negctrl})
NO_UNITARY = {
    "CalibrationDefinition": "`defcal` describes pulses, which are not simulated. Delete it.",
    "CalibrationStatement": "`cal` describes pulses, which are not simulated. Delete it.",
    "ExternDeclaration": "`extern` functions are not available when a circuit is read.",
}
# pragmas that change the circuit; all others are ignored
ACTIVE_PRAGMAS = ("braket unitary", "braket noise")


@dataclass
class Frame:
    """Names, and the circuit that receives gates, while a part of the program is read."""

    scopes: list[dict[str, Any]]
    circuit: QuantumCircuit
    in_gate: bool = False


@dataclass(frozen=True)
class Constant:
    """Value of a name that must not be assigned."""

    value: Any


@dataclass
class Variable:
    """Value of a name with its declared type; None as long as nothing was assigned."""

    kind: ast.ClassicalType | None
    value: Any = None


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


class Interpreter:
    """Reader of one program; see `ParsedProgram` for its result.

    Args:
        text: Text of the file.
        version: Version of the language, 2 or 3.
    """

    def __init__(self, text: SourceText, version: int) -> None:
        self.text, self.version = text, version
        self.evaluator = Evaluator(self)
        self.frame = Frame([{}], QuantumCircuit())
        self.gates: dict[str, GateKind] = {}
        self.subroutines: dict[str, ast.SubroutineDefinition] = {}
        self.parameters: list[Parameter] = []
        self.physical: dict[int, Qubit] = {}
        self.bits: dict[Clbit, int | Qubit] = {}  # known values and measured qubits
        self.clbits: list[Clbit] = []
        self.measured: dict[Qubit, ast.QASMNode] = {}
        self.used: set[Qubit] = set()
        self.operations = self.depth = 0
        self.notes: list[str] = []

    def run(self, statements: Sequence[ast.Statement]) -> ParsedProgram:
        """Read all statements."""
        try:
            self.block(statements)
        except _End:
            pass
        except _Jump as jump:
            raise self.error(jump.node, f"`{jump}` is outside of a loop or subroutine.") from None
        except RecursionError:
            raise CircuitError(f"{self.text.name} is nested too deeply.") from None
        circuit = self.frame.circuit
        if self.physical:
            circuit = _with_sorted_qubits(circuit, self.physical)
        outcomes = [self.bits.get(bit) for bit in self.clbits]
        qubits = [outcome for outcome in outcomes if isinstance(outcome, Qubit)]
        measured = (qubits or list(self.measured)) if self.measured else None
        return ParsedProgram(circuit, self.parameters, measured, self.notes)

    # ---- context of expressions

    def error(self, node: ast.QASMNode, message: str) -> CircuitError:
        """Return the error at the place of a statement or expression."""
        return self.text.error(node, message)

    def lookup(self, node: ast.Identifier) -> Any:
        """Return the value of a name."""
        name = node.name
        symbol = self._symbol(name)
        if symbol is None:
            if name in CONSTANTS:
                return CONSTANTS[name]
            if name.startswith("$"):
                return Bits((self._physical(node),), single=True)
            raise self.error(node, f"`{name}` is not defined.")
        if isinstance(symbol, Constant):
            return symbol.value
        if symbol.value is None:
            raise self.error(node, f"`{name}` has no value yet.")
        return symbol.value

    def bit_value(self, bit: object, node: ast.QASMNode) -> int:
        """Return the known value of a classical bit."""
        value = self.bits.get(bit) if isinstance(bit, Clbit) else bit
        if isinstance(value, int):
            return value
        if isinstance(bit, Qubit):
            raise self.error(node, "a number is needed here (got qubits).")
        if value is None:
            raise self.error(node, "a bit is read before it has a value.")
        raise self.error(
            node,
            "the outcome of a measurement is read. Gates that depend on it have no gradient; only "
            "final measurements are supported.",
        )

    def has_subroutine(self, name: str) -> bool:
        """Return whether the file defines a subroutine of this name."""
        return name in self.subroutines

    def call(self, node: ast.FunctionCall) -> Any:
        """Run a subroutine and return its result."""
        routine = self.subroutines[node.name.name]
        if len(node.arguments) != len(routine.arguments):
            raise self.error(
                node,
                f"Subroutine `{node.name.name}` takes {len(routine.arguments)} arguments "
                f"(got {len(node.arguments)}).",
            )
        names: dict[str, Any] = {}
        for formal, given in zip(routine.arguments, node.arguments, strict=True):
            names[formal.name.name] = self._argument(formal, given)
        frame = Frame([self.frame.scopes[0], names], self.frame.circuit)
        with self._in(frame, node):
            try:
                self.block(routine.body)
            except _Return as result:
                value = result.value
                known = isinstance(routine.return_type, ast.BitType) or value is None
                return value if known else self.evaluator.cast(routine.return_type, value, node)
        return None

    def measure(self, node: ast.QuantumMeasurement) -> Bits:
        """Measure qubits and return them as the outcome."""
        qubits = self.qubits(node.qubit)
        for qubit in qubits.items:
            self._check_not_in_gate(node, "measure")
            self.measured.setdefault(qubit, node)
        return qubits

    # ---- statements

    def block(self, statements: Sequence[ast.Statement]) -> None:
        """Run statements in the current scope."""
        for statement in statements:
            self.statement(statement)

    def statement(self, node: Any) -> None:
        """Run one statement."""
        kind = type(node).__name__
        method = getattr(self, f"_{kind}", None)
        if method is None:
            raise self.error(node, NO_UNITARY.get(kind, f"`{kind}` is not supported."))
        method(node)

    def _CompoundStatement(self, node: ast.CompoundStatement) -> None:  # noqa: N802
        with self._scope():
            self.block(node.statements)

    def _Include(self, node: ast.Include) -> None:  # noqa: N802
        if node.filename in gate_library.LIBRARIES:
            return
        included = self.text.included(node, node.filename)
        outer, self.text = self.text, included
        with self._in(self.frame, node):
            self.block(included.parse())
        self.text = outer

    def _Pragma(self, node: ast.Pragma) -> None:  # noqa: N802
        if node.command.startswith(ACTIVE_PRAGMAS):
            raise self.error(node, f"pragma `{node.command}` changes the circuit; it is not supported.")
        self.notes.append(f"Pragma `{node.command}` was ignored.")

    def _CalibrationGrammarDeclaration(self, node: ast.QASMNode) -> None:  # noqa: N802
        self.notes.append("`defcalgrammar` was ignored.")

    def _QubitDeclaration(self, node: ast.QubitDeclaration) -> None:  # noqa: N802
        size = 1 if node.size is None else self.evaluator.integer(node.size)
        if not 1 <= size <= MOST_QUBITS:
            raise self.error(node, f"a register must have 1 to {MOST_QUBITS} qubits (got {size}).")
        register = QuantumRegister(size, node.qubit.name)
        self._declare(node.qubit, Constant(Bits(tuple(register), single=node.size is None)))
        self.frame.circuit.add_register(register)

    def _IODeclaration(self, node: ast.IODeclaration) -> None:  # noqa: N802
        if node.io_identifier.name == "output":
            self._declare_classical(node.identifier, node.type, None, node)
            return
        if not isinstance(node.type, ast.FloatType | ast.AngleType):
            raise self.error(node, f"input `{node.identifier.name}` must be a float or an angle.")
        parameter = Parameter(node.identifier.name)
        self._declare(node.identifier, Constant(parameter))
        self.parameters.append(parameter)

    def _ConstantDeclaration(self, node: ast.ConstantDeclaration) -> None:  # noqa: N802
        value = self.evaluator.cast(node.type, self.evaluator.value(node.init_expression), node)
        self._declare(node.identifier, Constant(value))

    def _ClassicalDeclaration(self, node: ast.ClassicalDeclaration) -> None:  # noqa: N802
        self._declare_classical(node.identifier, node.type, node.init_expression, node)

    def _declare_classical(
        self, name: ast.Identifier, kind: Any, start: Any, node: ast.QASMNode
    ) -> None:
        value = None if start is None else self.evaluator.value(start)
        if not isinstance(kind, ast.BitType):
            if isinstance(kind, ast.StretchType | ast.DurationType) and start is None:
                value = Duration(0.0, "s")
            elif value is not None:
                value = self.evaluator.cast(kind, value, node)
            self._declare(name, Variable(kind, value))
            return
        size = 1 if kind.size is None else self.evaluator.integer(kind.size)
        if not 0 <= size <= MOST_BITS:
            raise self.error(node, f"a register must have at most {MOST_BITS} bits (got {size}).")
        bits = Bits(tuple(Clbit() for _ in range(size)), single=kind.size is None)
        if len(self.frame.scopes) == 1:  # bits of subroutines and loops are no results
            self.clbits += bits.items
        self._declare(name, Constant(bits))
        if value is None and self.version == 2:
            value = 0  # OpenQASM 2 starts with zeros
        if value is not None:
            self._set_bits(bits, value, node)

    def _ClassicalAssignment(self, node: ast.ClassicalAssignment) -> None:  # noqa: N802
        value = self.evaluator.value(node.rvalue)
        if node.op.name != "=":
            operation = ast.BinaryExpression(
                ast.BinaryOperator[node.op.name.rstrip("=")], _expression(node.lvalue), node.rvalue
            )
            operation.span = node.span
            value = self.evaluator.value(operation)
        name = node.lvalue if isinstance(node.lvalue, ast.Identifier) else node.lvalue.name
        symbol = self._symbol(name.name)
        if isinstance(symbol, Constant) and isinstance(symbol.value, Bits):
            self._set_bits(self.evaluator.value(_expression(node.lvalue)), value, node)
            return
        if not isinstance(symbol, Variable):
            raise self.error(node, f"`{name.name}` is not a variable.")
        if isinstance(node.lvalue, ast.Identifier):
            symbol.value = self.evaluator.cast(symbol.kind, value, node)
        else:
            self._set_element(symbol, node.lvalue.indices, value, node)

    def _set_element(
        self, symbol: Variable, indices: Sequence[Any], value: Any, node: ast.QASMNode
    ) -> None:
        places = [item for index in indices for item in (index if isinstance(index, list) else [index])]
        target = symbol.value
        for index in places[:-1]:
            target = self.evaluator.select(target, [index], node)
        if not isinstance(target, list) or isinstance(places[-1], ast.RangeDefinition):
            raise self.error(node, "only single elements of an array can be assigned.")
        place = self.evaluator.integer(places[-1])
        self.evaluator.select(target, [places[-1]], node)  # checks the index
        target[place] = value

    def _set_bits(self, bits: Bits, value: Any, node: ast.QASMNode) -> None:
        if isinstance(value, Bits):
            if len(value.items) != len(bits.items):
                raise self.error(
                    node, f"{len(bits.items)} bits cannot hold {len(value.items)} values."
                )
            values = [item if isinstance(item, Qubit) else self.bits.get(item) for item in value.items]
            self.bits.update(
                {bit: held for bit, held in zip(bits.items, values, strict=True) if held is not None}
            )
            return
        if not isinstance(value, bool | int):
            raise self.error(node, "a bit must be 0, 1, or the outcome of a measurement.")
        self.bits.update({bit: (value >> place) & 1 for place, bit in enumerate(bits.items)})

    def _AliasStatement(self, node: ast.AliasStatement) -> None:  # noqa: N802
        value = self.evaluator.value(node.value)
        self.frame.scopes[-1][node.target.name] = Constant(value)

    def _ExpressionStatement(self, node: ast.ExpressionStatement) -> None:  # noqa: N802
        self.evaluator.value(node.expression)

    def _QuantumMeasurementStatement(self, node: ast.QuantumMeasurementStatement) -> None:  # noqa: N802
        outcome = self.measure(node.measure)
        if node.target is not None:
            target = self.evaluator.value(_expression(node.target))
            if not isinstance(target, Bits) or not all(isinstance(b, Clbit) for b in target.items):
                raise self.error(node, "a measurement must be assigned to bits.")
            self._set_bits(target, outcome, node)

    def _QuantumReset(self, node: ast.QuantumReset) -> None:  # noqa: N802
        for qubit in self.qubits(node.qubits).items:
            if qubit in self.used or qubit in self.measured:
                raise self.error(
                    node, "`reset` after gates on the same qubit has no unitary. Use a fresh qubit."
                )

    def _QuantumBarrier(self, node: ast.QuantumBarrier) -> None:  # noqa: N802
        if self.frame.in_gate:
            return
        qubits = [qubit for part in node.qubits for qubit in self.qubits(part).items]
        chosen = list(dict.fromkeys(qubits)) or list(self.frame.circuit.qubits)
        self.frame.circuit.append(Barrier(len(chosen)), chosen, copy=False)

    def _DelayInstruction(self, node: ast.DelayInstruction) -> None:  # noqa: N802
        duration = self.evaluator.value(node.duration)
        if not isinstance(duration, Duration):
            raise self.error(node, "a delay needs a duration such as 100ns.")
        for part in node.qubits:
            for qubit in self.qubits(part).items:
                value = int(duration.value) if duration.unit == "dt" else duration.value
                self._append(Delay(value, duration.unit), [qubit], node)

    def _Box(self, node: ast.Box) -> None:  # noqa: N802
        with self._scope():
            self.block(node.body)

    def _EndStatement(self, node: ast.EndStatement) -> None:  # noqa: N802
        raise _End

    def _BreakStatement(self, node: ast.BreakStatement) -> None:  # noqa: N802
        raise _Break(node)

    def _ContinueStatement(self, node: ast.ContinueStatement) -> None:  # noqa: N802
        raise _Continue(node)

    def _ReturnStatement(self, node: ast.ReturnStatement) -> None:  # noqa: N802
        value = None if node.expression is None else self.evaluator.value(node.expression)
        raise _Return(node, value)

    def _BranchingStatement(self, node: ast.BranchingStatement) -> None:  # noqa: N802
        chosen = node.if_block if self.evaluator.truth(node.condition) else node.else_block
        with self._scope():
            self.block(chosen)

    def _SwitchStatement(self, node: ast.SwitchStatement) -> None:  # noqa: N802
        target = self.evaluator.integer(node.target)
        for labels, body in node.cases:
            if target in [self.evaluator.integer(label) for label in labels]:
                self.statement(body)
                return
        if node.default is not None:
            self.statement(node.default)

    def _ForInLoop(self, node: ast.ForInLoop) -> None:  # noqa: N802
        for value in self.evaluator.items(node.set_declaration):
            with self._scope():
                cast = self.evaluator.cast(node.type, value, node)
                self._declare(node.identifier, Variable(node.type, cast))
                if self._broken(node, node.block):
                    return

    def _WhileLoop(self, node: ast.WhileLoop) -> None:  # noqa: N802
        while self.evaluator.truth(node.while_condition):
            with self._scope():
                if self._broken(node, node.block):
                    return

    def _broken(self, node: ast.QASMNode, block: Sequence[ast.Statement]) -> bool:
        """Run the block of a loop; return whether it ended the loop."""
        self._count(node)
        try:
            self.block(block)
        except _Continue:
            return False
        except _Break:
            return True
        return False

    def _SubroutineDefinition(self, node: ast.SubroutineDefinition) -> None:  # noqa: N802
        self.subroutines[node.name.name] = node

    def _QuantumGateDefinition(self, node: ast.QuantumGateDefinition) -> None:  # noqa: N802
        name = node.name.name
        if name in self.gates:
            raise self.error(node, f"Gate `{name}` is defined twice.")
        body = QuantumCircuit(len(node.qubits))
        formal = [Parameter(argument.name) for argument in node.arguments]
        names: dict[str, Any] = {p.name: Constant(p) for p in formal}
        for place, qubit in enumerate(node.qubits):
            names[qubit.name] = Constant(Bits((body.qubits[place],), single=True))
        with self._in(Frame([self.frame.scopes[0], names], body, in_gate=True), node):
            self.block(node.body)
        self.gates[name] = gate_library.file_gate(name, body, formal)

    def _QuantumPhase(self, node: ast.QuantumPhase) -> None:  # noqa: N802
        gate: Gate = GlobalPhaseGate(self.evaluator.angle(node.argument))
        for modifier in reversed(node.modifiers):
            gate = self._modified(gate, modifier, node)
        if len(node.qubits) != gate.num_qubits:
            raise self.error(
                node, f"`gphase` takes {gate.num_qubits} qubits here (got {len(node.qubits)})."
            )
        if gate.num_qubits == 0:
            self.frame.circuit.global_phase += gate.params[0]
        else:
            self._broadcast(gate, [self.qubits(part) for part in node.qubits], node)

    def _QuantumGate(self, node: ast.QuantumGate) -> None:  # noqa: N802
        kind = self._gate(node)
        controls = sum(self._num_controls(modifier) for modifier in node.modifiers)
        wanted = kind.num_angles, kind.num_qubits + controls
        given = len(node.arguments), len(node.qubits)
        if wanted != given:
            raise self.error(
                node,
                f"Gate `{node.name.name}` takes {_counted(wanted)} (got {_counted(given)}).",
            )
        angles = [self.evaluator.angle(argument) for argument in node.arguments]
        qubits = [self.qubits(part) for part in node.qubits]
        plain = not node.modifiers and not self.frame.in_gate and kind.uncontrolled
        gate = (plain or kind.make)(*angles)
        for modifier in reversed(node.modifiers):
            gate = self._modified(gate, modifier, node)
        self._broadcast(gate, qubits, node)

    # ---- parts of gates

    def _gate(self, node: ast.QuantumGate) -> GateKind:
        name = node.name.name
        kind = self.gates.get(name) or gate_library.library_gate(name)
        definition = None if kind else self.text.known_gates().get(name)
        if definition is not None:
            with self._in(Frame([{}], QuantumCircuit()), node):
                self.statement(definition)
            kind = self.gates[name]
        if kind is None:
            raise self.error(node, f"Gate `{name}` is not defined. Define it by `gate` before.")
        return kind

    def _num_controls(self, modifier: ast.QuantumGateModifier) -> int:
        if modifier.modifier not in CONTROLS:
            return 0
        count = 1 if modifier.argument is None else self.evaluator.integer(modifier.argument)
        if not 1 <= count <= MOST_CONTROLS:
            raise self.error(
                modifier, f"the number of controls must be 1 to {MOST_CONTROLS} (got {count})."
            )
        return count

    def _modified(self, gate: Gate, modifier: ast.QuantumGateModifier, node: ast.QASMNode) -> Gate:
        kind = modifier.modifier
        if kind in CONTROLS:
            controls, closed = self._num_controls(modifier), kind is ast.GateModifierName.ctrl
            if closed and isinstance(gate, GlobalPhaseGate):
                gate, controls = PhaseGate(gate.params[0]), controls - 1
            state = None if closed else 0
            return gate.control(controls, ctrl_state=state, annotated=False) if controls else gate
        if kind is ast.GateModifierName.inv:
            return gate.inverse()
        exponent = self.evaluator.number(modifier.argument)
        if not isinstance(exponent, int | float):
            raise self.error(node, "the exponent of `pow` must be a number.")
        return _power(gate, exponent, lambda message: self.error(node, message))

    def _broadcast(self, gate: Gate, parts: Sequence[Bits], node: ast.QASMNode) -> None:
        sizes = {len(part.items) for part in parts if not part.single}
        if len(sizes) > 1:
            raise self.error(node, f"registers must have one size (got {sorted(sizes)}).")
        for place in range(sizes.pop() if sizes else 1):
            qubits = [part.items[0 if part.single else place] for part in parts]
            self._append(gate if place == 0 else gate.copy(), qubits, node)

    def _append(self, gate: Any, qubits: list[Qubit], node: ast.QASMNode) -> None:
        self._count(node)
        if len(set(qubits)) < len(qubits):
            raise self.error(node, "a gate must act on different qubits.")
        if not self.frame.in_gate:
            for qubit in qubits:
                if qubit in self.measured:
                    raise self.error(
                        node,
                        "a gate follows the measurement of its qubit. Mid-circuit measurements "
                        "have no gradient; only final measurements are supported.",
                    )
            self.used.update(qubits)
        self.frame.circuit.append(gate, qubits, copy=False)

    def qubits(self, node: Any) -> Bits:
        """Return the qubits that an operand names."""
        value = self.evaluator.value(_expression(node))
        if not isinstance(value, Bits) or not all(isinstance(q, Qubit) for q in value.items):
            raise self.error(node, "qubits are needed here.")
        return value

    # ---- names and scopes

    def _symbol(self, name: str) -> Any:
        for scope in reversed(self.frame.scopes):
            if name in scope:
                return scope[name]
        return None

    def _declare(self, name: ast.Identifier, symbol: Constant | Variable) -> None:
        scope = self.frame.scopes[-1]
        if name.name in scope:
            raise self.error(name, f"`{name.name}` is declared twice.")
        scope[name.name] = symbol

    def _argument(self, formal: Any, given: ast.Expression) -> Constant | Variable:
        value = self.evaluator.value(given)
        if isinstance(formal, ast.QuantumArgument):
            size = 1 if formal.size is None else self.evaluator.integer(formal.size)
            if not isinstance(value, Bits) or len(value.items) != size:
                raise self.error(given, f"argument `{formal.name.name}` must be {size} qubits.")
            return Constant(value)
        if isinstance(formal.type, ast.BitType | ast.ArrayReferenceType):
            return Constant(value)
        return Variable(formal.type, self.evaluator.cast(formal.type, value, given))

    def _physical(self, node: ast.Identifier) -> Qubit:
        number = int(node.name[1:])
        if number not in self.physical:
            self.physical[number] = Qubit()
            self.frame.circuit.add_bits([self.physical[number]])
        return self.physical[number]

    def _count(self, node: ast.QASMNode) -> None:
        self.operations += 1
        if self.operations > MOST_OPERATIONS:
            raise self.error(node, f"the program has more than {MOST_OPERATIONS:,} operations.")

    def _check_not_in_gate(self, node: ast.QASMNode, word: str) -> None:
        if self.frame.in_gate:
            raise self.error(node, f"`{word}` is not allowed in the definition of a gate.")

    @contextmanager
    def _scope(self) -> Iterator[None]:
        self.frame.scopes.append({})
        try:
            yield
        finally:
            self.frame.scopes.pop()

    @contextmanager
    def _in(self, frame: Frame, node: ast.QASMNode) -> Iterator[None]:
        if self.depth >= DEEPEST_CALLS:
            raise self.error(node, f"calls are nested more than {DEEPEST_CALLS} deep.")
        outer, self.frame = self.frame, frame
        self.depth += 1
        try:
            yield
        finally:
            self.frame = outer
            self.depth -= 1


class _End(Exception):  # noqa: N818
    """End of the program."""


class _Jump(Exception):  # noqa: N818
    """Jump out of a block."""

    word = ""

    def __init__(self, node: ast.QASMNode) -> None:
        super().__init__(self.word)
        self.node = node


class _Break(_Jump):
    word = "break"


class _Continue(_Jump):
    word = "continue"


class _Return(_Jump):
    word = "return"

    def __init__(self, node: ast.QASMNode, value: Any) -> None:
        super().__init__(node)
        self.value = value


def _power(gate: Gate, exponent: float, error: Callable[[str], CircuitError]) -> Gate:
    """Return the power of a gate; gates with parameters need an integer or a rule of Qiskit."""
    try:
        result: Gate = gate.power(exponent, annotated=False)
    except Exception:  # noqa: BLE001  # Qiskit needs a matrix where it has no rule
        if int(exponent) != exponent:
            raise error(f"gate `{gate.name}` has no power {exponent}.") from None
        base = gate if exponent >= 0 else gate.inverse()
        body = QuantumCircuit(gate.num_qubits)
        for _ in range(abs(int(exponent))):
            body.append(base, range(gate.num_qubits))
        result = body.to_gate()
    return result


def _expression(node: Any) -> ast.Expression:
    """Return an operand such as ``q[0][1:2]`` as an expression."""
    if not isinstance(node, ast.IndexedIdentifier):
        return node  # type: ignore[no-any-return]
    result: ast.Expression = node.name
    for index in node.indices:
        result = ast.IndexExpression(result, index)
        result.span = node.span
    return result


def _with_sorted_qubits(circuit: QuantumCircuit, physical: dict[int, Qubit]) -> QuantumCircuit:
    """Return a circuit whose physical qubits are in the order of their numbers."""
    others = [qubit for qubit in circuit.qubits if qubit not in set(physical.values())]
    result = QuantumCircuit([*others, *(physical[number] for number in sorted(physical))])
    for register in circuit.qregs:
        result.add_register(register)
    result.global_phase = circuit.global_phase
    for item in circuit.data:
        result._append(item)
    return result


def _counted(counts: tuple[int, int]) -> str:
    words = zip(counts, ("angle", "qubit"), strict=True)
    return " and ".join(f"{count} {word}{'' if count == 1 else 's'}" for count, word in words)

