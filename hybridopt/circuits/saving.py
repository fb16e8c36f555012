"""Circuits to files that `load_circuit` reads."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from qiskit import QuantumCircuit, QuantumRegister, qasm3
from qiskit.circuit import Instruction, Parameter
from qiskit.circuit.library import UnitaryGate, get_standard_gate_name_mapping
from qiskit.quantum_info import Operator, Pauli, SparsePauliOp
from qiskit.transpiler import PassManager
from qiskit.transpiler.passes import HighLevelSynthesis

from hybridopt import _validation
from hybridopt._files import check_writable, write_text
from hybridopt.circuits.loading import SUFFIX
from hybridopt.circuits.lowering import lower
from hybridopt.circuits.observable_lines import observable_lines
from hybridopt.circuits.qasm.reader import SourceText, read_openqasm
from hybridopt.errors import CircuitError

_HEAD = re.compile(r"(OPENQASM [^\n]*\n(?:include [^\n]*\n)*)((?:input [^\n]*\n)*)")
WIDEST_COMPARED = 8  # qubits; a unitary of 2^16 entries


class _Renamed(NamedTuple):
    """Circuit on one register q with parameters x0, x1, ... and w0, w1, ..."""

    circuit: QuantumCircuit
    inputs: list[Parameter]
    weights: list[Parameter]


def save_circuit(
    path: str | os.PathLike[str],
    circuit: QuantumCircuit,
    input_parameters: Sequence[Parameter] = (),
    weight_parameters: Sequence[Parameter] = (),
    observables: Sequence[SparsePauliOp | Pauli | str] | SparsePauliOp | None = None,
) -> Path:
    """Write what a `CircuitLayer` takes as an OpenQASM 3 file that `load_circuit` reads.

    Whatever the parameters are called, in the file they are x0, x1, ... and w0, w1, ... in the
    given order. Gates that Qiskit has no class for are written as their parts, and the global
    phase, which cannot be observed, is left out. The text is read again before it is written, and
    up to 8 qubits the unitary of what was read is compared with that of the circuit.

    Args:
        path: Ends in ``.qasm``.
        circuit: Any circuit that a `CircuitLayer` takes.
        input_parameters: What samples bring.
        weight_parameters: What is trained.
        observables: As `CircuitLayer` takes them; None is the probabilities of all outcomes.

    Returns:
        The path.

    Raises:
        CircuitError: If the circuit cannot be differentiated, the parameters are not its own, or
            it cannot be written in OpenQASM 3.
        ArgumentError: If the path has another ending, or an observable is not Hermitian or on
            another number of qubits.
        OutputError: If the file cannot be written; nothing is left behind.

    Example:
        >>> from hybridopt import save_circuit
        >>> import tempfile
        >>> from qiskit.circuit import Parameter, QuantumCircuit
        >>> from hybridopt.circuits import load_circuit
        >>> angle = Parameter("angle")
        >>> circuit = QuantumCircuit(2)
        >>> _ = circuit.ry(angle, 0), circuit.cx(0, 1)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = save_circuit(f"{folder}/pair.qasm", circuit, [], [angle], ["ZZ"])
        ...     load_circuit(path).weight_parameters
        (Parameter(w0),)
    """
    target = _validation.path("path", path, SUFFIX)
    _validation.instance("circuit", circuit, QuantumCircuit, "a qiskit.QuantumCircuit")
    inputs, weights = tuple(input_parameters), tuple(weight_parameters)
    lower(circuit, inputs, weights)
    lines = observable_lines(observables, circuit.num_qubits)
    check_writable(target)
    program = _as_in_the_file(circuit, inputs, weights)
    text = _text(program, lines)
    try:
        read = read_openqasm(SourceText(text, "the text"))
    except CircuitError as error:
        raise CircuitError(
            f"The circuit has no OpenQASM 3 form that can be read: {error}"
        ) from error
    named = {parameter.name: parameter for parameter in read.parameters}
    again = _Renamed(
        read.circuit, *([named[p.name] for p in part] for part in (program.inputs, program.weights))
    )
    if not _have_one_unitary(again, program):
        raise CircuitError(
            "Qiskit's OpenQASM 3 exporter writes another circuit. Take composite gates apart "
            "(`circuit.decompose()`), or transpile to rx, ry, rz and cx, and save that."
        )
    return write_text(target, text)


def _as_in_the_file(
    circuit: QuantumCircuit, inputs: Sequence[Parameter], weights: Sequence[Parameter]
) -> _Renamed:
    """The same gates on one register q, with parameters x0, ..., w0, ..."""
    # first to names that nobody uses: x1 may have to become x0 while x0 becomes x1
    between = {p: Parameter(f"#{i}") for i, p in enumerate((*inputs, *weights))}
    xs = [Parameter(f"x{i}") for i in range(len(inputs))]
    ws = [Parameter(f"w{i}") for i in range(len(weights))]
    renamed = circuit.assign_parameters(between)
    renamed.assign_parameters(dict(zip(between.values(), [*xs, *ws], strict=True)), inplace=True)
    if any(not isinstance(item.operation, Instruction) for item in renamed.data):
        renamed = PassManager([HighLevelSynthesis()]).run(renamed)  # annotated gates, Cliffords
    index = {qubit: place for place, qubit in enumerate(renamed.qubits)}
    result = QuantumCircuit(QuantumRegister(circuit.num_qubits, "q"))
    for item in renamed.data:
        for gate, qubits in _parts(item.operation, tuple(index[q] for q in item.qubits)):
            result.append(gate, qubits)
    return _Renamed(result, xs, ws)


def _parts(gate: Instruction, qubits: tuple[int, ...]) -> Iterator[tuple[Instruction, list[int]]]:
    """Gates that Qiskit has a class for.

    Qiskit's exporter defines any other kind of gate once, with the parameters of its first use,
    and writes later uses with other parameters as if they were the first.
    """
    standard = get_standard_gate_name_mapping().get(gate.name)
    known = standard is not None and gate.base_class is standard.base_class
    if known or gate.name == "barrier":
        yield gate, list(qubits)
        return
    definition = gate.definition
    if definition is None:
        definition = UnitaryGate(gate.to_matrix()).definition
    for item in definition.data:
        places = (definition.find_bit(qubit).index for qubit in item.qubits)
        yield from _parts(item.operation, tuple(qubits[place] for place in places))


def _text(program: _Renamed, lines: Sequence[str]) -> str:
    circuit, inputs, weights = program
    try:
        # constants such as pi/2 would be put for every number within 1e-9 of them
        dumped = qasm3.dumps(circuit, disable_constants=True)
    except qasm3.QASM3ExporterError as error:
        raise CircuitError(f"The circuit cannot be written in OpenQASM 3: {error}") from error
    head = _HEAD.match(dumped)
    assert head is not None
    counts = f"{circuit.num_qubits} qubits, {len(inputs)} inputs, {len(weights)} weights"
    comments = [f"// A circuit of {counts}, saved by hybridopt.", *lines]
    declared = [f"input float {p.name};" for p in (*inputs, *weights)]  # those of no gate, too
    return "\n".join([*comments, head[1].rstrip("\n"), *declared, dumped[head.end() :]])


def _have_one_unitary(first: _Renamed, second: _Renamed) -> bool:
    """At one set of angles, up to the global phase."""
    if first.circuit.num_qubits > WIDEST_COMPARED:
        return True
    values = np.random.default_rng(0).uniform(0.1, 0.9, len(second.inputs) + len(second.weights))
    operators = []
    for circuit, inputs, weights in (first, second):
        angles = dict(zip((*inputs, *weights), values, strict=True))
        operators.append(Operator(circuit.assign_parameters(angles, strict=False)))
    return bool(operators[0].equiv(operators[1]))
