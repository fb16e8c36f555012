"""Lowering: any circuit as fixed gates and rotations of known spectrum, one angle each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit import (
    BoxOp,
    ControlFlowOp,
    ControlledGate,
    Delay,
    Instruction,
    Measure,
    Operation,
    Parameter,
    Reset,
    Store,
)
from qiskit.circuit import ParameterExpression as Expression
from qiskit.circuit.library import Initialize, UGate, XXMinusYYGate, XXPlusYYGate
from qiskit.exceptions import QiskitError
from qiskit.transpiler import PassManager
from qiskit.transpiler.passes import HighLevelSynthesis

from hybridopt.circuits.gates import Family, angle_rules, family_of, is_kept, is_standard
from hybridopt.circuits.instructions import is_stretch
from hybridopt.circuits.program import (
    CircuitProgram,
    FixedGate,
    FreeAngle,
    NativeGate,
    Rotation,
    Step,
)
from hybridopt.errors import CircuitError

LocalGate = tuple[Instruction, tuple[int, ...]]

EXCHANGES = (XXPlusYYGate, XXMinusYYGate)
MAX_DEPTH = 50  # of definitions within definitions; a gate defined by itself would never end
NOT_UNITARY = (Measure, Reset, Initialize, Store)
WAYS_OUT = {
    "measure": "Take it out (`circuit.remove_final_measurements()`); `observables` say what is "
    "read. Mid-circuit measurements have no gradient.",
    "reset": "Use a fresh qubit.",
    "initialize": "It starts with a reset: use `circuit.prepare_state(...)` on fresh qubits.",
    "store": "It sets a classical variable, which has no part in a program of angles. Remove it.",
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
    check_parameters(circuit, input_parameters, weight_parameters)
    return lower_gates(circuit, input_parameters, whole=whole)


def check_parameters(
    circuit: QuantumCircuit, inputs: Sequence[Parameter], weights: Sequence[Parameter]
) -> None:
    """Refuse parameters that are not those of the circuit."""
    given, known = [*inputs, *weights], list(circuit.parameters)
    if twice := [parameter for parameter, count in Counter(given).items() if count > 1]:
        raise CircuitError(
            f"Parameters given twice: {_names(twice)}. Each is either an input or a weight."
        )
    if missing := set(given).difference(known):
        raise CircuitError(
            f"Parameters that the circuit does not have: {_names(missing)}. It has "
            f"{_names(known)}. (Two parameters of the same name are different unless they are one "
            "object.)"
        )
    if unbound := set(known).difference(given):
        raise CircuitError(
            f"Parameters of the circuit that are neither inputs nor weights: {_names(unbound)}. "
            f"Name them in one of the lists, or bind them. Given: {_names(given)}."
        )


def _names(parameters: Iterable[Parameter]) -> str:
    return ", ".join(sorted(parameter.name for parameter in parameters)) or "none"


def lower_gates(
    circuit: QuantumCircuit,
    input_parameters: Sequence[Parameter],
    *,
    whole: bool = False,
    native: frozenset[str] | None = None,
    device_qubits: tuple[int, ...] | None = None,
    lost: frozenset[str] = frozenset(),
) -> CircuitProgram:
    """Lower a circuit to rotations, or to ``native`` gates as a device runs them with noise."""
    inputs, rewritten = set(input_parameters), set(lost)
    tables: dict[bool, list[Expression]] = {True: [], False: []}

    def place(angle: Expression) -> tuple[int, bool]:
        per_sample = not inputs.isdisjoint(angle.parameters)
        tables[per_sample].append(angle)
        return len(tables[per_sample]) - 1, per_sample

    steps: list[Step] = []
    index = {qubit: number for number, qubit in enumerate(circuit.qubits)}
    lowering = _Lowering(native, whole, rewritten)
    parts = (
        lowering.parts(item.operation, tuple(index[q] for q in item.qubits))
        for item in circuit.data
    )
    for gate, qubits in chain.from_iterable(parts):
        if not _angles(gate):
            steps.append(FixedGate(gate, qubits))
        elif native is None:
            family = _rotation(gate, whole)
            assert family is not None
            steps.append(Rotation(family, qubits, *place(_angles(gate)[0])))
        else:
            rules = angle_rules(gate)
            assert rules is not None
            free = tuple(
                FreeAngle(position, *place(value), rule)
                for position, (value, rule) in enumerate(zip(gate.params, rules, strict=True))
                if _is_free(value)
            )
            steps.append(NativeGate(gate, qubits, free))
    tuples = tuple(steps), tuple(tables[True]), tuple(tables[False])
    return CircuitProgram(circuit.num_qubits, *tuples, frozenset(rewritten), device_qubits)


def decompose(gate: Instruction, qubits: tuple[int, ...]) -> Iterator[LocalGate]:
    """A gate without free angles as gates of `KEPT_GATES`."""
    return _Lowering().parts(gate, qubits)


@dataclass(frozen=True)
class _Lowering:
    """Gates that stay in one piece, and the names of those that do not."""

    native: frozenset[str] | None = None  # names of the device's; None for exact simulation,
    whole: bool = True  # in which controlled gates may stay in one piece
    rewritten: set[str] = field(default_factory=set)

    def keeps(self, gate: Instruction) -> bool:
        if self.native is None:
            return _rotation(gate, self.whole) is not None if _angles(gate) else is_kept(gate)
        if gate.name not in self.native or not is_standard(gate):
            return False
        return not _angles(gate) or angle_rules(gate) is not None

    def parts(
        self, gate: Operation, qubits: tuple[int, ...], depth: int = 0
    ) -> Iterator[LocalGate]:
        """Fixed gates and rotations, from the outermost definition inwards."""
        if isinstance(gate, Delay) and is_stretch(gate):
            return  # without noise; `refuse_stretches` has seen it before a noisy run
        label = getattr(gate, "label", None)
        if label is not None and self.native is None:
            self.rewritten.add(label)  # it does not reach the simulator
        if isinstance(gate, Instruction) and self.keeps(gate):
            family = _rotation(gate, self.whole) if self.native is None else None
            if family is not None and family.name != gate.name:
                self.rewritten.add(gate.name)
            _check_finite(gate, qubits)
            yield gate, qubits
            return
        self.rewritten.update({gate.name, label} - {None})
        definition = _definition_or_refusal(gate, qubits, self.whole, depth)
        inner = {qubit: qubits[place] for place, qubit in enumerate(definition.qubits)}
        for item in definition.data:
            places = tuple(inner[qubit] for qubit in item.qubits)
            yield from self.parts(item.operation, places, depth + 1)


def _check_finite(gate: Instruction, qubits: tuple[int, ...]) -> None:
    """Constants of gates are checked like angles that are bound later."""
    for value in gate.params:
        if _is_free(value) or isinstance(value, str):
            continue
        numbers = np.asarray(value.numeric() if isinstance(value, Expression) else value)
        if numbers.dtype.kind in "fciu" and not np.isfinite(numbers).all():
            shown = "entries that are" if numbers.ndim else f"the angle {numbers} that is"
            raise CircuitError(
                f"{_where(gate, qubits)} has {shown} not finite. Look for a division by zero where "
                "the circuit was made."
            )


def _rotation(gate: Instruction, whole: bool) -> Family | None:
    """Family, if the gate is a rotation by an angle that is not a number."""
    is_open = isinstance(gate, ControlledGate) and gate.ctrl_state != 2**gate.num_ctrl_qubits - 1
    turned = isinstance(gate, EXCHANGES) and _is_nonzero(gate.params[1])
    known = len(_angles(gate)) == 1 and not is_open and not turned
    return family_of(gate, whole=whole) if known else None


def _definition(gate: Operation, num_qubits: int, whole: bool) -> QuantumCircuit | None:
    """What a gate consists of, up to a global phase, which cannot be observed."""
    definition = QuantumCircuit(num_qubits)
    if isinstance(gate, BoxOp):
        return gate.blocks[0]
    if not isinstance(gate, Instruction):  # annotated gates, Cliffords
        definition.append(gate, range(num_qubits))
        return PassManager([HighLevelSynthesis()]).run(definition)
    if isinstance(gate, UGate):
        theta, phi, lam = gate.params
        definition.rz(lam, 0)
        definition.ry(theta, 0)
        definition.rz(phi, 0)
    elif isinstance(gate, EXCHANGES) and whole and _is_nonzero(gate.params[1]):
        # XXPlusYY(theta, beta) is RZ(-beta) XXPlusYY(theta, 0) RZ(beta); XXMinusYY likewise
        theta, beta = gate.params
        turned, beta = (0, beta) if isinstance(gate, XXPlusYYGate) else (1, -beta)
        definition.rz(beta, turned)
        definition.append(type(gate)(theta, 0.0), [0, 1])
        definition.rz(-beta, turned)
    elif gate.definition is None and hasattr(gate, "__array__") and not _angles(gate):
        definition.unitary(gate.to_matrix(), range(num_qubits))
    else:
        return gate.definition
    return definition


def _is_nonzero(value: object) -> bool:
    return isinstance(value, Expression) or value != 0


def _angles(gate: Operation) -> list[Expression]:
    params = gate.params if isinstance(gate, Instruction) else ()
    return [value for value in params if _is_free(value)]


def _is_free(value: object) -> bool:
    return isinstance(value, Expression) and bool(value.parameters)


def _definition_or_refusal(
    gate: Operation, qubits: tuple[int, ...], whole: bool, depth: int
) -> QuantumCircuit:
    where = _where(gate, qubits)
    if isinstance(gate, NOT_UNITARY):
        raise CircuitError(f"{where} has no unitary. {WAYS_OUT[gate.name]}")
    if isinstance(gate, ControlFlowOp) and not isinstance(gate, BoxOp):
        raise CircuitError(f"{where} is classical control, which has no unitary. Unroll it.")
    if depth > MAX_DEPTH:
        raise CircuitError(f"{where} is defined by itself. Write it as other gates.")
    try:
        definition = _definition(gate, len(qubits), whole)
    except (QiskitError, TypeError) as error:
        raise CircuitError(
            f"{where} cannot be taken apart by Qiskit: {error}. Write it as gates."
        ) from error
    if definition is None and (angles := ", ".join(f"`{angle}`" for angle in _angles(gate))):
        raise CircuitError(
            f"{where} depends on {angles} but has no shift rule. Write it as rotations, such as "
            "rx, ry, rz, rzz, p and their controlled forms."
        )
    if definition is None:
        raise CircuitError(f"{where} has neither a definition nor a matrix. Define it by gates.")
    return definition


def _where(gate: Operation, qubits: tuple[int, ...]) -> str:
    if not qubits:
        return f"Instruction `{gate.name}`"
    plural = "s" if len(qubits) > 1 else ""
    return f"Instruction `{gate.name}` on qubit{plural} {', '.join(map(str, qubits))}"
