"""Lowering: any circuit as fixed gates and rotations of known spectrum, one angle each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from qiskit import QuantumCircuit
from qiskit.circuit import ControlFlowOp, ControlledGate, Instruction, Parameter
from qiskit.circuit import ParameterExpression as Expression
from qiskit.circuit.library import RYGate, RZGate, UnitaryGate
from qiskit.transpiler import PassManager
from qiskit.transpiler.passes import HighLevelSynthesis

from hybridopt.circuits.circuit_program import CircuitProgram, FixedGate, Rotation
from hybridopt.circuits.rotations import Family, family_of
from hybridopt.errors import CircuitError

Part = tuple[Instruction, tuple[int, ...]]

# Taken as they are where they have no free angle; everything else is replaced by its definition.
KEPT_GATES = frozenset(
    [
        "ccx",
        "ccz",
        "cp",
        "crx",
        "cry",
        "crz",
        "cswap",
        "csx",
        "cx",
        "cy",
        "cz",
        "delay",
        "diagonal",
        "ecr",
        "h",
        "id",
        "mcphase",
        "mcx",
        "p",
        "pauli",
        "r",
        "rx",
        "rxx",
        "ry",
        "ryy",
        "rz",
        "rzx",
        "rzz",
        "s",
        "sdg",
        "swap",
        "sx",
        "sxdg",
        "t",
        "tdg",
        "u",
        "unitary",
        "x",
        "y",
        "z",
    ]
)
EXCHANGES = frozenset({"xx_plus_yy", "xx_minus_yy"})
MAX_DEPTH = 50  # of definitions within definitions; a gate defined by itself would never end
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
    an angle is replaced by its definition down to such gates, expressions kept. A parameter that
    occurs several times has several angles.

    Args:
        circuit: Without measurements.
        input_parameters: Angles that contain one differ from sample to sample.
        weight_parameters: All other parameters of the circuit.
        whole: False takes controlled gates apart, as hardware does.

    Raises:
        CircuitError: If an instruction has no unitary, or a gate no shift rule, or an angle is
            complex, or the parameters are not those of the circuit.
    """
    _check_parameters(circuit, input_parameters, weight_parameters)
    inputs = set(input_parameters)
    steps: list[FixedGate | Rotation] = []
    row_expressions: list[Expression] = []
    shared_expressions: list[Expression] = []
    for gate, qubits in _all_parts(circuit, whole):
        family, angle = _rotation(gate, whole)
        if family is None or angle is None:
            steps.append(FixedGate(gate, qubits))
            continue
        if angle.is_real() is False:
            raise CircuitError(
                f"Angle `{angle}` of gate `{gate.name}` is complex. It must be real."
            )
        per_sample = not inputs.isdisjoint(angle.parameters)
        expressions = row_expressions if per_sample else shared_expressions
        steps.append(Rotation(family, qubits, len(expressions), per_sample))
        expressions.append(angle)
    return CircuitProgram(
        num_qubits=circuit.num_qubits,
        steps=tuple(steps),
        row_expressions=tuple(row_expressions),
        shared_expressions=tuple(shared_expressions),
    )


def taken_apart(gate: Instruction, qubits: tuple[int, ...]) -> Iterator[Part]:
    """A gate without free angles as gates of `KEPT_GATES`."""
    yield from _parts(gate, qubits, whole=True)


def _all_parts(circuit: QuantumCircuit, whole: bool) -> Iterator[Part]:
    if any(not isinstance(item.operation, Instruction) for item in circuit.data):
        circuit = PassManager([HighLevelSynthesis()]).run(circuit)  # annotated gates, Cliffords
    index = {qubit: place for place, qubit in enumerate(circuit.qubits)}
    for item in circuit.data:
        yield from _parts(item.operation, tuple(index[qubit] for qubit in item.qubits), whole=whole)


