"""Lowering: from any circuit to fixed gates and rotations of known spectrum."""

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

from hybridopt.circuits.amplitudes import fresh_start
from hybridopt.circuits.errors import CircuitError
from hybridopt.circuits.gates import Family, angle_rules, family_of, is_kept, is_standard
from hybridopt.circuits.instructions import is_stretch
from hybridopt.circuits.program import CircuitProgram
from hybridopt.circuits.steps import FixedGate, FreeAngle, NativeGate, Rotation, Step

LocalGate = tuple[Instruction, tuple[int, ...]]

EXCHANGES = (XXPlusYYGate, XXMinusYYGate)
MAX_DEPTH = 50  # of nested definitions; a gate defined by itself would never end
NOT_UNITARY = (Measure, Reset, Initialize, Store)
WAYS_OUT = {
    "measure": "Remove it with `circuit.remove_final_measurements()`. Use `observables` to select "
    "the outputs. Mid-circuit measurements have no gradient.",
    "reset": "Use a fresh qubit.",
    "initialize": "It starts with a reset. Use `circuit.prepare_state(...)` on fresh qubits.",
    "store": "It sets a classical variable. Remove it.",
}


def lower(
    circuit: QuantumCircuit,
    input_parameters: Sequence[Parameter] = (),
    weight_parameters: Sequence[Parameter] = (),
    *,
    whole: bool = True,
) -> CircuitProgram:
    """Lower a circuit to fixed gates and rotations with one angle each.

    Controlled rotations, phases with any number of controls, XXPlusYY and XXMinusYY are not
    decomposed: their derivative needs two or four settings, never more than that of their parts.
    Any other gate with an angle is replaced by its definition. A `PauliEvolutionGate` uses its own
    synthesis. A parameter that occurs several times has several angles.

    Args:
        circuit: Circuit without measurements.
        input_parameters: Parameters that differ from sample to sample.
        weight_parameters: All other parameters of the circuit.
        whole: Whether controlled gates are kept. If False, they are decomposed as on hardware.

    Raises:
        CircuitError: If an instruction has no unitary, a gate has no shift rule, or the parameters
            are not those of the circuit.
    """
    check_parameters(circuit, input_parameters, weight_parameters)
    return lower_gates(circuit, input_parameters, whole=whole)


