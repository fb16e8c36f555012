"""Circuits saved as files that `load_circuit` reads."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from qiskit import QuantumCircuit, QuantumRegister, qasm3, qpy
from qiskit.circuit import Instruction, Parameter
from qiskit.circuit.library import UnitaryGate, get_standard_gate_name_mapping
from qiskit.exceptions import QiskitError
from qiskit.quantum_info import Operator, Pauli, SparsePauliOp
from qiskit.transpiler import PassManager
from qiskit.transpiler.passes import HighLevelSynthesis

from hybridopt import _validation
from hybridopt._files import check_writable, write_bytes
from hybridopt.circuits.errors import CircuitError
from hybridopt.circuits.loading import OBSERVABLES, QPY_SUFFIX, SUFFIX
from hybridopt.circuits.lowering import lower
from hybridopt.circuits.observable_lines import observable_lines
from hybridopt.circuits.qasm.reader import SourceText, read_openqasm
from hybridopt.circuits.qpy_file import read_qpy

_HEAD = re.compile(r"(OPENQASM [^\n]*\n(?:include [^\n]*\n)*)((?:input [^\n]*\n)*)")
WIDEST_COMPARED = 8  # qubits; a unitary of 2^16 entries


class _Read(NamedTuple):
    """Content of a file, with the circuit and the parameters that are read from it."""

    content: bytes
    circuit: QuantumCircuit
    parameters: Sequence[Parameter]


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
    """Write the arguments of a `CircuitLayer` as a file that `load_circuit` reads.

    In the file the parameters are x0, x1, ... and w0, w1, ... in the given order: a weight
    ``th[0]`` becomes w0. Gates without a class in Qiskit are decomposed. The global phase, which
    cannot be observed, is left out. Before the file is written, its content is read again; up to 8
    qubits, the two unitaries are compared.

    Args:
        path: Path of the file, with the ending ``.qasm`` for OpenQASM 3 or ``.qpy`` for QPY, whose
            metadata then contain the observables.
        circuit: Circuit that a `CircuitLayer` takes.
        input_parameters: Parameters that differ from sample to sample.
        weight_parameters: Trained parameters.
        observables: Observables of the `CircuitLayer`; None for the probabilities of all outcomes.

    Returns:
        Path of the file.

    Raises:
        CircuitError: If the circuit cannot be differentiated, the parameters are not its own, or
            it has no form in the file. QPY contains only parameters that occur in the circuit.
        ArgumentError: If the path has another ending, or an observable is not Hermitian or acts on
            another number of qubits.
        OutputError: If the file cannot be written; no part of it is left.

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
    target = _validation.path("path", path, SUFFIX, QPY_SUFFIX)
    _validation.instance("circuit", circuit, QuantumCircuit, "a qiskit.QuantumCircuit")
    inputs, weights = tuple(input_parameters), tuple(weight_parameters)
    if lower(circuit, inputs, weights).amplitudes is not None:
        raise CircuitError("The file has no form for amplitudes as inputs. Use `hybridopt.save`.")
    lines = observable_lines(observables, circuit.num_qubits)
    check_writable(target)
    program = _as_in_the_file(circuit, inputs, weights)
    read = (_as_qpy if target.suffix == QPY_SUFFIX else _as_openqasm)(program, lines)
    named = {parameter.name: parameter for parameter in read.parameters}
    parts = ([named[p.name] for p in part] for part in (program.inputs, program.weights))
    again = _Renamed(read.circuit, *parts)
    wide = circuit.num_qubits > WIDEST_COMPARED
    if not (wide or _operator(again).equiv(_operator(program))):  # up to a global phase
        raise CircuitError(
            "Qiskit's exporter writes another circuit. Decompose composite gates "
            "(`circuit.decompose()`), or transpile to rx, ry, rz and cx, before you save."
        )
    return write_bytes(target, read.content)


def _as_openqasm(program: _Renamed, lines: Sequence[str]) -> _Read:
    try:
        text = _text(program, lines)
        read = read_openqasm(SourceText(text, "the text"))
    except (qasm3.QASM3ExporterError, CircuitError) as error:
        raise CircuitError(f"The circuit has no OpenQASM 3 form: {error}") from error
    return _Read(text.encode("utf-8"), read.circuit, read.parameters)


def _as_qpy(program: _Renamed, lines: Sequence[str]) -> _Read:
    used = program.circuit.parameters
    unused = [p.name for p in (*program.inputs, *program.weights) if p not in used]
    if unused:
        raise CircuitError(
            f"`path` must end in {SUFFIX} for a circuit with unused parameters, which QPY does not "
            f"contain (here {', '.join(unused)})."
        )
    program.circuit.metadata = {OBSERVABLES: lines}
    stream = io.BytesIO()
    try:
        qpy.dump(program.circuit, stream)
        read = read_qpy(stream.getvalue())
    except (QiskitError, ValueError) as error:
        raise CircuitError(f"The circuit has no QPY form: {error}") from error
    return _Read(stream.getvalue(), read, list(read.parameters))


def _as_in_the_file(
    circuit: QuantumCircuit, inputs: Sequence[Parameter], weights: Sequence[Parameter]
) -> _Renamed:
    """Return the same gates on one register q, with parameters x0, ..., w0, ..."""
    # first unused names: x1 may have to become x0 while x0 becomes x1
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
        for gate, qubits in _parts(item.operation, [index[qubit] for qubit in item.qubits]):
            result.append(gate, qubits)
    return _Renamed(result, xs, ws)


def _parts(gate: Instruction, qubits: list[int]) -> Iterator[tuple[Instruction, list[int]]]:
    """Yield the gate, or its parts, as gates that have a class in Qiskit."""
    # Qiskit's exporter defines any other gate once, with the parameters of its first use, and
    # ignores the parameters of later uses
    standard = get_standard_gate_name_mapping().get(gate.name)
    known = standard is not None and gate.base_class is standard.base_class
    if known or gate.name == "barrier":
        yield gate, qubits
        return
    definition = gate.definition
    if definition is None:
        definition = UnitaryGate(gate.to_matrix()).definition
    for item in definition.data:
        places = [qubits[definition.find_bit(qubit).index] for qubit in item.qubits]
        yield from _parts(item.operation, places)


def _text(program: _Renamed, lines: Sequence[str]) -> str:
    circuit, inputs, weights = program
    # otherwise numbers within 1e-9 of pi/2 and other constants are replaced by these
    dumped = qasm3.dumps(circuit, disable_constants=True)
    head = _HEAD.match(dumped)
    assert head is not None
    counts = f"{circuit.num_qubits} qubits, {len(inputs)} inputs, {len(weights)} weights"
    comments = [f"// A circuit of {counts}, saved by hybridopt.", *lines]
    declared = [f"input float {p.name};" for p in (*inputs, *weights)]  # unused ones, too
    return "\n".join([*comments, head[1].rstrip("\n"), *declared, dumped[head.end() :]])


def _operator(program: _Renamed) -> Operator:
    """Return the unitary at one set of angles."""
    parameters = (*program.inputs, *program.weights)
    values = np.random.default_rng(0).uniform(0.1, 0.9, len(parameters))
    angles = dict(zip(parameters, values, strict=True))
    return Operator(program.circuit.assign_parameters(angles, strict=False))
