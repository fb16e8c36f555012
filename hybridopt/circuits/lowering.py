"""Lowering: any circuit as fixed gates and rotations of known spectrum, one angle each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from qiskit import QuantumCircuit
from qiskit.circuit import (
    Barrier,
    ControlFlowOp,
    ControlledGate,
    Instruction,
    Measure,
    Operation,
    Parameter,
    Reset,
)
from qiskit.circuit import ParameterExpression as Expression
from qiskit.circuit.library import (
    Initialize,
    UGate,
    XXMinusYYGate,
    XXPlusYYGate,
)
from qiskit.exceptions import QiskitError
from qiskit.transpiler import PassManager
from qiskit.transpiler.passes import HighLevelSynthesis

from hybridopt.circuits.circuit_program import CircuitProgram, FixedGate, Rotation
from hybridopt.circuits.kept_gates import is_kept
from hybridopt.circuits.rotations import Family, family_of
from hybridopt.errors import CircuitError

Part = tuple[Instruction, tuple[int, ...]]

EXCHANGES = (XXPlusYYGate, XXMinusYYGate)
MAX_DEPTH = 50  # of definitions within definitions; a gate defined by itself would never end
NOT_UNITARY = (Measure, Reset, Initialize)
WAYS_OUT = {
    "measure": "Take it out (`circuit.remove_final_measurements()`); `observables` say what is "
    "read. Mid-circuit measurements have no gradient.",
    "reset": "Use a fresh qubit.",
    "initialize": "It starts with a reset: use `circuit.prepare_state(...)` on fresh qubits.",
}


def lower(
    circuit: QuantumCircuit,
    input_parameters: Sequence[Parameter] = (),
    weight_parameters: Sequence[Parameter] = (),
    *,
    whole: bool = True,
) -> CircuitProgram:
    """Rewrite a circuit so that every angle enters through one rotation of known spectrum.

    Controlled rotations, phases with any controls, XXPlusYY and XXMinusYY stay in one piece: two
    or four settings for their derivative, never more than their parts need. Everything else with
    an angle is replaced by its definition down to such gates, expressions kept (a
    `PauliEvolutionGate` by its own synthesis, one Trotter step unless it says otherwise). A
    parameter that occurs several times has several angles.

    Args:
        circuit: Without measurements.
        input_parameters: Angles that contain one differ from sample to sample.
        weight_parameters: All other parameters of the circuit.
        whole: False takes controlled gates apart, as hardware does.

    Raises:
        CircuitError: If an instruction has no unitary, or a gate no shift rule, or the parameters
            are not those of the circuit.
    """
    _check_parameters(circuit, input_parameters, weight_parameters)
    inputs = set(input_parameters)
    steps: list[FixedGate | Rotation] = []
    row_expressions: list[Expression] = []
    shared_expressions: list[Expression] = []
    rewritten: set[str] = set()
    for gate, qubits in _all_parts(circuit, whole, rewritten):
        family, angle = _rotation(gate, whole)
        if family is None or angle is None:
            steps.append(FixedGate(gate, qubits))
            continue
        per_sample = not inputs.isdisjoint(angle.parameters)
        expressions = row_expressions if per_sample else shared_expressions
        steps.append(Rotation(family, qubits, len(expressions), per_sample))
        expressions.append(angle)
    return CircuitProgram(
        num_qubits=circuit.num_qubits,
        steps=tuple(steps),
        row_expressions=tuple(row_expressions),
        shared_expressions=tuple(shared_expressions),
        rewritten=frozenset(rewritten),
    )


def taken_apart(gate: Instruction, qubits: tuple[int, ...]) -> Iterator[Part]:
    """A gate without free angles as gates of `KEPT_GATES`."""
    yield from _parts(gate, qubits, whole=True, rewritten=set())


def _all_parts(circuit: QuantumCircuit, whole: bool, rewritten: set[str]) -> Iterator[Part]:
    index = {qubit: place for place, qubit in enumerate(circuit.qubits)}
    for item in circuit.data:
        qubits = tuple(index[qubit] for qubit in item.qubits)
        yield from _parts(item.operation, qubits, whole=whole, rewritten=rewritten)


def _parts(
    gate: Operation,
    qubits: tuple[int, ...],
    *,
    whole: bool,
    rewritten: set[str],
    depth: int = 0,
) -> Iterator[Part]:
    """Fixed gates and rotations, from the outermost definition inwards."""
    if isinstance(gate, Barrier):
        return
    if getattr(gate, "label", None) is not None:
        rewritten.add(gate.label)  # no label reaches the simulator
    if isinstance(gate, Instruction) and _is_elementary(gate, whole):
        family, _ = _rotation(gate, whole)
        if family is not None and family.name != gate.name:
            rewritten.add(gate.name)
        yield gate, qubits
        return
    rewritten.add(gate.name)
    definition = _definition_or_refusal(gate, qubits, whole, depth)
    inner = {qubit: qubits[place] for place, qubit in enumerate(definition.qubits)}
    for item in definition.data:
        places = tuple(inner[qubit] for qubit in item.qubits)
        yield from _parts(item.operation, places, whole=whole, rewritten=rewritten, depth=depth + 1)


def _is_elementary(gate: Instruction, whole: bool) -> bool:
    if not _angles(gate):
        return is_kept(gate)
    return _rotation(gate, whole)[0] is not None


def _rotation(gate: Instruction, whole: bool) -> tuple[Family | None, Expression | None]:
    """Family and angle, if the gate is a rotation by an angle that is not a number."""
    angles = _angles(gate)
    if len(angles) != 1 or not _all_controls_closed(gate):
        return None, None
    if isinstance(gate, EXCHANGES) and _is_nonzero(gate.params[1]):
        return None, None
    return family_of(gate, whole=whole), angles[0]


def _definition(gate: Operation, num_qubits: int, whole: bool) -> QuantumCircuit | None:
    """What a gate consists of, up to a global phase, which cannot be observed."""
    definition = QuantumCircuit(num_qubits)
    if not isinstance(gate, Instruction):  # annotated gates, Cliffords
        definition.append(gate, range(num_qubits))
        return PassManager([HighLevelSynthesis()]).run(definition)
    if isinstance(gate, UGate):
        theta, phi, lam = gate.params
        definition.rz(lam, 0)
        definition.ry(theta, 0)
        definition.rz(phi, 0)
    elif isinstance(gate, EXCHANGES) and whole and _is_nonzero(gate.params[1]):
        _write_without_beta(gate, definition)
    elif gate.definition is None and hasattr(gate, "__array__") and not _angles(gate):
        definition.unitary(gate.to_matrix(), range(num_qubits))
    else:
        return gate.definition
    return definition


def _write_without_beta(gate: Instruction, definition: QuantumCircuit) -> None:
    """XXPlusYY(theta, beta) as RZ(-beta) XXPlusYY(theta, 0) RZ(beta); XXMinusYY likewise."""
    theta, beta = gate.params
    plus = isinstance(gate, XXPlusYYGate)
    turned = 0 if plus else 1
    first, last = (beta, -beta) if plus else (-beta, beta)
    definition.rz(first, turned)
    definition.append(type(gate)(theta, 0.0), [0, 1])
    definition.rz(last, turned)


def _is_nonzero(value: object) -> bool:
    return isinstance(value, Expression) or value != 0


def _angles(gate: Operation) -> list[Expression]:
    params = gate.params if isinstance(gate, Instruction) else ()
    return [value for value in params if isinstance(value, Expression) and value.parameters]


def _all_controls_closed(gate: Instruction) -> bool:
    if not isinstance(gate, ControlledGate):
        return True
    return bool(gate.ctrl_state == (1 << gate.num_ctrl_qubits) - 1)


def _check_parameters(
    circuit: QuantumCircuit, inputs: Sequence[Parameter], weights: Sequence[Parameter]
) -> None:
    given = [*inputs, *weights]
    names = [parameter.name for parameter in given]
    known = list(circuit.parameters)
    twice = sorted(p.name for p, count in Counter(given).items() if count > 1)
    if twice:
        raise CircuitError(
            f"Parameters given twice: {', '.join(twice)}. Each is either an input or a weight."
        )
    missing = sorted(p.name for p in set(given).difference(known))
    if missing:
        raise CircuitError(
            f"Parameters that the circuit does not have: {', '.join(missing)}. It has "
            f"{', '.join(p.name for p in known) or 'none'}. (Two parameters of the "
            "same name are different unless they are one object.)"
        )
    placed = set(given)
    unbound = [p.name for p in known if p not in placed]
    if unbound:
        raise CircuitError(
            f"Parameters of the circuit that are neither inputs nor weights: {', '.join(unbound)}. "
            f"Name them in one of the lists, or bind them. Given: {', '.join(names) or 'none'}."
        )


def _definition_or_refusal(
    gate: Operation, qubits: tuple[int, ...], whole: bool, depth: int
) -> QuantumCircuit:
    where = f"Instruction `{gate.name}` on qubit{'s' if len(qubits) > 1 else ''} "
    where += ", ".join(map(str, qubits))
    _refuse_what_has_no_unitary(gate, where)
    angles = ", ".join(f"`{angle}`" for angle in _angles(gate))
    if depth > MAX_DEPTH:
        raise CircuitError(f"{where} is defined by itself. Write it as other gates.")
    try:
        definition = _definition(gate, len(qubits), whole)
    except (QiskitError, TypeError) as error:
        raise CircuitError(
            f"{where} cannot be taken apart by Qiskit: {error}. Write it as gates."
        ) from error
    if definition is not None:
        return definition
    if angles:
        raise CircuitError(
            f"{where} depends on {angles} but has no shift rule. Write it as rotations, such as "
            "rx, ry, rz, rzz, p and their controlled forms."
        )
    raise CircuitError(f"{where} has neither a definition nor a matrix. Define it by gates.")


def _refuse_what_has_no_unitary(gate: Operation, where: str) -> None:
    if isinstance(gate, NOT_UNITARY):
        raise CircuitError(f"{where} has no unitary. {WAYS_OUT[gate.name]}")
    if isinstance(gate, ControlFlowOp):
        raise CircuitError(f"{where} is classical control, which has no unitary. Unroll it.")
