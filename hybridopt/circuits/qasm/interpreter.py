"""OpenQASM programs as circuits: constants are computed, loops and subroutines unrolled.

A file may contain classical code as long as it depends neither on inputs nor on measurements.
Measurements must be final: no gate may follow on a measured qubit, and no bit may be read.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from openqasm3 import ast
from qiskit.circuit import Delay, Parameter

from hybridopt.circuits.errors import CircuitError
from hybridopt.circuits.qasm import gate_library
from hybridopt.circuits.qasm.arithmetic import CONSTANTS
from hybridopt.circuits.qasm.circuit_builder import CircuitBuilder, ParsedProgram
from hybridopt.circuits.qasm.expressions import MOST_ELEMENTS, Context, Evaluator
from hybridopt.circuits.qasm.gate_statements import GateStatements
from hybridopt.circuits.qasm.values import Bits, Duration
from hybridopt.circuits.qasm.variables import Constant, Scope, Variable, Variables, as_expression

if TYPE_CHECKING:
    from hybridopt.circuits.qasm.reader import SourceText

DEEPEST_CALLS = 64  # of subroutines and includes
MOST_INCLUDES = 256
REFUSED = {
    "CalibrationDefinition": "`defcal` describes pulses, which are not simulated. Delete it.",
    "CalibrationStatement": "`cal` describes pulses, which are not simulated. Delete it.",
}
# pragmas that change the circuit; all others are ignored
ACTIVE_PRAGMAS = ("braket unitary", "braket noise")


class Interpreter(Context):
    """Reader of one program; see `ParsedProgram` for its result.

    Args:
        text: Text of the file.
    """

    def __init__(self, text: SourceText) -> None:
        self.text, self.version = text, text.version
        self.evaluator = Evaluator(self)
        self.builder = CircuitBuilder(self.error, len(text.text))
        self.variables = Variables(self.evaluator, self.error)
        self.gates = GateStatements(self.evaluator, self.builder, self.error, self._define_known)
        self.subroutines: dict[str, ast.SubroutineDefinition | None] = {}  # None for `extern`
        self.parameters: list[Parameter] = []
        self.notes: list[str] = []
        self.depth = self.includes = 0

    def run(self, statements: Iterable[ast.QASMNode]) -> ParsedProgram:
        """Execute all statements."""
        try:
            with suppress(_End):
                self.block(statements)
        except RecursionError:
            raise self.text.too_deep() from None
        circuit = self.builder.finished()
        used = set(circuit.parameters)
        for parameter in self.parameters:
            if parameter not in used:
                circuit.global_phase += 0 * parameter  # inputs of no gate keep their places
        measured = self.variables.measured() or list(self.builder.measured) or None
        return ParsedProgram(circuit, self.parameters, measured, self.notes)

    # ---- context of expressions

    def error(self, node: ast.QASMNode, message: str) -> CircuitError:
        """Return the error at the place of a statement or expression."""
        return self.text.error(node, message)

    def lookup(self, node: ast.Identifier) -> Any:
        """Return the value of a name."""
        name = node.name
        symbol = self.variables.find(name)
        if symbol is None:
            if name in CONSTANTS:
                return CONSTANTS[name]
            if name.startswith("$"):
                return self.builder.physical(node)
            raise self.error(node, f"`{name}` is not defined.")
        if symbol.value is None:
            raise self.error(node, f"`{name}` has no value yet.")
        return symbol.value

    def bit_value(self, bit: object, node: ast.QASMNode) -> int:
        """Return the known value of a classical bit."""
        return self.variables.bit_value(bit, node)

    def has_subroutine(self, name: str) -> bool:
        """Return whether the file defines a subroutine of this name."""
        return name in self.subroutines

    def call(self, node: ast.FunctionCall) -> Any:
        """Run a subroutine and return its result."""
        name = node.name.name
        routine = self.subroutines[name]
        if routine is None:
            raise self.error(node, f"`extern` function `{name}` has no definition in the file.")
        if len(node.arguments) != len(routine.arguments):
            counts = f"{len(routine.arguments)} arguments (got {len(node.arguments)})"
            raise self.error(node, f"Subroutine `{name}` takes {counts}.")
        names: Scope = {}
        for formal, given in zip(routine.arguments, node.arguments, strict=True):
            names[formal.name.name] = self._argument(formal, given)
        self.builder.count(node)
        with self._deeper(node), self.variables.body(names):
            try:
                self.block(routine.body)
            except _Return as result:
                value = result.value
                known = isinstance(routine.return_type, ast.BitType) or value is None
                return value if known else self.evaluator.cast(routine.return_type, value, node)
        return None

    def measure(self, node: ast.QuantumMeasurement) -> Bits:
        """Measure qubits and return them as the outcome."""
        qubits = self.gates.qubits(node.qubit)
        self.builder.measure(qubits)
        return qubits

    # ---- statements: one method per kind

    def block(self, statements: Iterable[ast.QASMNode]) -> None:
        """Execute statements in the current scope."""
        for statement in statements:
            self.statement(statement)

    def statement(self, node: Any) -> None:
        """Execute one statement."""
        kind = type(node).__name__
        method = getattr(self, f"_{kind}", None)
        if method is None:
            raise self.error(node, REFUSED.get(kind, f"`{kind}` is not supported."))
        method(node)

    def _CompoundStatement(self, node: ast.CompoundStatement) -> None:  # noqa: N802
        with self.variables.block():
            self.block(node.statements)

    def _Include(self, node: ast.Include) -> None:  # noqa: N802
        if node.filename in gate_library.LIBRARIES:
            return
        self.includes += 1
        if self.includes > MOST_INCLUDES:
            raise self.error(node, f"a file must include at most {MOST_INCLUDES} files.")
        included = self.text.included(node, node.filename)
        with self._deeper(node):
            outer, self.text = self.text, included
            self.block(included.parse())
            self.text = outer

    def _Pragma(self, node: ast.Pragma) -> None:  # noqa: N802
        if node.command.startswith(ACTIVE_PRAGMAS):
            raise self.error(node, f"pragma `{node.command}` changes the circuit; write gates.")
        self.notes.append(f"Pragma `{node.command}` was ignored.")

    def _CalibrationGrammarDeclaration(self, node: ast.QASMNode) -> None:  # noqa: N802
        self.notes.append("`defcalgrammar` was ignored.")

    def _QubitDeclaration(self, node: ast.QubitDeclaration) -> None:  # noqa: N802
        size = 1 if node.size is None else self.evaluator.integer(node.size)
        if self.variables.find(node.qubit.name) is not None:
            raise self.variables.declared_twice(node.qubit)
        self.variables.declare(node.qubit, Constant(self.builder.add_register(node, size)))

    def _IODeclaration(self, node: ast.IODeclaration) -> None:  # noqa: N802
        if node.io_identifier.name == "output":
            self._declare(node.identifier, node.type, None, node)
            return
        name, kind, lengths = node.identifier.name, node.type, list[int]()
        if isinstance(kind, ast.ArrayType):
            lengths = [self.evaluator.integer(length) for length in kind.dimensions]
            kind = kind.base_type
        if not isinstance(kind, ast.FloatType | ast.AngleType):
            raise self.error(node, f"input `{name}` must be a float or an angle.")
        if not 0 < math.prod(lengths) <= MOST_ELEMENTS:
            raise self.error(node, f"input `{name}` must have 1 to {MOST_ELEMENTS} elements.")
        self.variables.declare(node.identifier, Constant(self._inputs(name, lengths)))

    def _inputs(self, name: str, lengths: Sequence[int]) -> Any:
        if lengths:
            return [self._inputs(f"{name}[{k}]", lengths[1:]) for k in range(lengths[0])]
        parameter = Parameter(name)
        self.parameters.append(parameter)
        return parameter

    def _ConstantDeclaration(self, node: ast.ConstantDeclaration) -> None:  # noqa: N802
        value = self.evaluator.value_for(node.type, node.init_expression)
        value = self.evaluator.cast(node.type, value, node)
        self.variables.declare(node.identifier, Constant(value))

    def _ClassicalDeclaration(self, node: ast.ClassicalDeclaration) -> None:  # noqa: N802
        self._declare(node.identifier, node.type, node.init_expression, node)

    def _declare(self, name: ast.Identifier, kind: Any, start: Any, node: ast.QASMNode) -> None:
        if isinstance(kind, ast.StretchType):
            raise self.error(
                node,
                f"`stretch` `{name.name}` has a length that a device decides. Give a duration.",
            )
        value = None if start is None else self.evaluator.value_for(kind, start)
        if isinstance(kind, ast.BitType):
            zero = 0 if self.version == 2 else None  # bits of OpenQASM 2 start at 0
            self.variables.declare_bits(name, kind, zero if value is None else value)
            return
        if value is not None:
            value = self.evaluator.cast(kind, value, node)
        elif isinstance(kind, ast.ArrayType):
            value = self.evaluator.empty_array(kind, node)
        self.variables.declare(name, Variable(kind, value))

    def _ClassicalAssignment(self, node: ast.ClassicalAssignment) -> None:  # noqa: N802
        value: Any = node.rvalue
        if node.op.name != "=":
            value = ast.BinaryExpression(
                ast.BinaryOperator[node.op.name.removesuffix("=")],
                as_expression(node.lvalue),
                value,
            )
            value.span = node.span
        name = node.lvalue if isinstance(node.lvalue, ast.Identifier) else node.lvalue.name
        kind = getattr(self.variables.find(name.name), "kind", None)
        value = self.evaluator.value_for(getattr(kind, "base_type", kind), value)
        self.variables.assign(node.lvalue, value, node)

    def _AliasStatement(self, node: ast.AliasStatement) -> None:  # noqa: N802
        self.variables.replace(node.target, Constant(self.evaluator.value(node.value)))

    def _ExpressionStatement(self, node: ast.ExpressionStatement) -> None:  # noqa: N802
        self.evaluator.value(node.expression)

    def _QuantumMeasurementStatement(self, node: ast.QuantumMeasurementStatement) -> None:  # noqa: N802
        outcome = self.measure(node.measure)
        if node.target is not None:
            self.variables.assign(node.target, outcome, node)

    def _QuantumReset(self, node: ast.QuantumReset) -> None:  # noqa: N802
        self.builder.reset(self.gates.qubits(node.qubits), node)

    def _QuantumBarrier(self, node: ast.QuantumBarrier) -> None:  # noqa: N802
        operands = [self.gates.qubits(part) for part in node.qubits]
        self.builder.barrier([qubit for part in operands for qubit in part.items])

    def _DelayInstruction(self, node: ast.DelayInstruction) -> None:  # noqa: N802
        duration = self.evaluator.value(node.duration)
        if not isinstance(duration, Duration) or duration.value < 0:
            raise self.error(node, "a `delay` needs a duration such as 100ns.")
        in_cycles = duration.unit == "dt"
        delay = Delay(int(duration.value) if in_cycles else duration.value, duration.unit)
        for part in node.qubits:
            self.builder.broadcast(delay.copy(), [self.gates.qubits(part)], node)

    def _Box(self, node: ast.Box) -> None:  # noqa: N802
        with self.variables.block():
            self.block(node.body)

    def _EndStatement(self, node: ast.EndStatement) -> None:  # noqa: N802
        raise _End

    def _BreakStatement(self, node: ast.BreakStatement) -> None:  # noqa: N802
        raise _Break

    def _ContinueStatement(self, node: ast.ContinueStatement) -> None:  # noqa: N802
        raise _Continue

    def _ReturnStatement(self, node: ast.ReturnStatement) -> None:  # noqa: N802
        result: Any = node.expression
        raise _Return(None if result is None else self.evaluator.value(result))

    def _BranchingStatement(self, node: ast.BranchingStatement) -> None:  # noqa: N802
        chosen = node.if_block if self.evaluator.truth(node.condition) else node.else_block
        with self.variables.block():
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
            with self.variables.block():
                cast = self.evaluator.cast(node.type, value, node)
                self.variables.declare(node.identifier, Variable(node.type, cast))
                if self._ended(node, node.block):
                    return

    def _WhileLoop(self, node: ast.WhileLoop) -> None:  # noqa: N802
        while self.evaluator.truth(node.while_condition):
            with self.variables.block():
                if self._ended(node, node.block):
                    return

    def _ended(self, node: ast.QASMNode, block: Sequence[ast.QASMNode]) -> bool:
        """Execute the block of a loop once; return whether it ended the loop."""
        self.builder.count(node, steps=1 + len(block))
        try:
            self.block(block)
        except _Continue:
            return False
        except _Break:
            return True
        return False

    def _ExternDeclaration(self, node: ast.ExternDeclaration) -> None:  # noqa: N802
        self.subroutines[node.name.name] = None

    def _SubroutineDefinition(self, node: ast.SubroutineDefinition) -> None:  # noqa: N802
        self.subroutines[node.name.name] = node

    def _QuantumGateDefinition(self, node: ast.QuantumGateDefinition) -> None:  # noqa: N802
        name = node.name.name
        if name in self.gates.kinds:
            raise self.error(node, f"Gate `{name}` is defined twice.")
        formal = [Parameter(argument.name) for argument in node.arguments]
        names: Scope = {parameter.name: Constant(parameter) for parameter in formal}
        with self._deeper(node), self.builder.gate_body(len(node.qubits)) as size:
            body = self.builder.circuit
            for qubit, operand in zip(body.qubits, node.qubits, strict=True):
                names[operand.name] = Constant(Bits((qubit,), single=True))
            with self.variables.body(names):
                self.block(node.body)
            self.gates.kinds[name] = gate_library.file_gate(name, body, formal, *size())

    def _QuantumPhase(self, node: ast.QuantumPhase) -> None:  # noqa: N802
        self.gates.apply_phase(node)

    def _QuantumGate(self, node: ast.QuantumGate) -> None:  # noqa: N802
        if node.name.name in self.text.opaque and node.name.name not in self.gates.kinds:
            raise self.error(
                node, f"Gate `{node.name.name}` is opaque. Define it by `gate` before."
            )
        self.gates.apply(node)

    # ---- parts of statements

    def _define_known(self, name: str) -> bool:
        definition = self.text.known_gates().get(name)
        if definition is not None:
            self._QuantumGateDefinition(definition)
        return definition is not None

    def _argument(self, formal: Any, given: ast.Expression) -> Constant | Variable:
        if isinstance(formal, ast.QuantumArgument):
            size = 1 if formal.size is None else self.evaluator.integer(formal.size)
            qubits = self.gates.qubits(given)
            if len(qubits.items) != size:
                raise self.error(given, f"argument `{formal.name.name}` must be {size} qubits.")
            return Constant(qubits)
        value = self.evaluator.value_for(formal.type, given)
        if isinstance(formal.type, ast.ArrayReferenceType):
            mutable = formal.access is ast.AccessControl.mutable
            return Variable(None, value) if mutable else Constant(value)
        if isinstance(formal.type, ast.BitType):
            return Constant(value)
        return Variable(formal.type, self.evaluator.cast(formal.type, value, given))

    @contextmanager
    def _deeper(self, node: ast.QASMNode) -> Iterator[None]:
        if self.depth >= DEEPEST_CALLS:
            raise self.error(node, f"calls are nested more than {DEEPEST_CALLS} deep.")
        self.depth += 1
        try:
            yield
        finally:
            self.depth -= 1


class _End(Exception):  # noqa: N818
    """End of the program."""


class _Break(Exception):  # noqa: N818
    """End of a loop."""


class _Continue(Exception):  # noqa: N818
    """End of one pass of a loop."""


class _Return(Exception):  # noqa: N818
    """End of a subroutine."""

    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value