def check_parameters(
    circuit: QuantumCircuit, inputs: Sequence[Parameter], weights: Sequence[Parameter]
) -> None:
    """Raise CircuitError for parameters that are not those of the circuit."""
    given, known = [*inputs, *weights], list(circuit.parameters)
    if twice := [parameter for parameter, count in Counter(given).items() if count > 1]:
        raise CircuitError(
            f"Parameters given twice: {_names(twice)}. Each must be either an input or a weight."
        )
    if missing := set(given).difference(known):
        raise CircuitError(
            f"Parameters that the circuit does not have: {_names(missing)}. It has "
            f"{_names(known)}. Two parameters are equal only if they are the same object; their "
            "names do not matter."
        )
    if unbound := set(known).difference(given):
        raise CircuitError(
            f"Parameters that are neither inputs nor weights: {_names(unbound)}. Add them to one "
            f"of the lists, or bind them. The lists have: {_names(given)}."
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
    """Lower a circuit to rotations, or to ``native`` gates of a device or a noise model."""
    inputs, rewritten = set(input_parameters), set(lost)
    tables: dict[bool, list[Expression]] = {True: [], False: []}

    def place(angle: Expression) -> tuple[int, bool]:
        per_sample = not inputs.isdisjoint(angle.parameters)
        tables[per_sample].append(angle)
        return len(tables[per_sample]) - 1, per_sample

    start = fresh_start(circuit)
    circuit, amplitudes = start.circuit, start.amplitudes
    tables[True] += start.expressions
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
    names = frozenset(rewritten)
    return CircuitProgram(circuit.num_qubits, *tuples, names, device_qubits, amplitudes)


def decompose(gate: Instruction, qubits: tuple[int, ...]) -> Iterator[LocalGate]:
    """Return a gate without free angles as gates of `KEPT_GATES`."""
    return _Lowering().parts(gate, qubits)


@dataclass(frozen=True)
class _Lowering:
    """Gates that are not decomposed, and the names of the replaced ones."""

    native: frozenset[str] | None = None  # names of native gates; None for exact simulation
    whole: bool = True  # whether exact simulation keeps controlled gates
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
        """Yield fixed gates and rotations, from the outermost definition inwards."""
        if isinstance(gate, Delay) and is_stretch(gate):
            return  # only without noise: `refuse_stretches` checks noisy runs before
        label = getattr(gate, "label", None)
        if label is not None and self.native is None:
            self.rewritten.add(label)  # the simulator does not receive the label
        if isinstance(gate, Instruction) and self.keeps(gate):
            family = _rotation(gate, self.whole) if self.native is None else None
            if family is not None and family.name != gate.name:
                self.rewritten.add(gate.name)
            _check_finite(gate, qubits)
            yield gate, qubits
            return
        self.rewritten.update({gate.name, label} - {None})
        definition = _checked_definition(gate, qubits, self.whole, depth)
        inner = {qubit: qubits[place] for place, qubit in enumerate(definition.qubits)}
        for item in definition.data:
            places = tuple(inner[qubit] for qubit in item.qubits)
            yield from self.parts(item.operation, places, depth + 1)


def _check_finite(gate: Instruction, qubits: tuple[int, ...]) -> None:
    """Check the constants of a gate as angles are checked that are bound later."""
    for value in gate.params:
        if _is_free(value) or isinstance(value, str):
            continue
        numbers = np.asarray(value.numeric() if isinstance(value, Expression) else value)
        if numbers.dtype.kind in "fciu" and not np.isfinite(numbers).all():
            raise CircuitError(
                f"{_where(gate, qubits)} must have finite parameters (got {value}). Look for a "
                "division by zero in the code that builds the circuit."
            )


def _rotation(gate: Instruction, whole: bool) -> Family | None:
    """Return the family of a gate that is a rotation by one free angle, else None."""
    is_open = isinstance(gate, ControlledGate) and gate.ctrl_state != 2**gate.num_ctrl_qubits - 1
    turned = isinstance(gate, EXCHANGES) and _is_nonzero(gate.params[1])
    known = len(_angles(gate)) == 1 and not is_open and not turned
    return family_of(gate, whole=whole) if known else None


def refuse_classical(gate: Operation, qubits: tuple[int, ...]) -> None:
    """Raise CircuitError for an instruction that uses classical bits or variables."""
    where = _where(gate, qubits)
    if isinstance(gate, ControlFlowOp) and not isinstance(gate, BoxOp):
        raise CircuitError(f"{where} is classical control, which is not unitary. Unroll it.")
    if gate.num_clbits or isinstance(gate, Store):
        raise CircuitError(f"{where} uses classical bits, which is not unitary. Remove it.")


def _definition(gate: Operation, num_qubits: int, whole: bool) -> QuantumCircuit | None:
    """Return the definition of a gate, up to a global phase, which cannot be observed."""
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
        # XXPlusYY(theta, beta) = RZ(-beta) XXPlusYY(theta, 0) RZ(beta); XXMinusYY is similar
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


def _checked_definition(
    gate: Operation, qubits: tuple[int, ...], whole: bool, depth: int
) -> QuantumCircuit:
    where = _where(gate, qubits)
    if isinstance(gate, NOT_UNITARY):
        raise CircuitError(f"{where} has no unitary. {WAYS_OUT[gate.name]}")
    refuse_classical(gate, qubits)
    if depth > MAX_DEPTH:
        raise CircuitError(f"The definition of {where} must not contain itself. Use other gates.")
    try:
        definition = _definition(gate, len(qubits), whole)
    except (QiskitError, TypeError) as error:
        raise CircuitError(
            f"{where} cannot be decomposed by Qiskit: {error}. Replace it by other gates."
        ) from error
    if definition is None and (angles := ", ".join(f"`{angle}`" for angle in _angles(gate))):
        raise CircuitError(
            f"{where} depends on {angles}, but it has no shift rule. Use rotations such as rx, ry, "
            "rz, rzz, p, or their controlled forms."
        )
    if definition is None:
        raise CircuitError(f"{where} has neither a definition nor a matrix. Define it by gates.")
    return definition


def _where(gate: Operation, qubits: tuple[int, ...]) -> str:
    if not qubits:
        return f"Instruction `{gate.name}`"
    plural = "s" if len(qubits) > 1 else ""
    return f"Instruction `{gate.name}` on qubit{plural} {', '.join(map(str, qubits))}"
