"""Circuits to files that `load_circuit` reads."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from qiskit import QuantumCircuit, QuantumRegister, qasm3
from qiskit.circuit import Parameter
from qiskit.quantum_info import Operator, Pauli, SparsePauliOp

from hybridopt.circuits.loading import SUFFIX
from hybridopt.circuits.lowering import lower
from hybridopt.circuits.observable_lines import observable_lines
from hybridopt.circuits.openqasm import Program, read_openqasm
from hybridopt.errors import ArgumentError, ArgumentTypeError, CircuitError
from hybridopt.files import check_writable, write_text

_HEAD = re.compile(r"(OPENQASM [^\n]*\n(?:include [^\n]*\n)*)((?:input [^\n]*\n)*)")
WIDEST_COMPARED = 8  # qubits; a unitary of 2^16 entries


def save_circuit(
    path: str | os.PathLike[str],
    circuit: QuantumCircuit,
    input_parameters: Sequence[Parameter] = (),
    weight_parameters: Sequence[Parameter] = (),
    observables: Sequence[SparsePauliOp | Pauli | str] | SparsePauliOp | None = None,
) -> Path:
    """Write what a `CircuitLayer` takes as an OpenQASM 3 file that `load_circuit` reads.

    Whatever the parameters are called, in the file they are x0, x1, ... and w0, w1, ... in the
    given order. The text is read again before it is written, and up to 8 qubits the unitary of
    what was read is compared with that of the circuit.

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
        >>> import tempfile
        >>> from hybridopt.circuits import load_circuit
        >>> angle = Parameter("angle")
        >>> circuit = QuantumCircuit(2)
        >>> _ = circuit.ry(angle, 0), circuit.cx(0, 1)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = save_circuit(f"{folder}/pair.qasm", circuit, [], [angle], ["ZZ"])
        ...     load_circuit(path).weight_parameters
        (Parameter(w0),)
    """
    target = _checked_path(path)
    if not isinstance(circuit, QuantumCircuit):
        raise ArgumentTypeError(
            "Argument `circuit` must be a qiskit.QuantumCircuit, but is of type "
            f"{type(circuit).__name__}."
        )
    inputs, weights = tuple(input_parameters), tuple(weight_parameters)
    lower(circuit, inputs, weights)
    lines = observable_lines(observables, circuit.num_qubits)
    check_writable(target)
    text = _text(circuit, inputs, weights, lines)
    _check_what_was_written(text, circuit, inputs, weights)
    return write_text(target, text)


def _checked_path(path: object) -> Path:
    if not isinstance(path, str | os.PathLike):
        raise ArgumentTypeError(
            f"Argument `path` must be a path, but is of type {type(path).__name__}."
        )
    target = Path(os.fsdecode(path)).expanduser()
    if target.suffix != SUFFIX:
        raise ArgumentError(f"Argument `path` must end in {SUFFIX}, but is {str(target)!r}.")
    return target


def _text(
    circuit: QuantumCircuit,
    inputs: Sequence[Parameter],
    weights: Sequence[Parameter],
    lines: Sequence[str],
) -> str:
    try:
        # constants such as pi/2 would be put for every number within 1e-9 of them
        dumped = qasm3.dumps(_renamed(circuit, inputs, weights), disable_constants=True)
    except qasm3.QASM3ExporterError as error:
        raise CircuitError(f"The circuit cannot be written in OpenQASM 3: {error}") from error
    head = _HEAD.match(dumped)
    assert head is not None
    counts = f"{circuit.num_qubits} qubits, {len(inputs)} inputs, {len(weights)} weights"
    names = [*(f"x{i}" for i in range(len(inputs))), *(f"w{i}" for i in range(len(weights)))]
    comments = [f"// A circuit of {counts}, saved by hybridopt.", *lines]
    declared = [f"input float {name};" for name in names]  # those that no gate uses, too
    return "\n".join([*comments, head[1].rstrip("\n"), *declared, dumped[head.end() :]])


def _renamed(
    circuit: QuantumCircuit, inputs: Sequence[Parameter], weights: Sequence[Parameter]
) -> QuantumCircuit:
    """The same gates on one register q, with the parameters of the file, no global phase."""
    # first to names that nobody uses: x1 may have to become x0 while x0 becomes x1
    between = {p: Parameter(f"#{i}") for i, p in enumerate((*inputs, *weights))}
    names = [*(f"x{i}" for i in range(len(inputs))), *(f"w{i}" for i in range(len(weights)))]
    final = {p: Parameter(name) for p, name in zip(between.values(), names, strict=True)}
    renamed = circuit.assign_parameters(between).assign_parameters(final)
    index = {qubit: place for place, qubit in enumerate(circuit.qubits)}
    result = QuantumCircuit(QuantumRegister(circuit.num_qubits, "q"))
    for item in renamed.data:
        result.append(item.operation, [index[qubit] for qubit in item.qubits])
    return result


def _check_what_was_written(
    text: str,
    circuit: QuantumCircuit,
    inputs: Sequence[Parameter],
    weights: Sequence[Parameter],
) -> None:
    """Refuse a text that does not say the same as the circuit."""
    try:
        read = read_openqasm(text, "the text")
    except CircuitError as error:
        raise CircuitError(
            f"The circuit has no OpenQASM 3 form that can be read: {error}"
        ) from error
    same = (len(read.inputs), len(read.weights)) == (len(inputs), len(weights))
    if not same or not _have_one_unitary(read, Program(circuit, inputs, weights)):
        raise CircuitError(
            "Qiskit's OpenQASM 3 exporter writes another circuit. Take its composite gates apart "
            "(`circuit.decompose()`) and save that."
        )


def _have_one_unitary(first: Program, second: Program) -> bool:
    """At one set of angles, up to the global phase."""
    if first.circuit.num_qubits > WIDEST_COMPARED:
        return True
    values = np.random.default_rng(0).uniform(0.1, 0.9, len(first.inputs) + len(first.weights))
    operators = [
        Operator(circuit.assign_parameters(dict(zip((*inputs, *weights), values, strict=True))))
        for circuit, inputs, weights in (first, second)
    ]
    return bool(operators[0].equiv(operators[1]))