def _parts(
    gate: Instruction, qubits: tuple[int, ...], *, whole: bool, depth: int = 0
) -> Iterator[Part]:
    """Fixed gates and rotations, from the outermost definition inwards."""
    if gate.name == "barrier":
        return
    angles = _angles(gate)
    if (not angles and gate.name in KEPT_GATES) or _rotation(gate, whole)[0] is not None:
        yield gate, qubits
        return
    if gate.name in EXCHANGES and whole and (angles or _is_nonzero(gate.params[1])):
        yield from _without_beta(gate, qubits)
        return
    if gate.name == "u":  # Euler angles; the global phase that is left out cannot be observed
        theta, phi, lam = gate.params
        pieces: Sequence[Instruction] = (RZGate(lam), RYGate(theta), RZGate(phi))
        for piece in pieces:
            yield piece, qubits
        return
    _refuse_what_cannot_be_taken_apart(gate, qubits, depth)
    definition = gate.definition
    if definition is None:
        yield UnitaryGate(gate.to_matrix()), qubits
        return
    inner = {qubit: qubits[place] for place, qubit in enumerate(definition.qubits)}
    for item in definition.data:
        places = tuple(inner[qubit] for qubit in item.qubits)
        yield from _parts(item.operation, places, whole=whole, depth=depth + 1)


def _rotation(gate: Instruction, whole: bool) -> tuple[Family | None, Expression | None]:
    """Family and angle, if the gate is a rotation by an angle that is not a number."""
    angles = _angles(gate)
    if len(angles) != 1 or not _all_controls_closed(gate):
        return None, None
    if gate.name in EXCHANGES and _is_nonzero(gate.params[1]):
        return None, None
    return family_of(gate, whole=whole), angles[0]


def _without_beta(gate: Instruction, qubits: tuple[int, ...]) -> Iterator[Part]:
    """XXPlusYY(theta, beta) as RZ(-beta) XXPlusYY(theta, 0) RZ(beta); XXMinusYY likewise."""
    theta, beta = gate.params
    plus = gate.name == "xx_plus_yy"
    turned = (qubits[0],) if plus else (qubits[1],)
    first, last = (beta, -beta) if plus else (-beta, beta)
    yield RZGate(first), turned
    yield type(gate)(theta, 0.0), qubits
    yield RZGate(last), turned


def _is_nonzero(value: object) -> bool:
    return isinstance(value, Expression) or value != 0


def _angles(gate: Instruction) -> list[Expression]:
    return [value for value in gate.params if isinstance(value, Expression) and value.parameters]


def _all_controls_closed(gate: Instruction) -> bool:
    if not isinstance(gate, ControlledGate):
        return True
    return bool(gate.ctrl_state == (1 << gate.num_ctrl_qubits) - 1)


def _check_parameters(
    circuit: QuantumCircuit, inputs: Sequence[Parameter], weights: Sequence[Parameter]
) -> None:
    given = [*inputs, *weights]
    names = [parameter.name for parameter in given]
    twice = sorted({parameter.name for parameter in given if given.count(parameter) > 1})
    if twice:
        raise CircuitError(
            f"Parameters given twice: {', '.join(twice)}. Each is either an input or a weight."
        )
    missing = sorted(p.name for p in given if p not in circuit.parameters)
    if missing:
        raise CircuitError(
            f"Parameters that the circuit does not have: {', '.join(missing)}. It has "
            f"{', '.join(p.name for p in circuit.parameters) or 'none'}. (Two parameters of the "
            "same name are different unless they are one object.)"
        )
    unbound = [p.name for p in circuit.parameters if p not in given]
    if unbound:
        raise CircuitError(
            f"Parameters of the circuit that are neither inputs nor weights: {', '.join(unbound)}. "
            f"Name them in one of the lists, or bind them. Given: {', '.join(names) or 'none'}."
        )


def _refuse_what_cannot_be_taken_apart(
    gate: Instruction, qubits: tuple[int, ...], depth: int
) -> None:
    where = f"Instruction `{gate.name}` on qubit{'s' if len(qubits) > 1 else ''} "
    where += ", ".join(map(str, qubits))
    if gate.name in WAYS_OUT:
        raise CircuitError(f"{where} has no unitary. {WAYS_OUT[gate.name]}")
    if isinstance(gate, ControlFlowOp):
        raise CircuitError(f"{where} is classical control, which has no unitary. Unroll it.")
    angles = ", ".join(f"`{angle}`" for angle in _angles(gate))
    if depth > MAX_DEPTH or (gate.definition is None and angles):
        raise CircuitError(
            f"{where} depends on {angles or 'itself'} but has no shift rule. Write it as "
            "rotations, such as rx, ry, rz, rzz, p and their controlled forms."
        )
    if gate.definition is None and not hasattr(gate, "__array__"):
        raise CircuitError(f"{where} has neither a definition nor a matrix. Define it by gates.")
