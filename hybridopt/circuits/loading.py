"""Circuits from files: the gallery by name, other files by path."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple

from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from qiskit.quantum_info import SparsePauliOp

from hybridopt import _validation
from hybridopt._files import read_bytes
from hybridopt.circuits.errors import CircuitError
from hybridopt.circuits.measurements import strip_measurements
from hybridopt.circuits.observable_lines import read_observables, z_observables
from hybridopt.circuits.parameter_roles import Names, angles_as_weights, split_parameters
from hybridopt.circuits.qasm.reader import SourceText, read_openqasm
from hybridopt.circuits.qpy_file import MAGIC, num_circuits, read_qpy
from hybridopt.errors import UnknownNameError

SUFFIX, QPY_SUFFIX = ".qasm", ".qpy"
OBSERVABLES = "hybridopt.observables"  # lines in the metadata of QPY files
LARGEST_FILE = 64 << 20  # bytes; two million gates
TRAINABLE = ("angles",)


class _Parts(NamedTuple):
    circuit: QuantumCircuit
    input_parameters: Sequence[Parameter]
    weight_parameters: Sequence[Parameter]
    observables: Sequence[SparsePauliOp] | None


class LoadedCircuit(_Parts):
    """Arguments of `CircuitLayer`, in its order: ``CircuitLayer(*load_circuit(name))``.

    Attributes:
        circuit: The circuit, named as its file.
        input_parameters: Parameters that samples bring.
        weight_parameters: Parameters that are trained.
        observables: Observables of the file; None for the probabilities of all outcomes.
        initial: Start values of the weights in radians, shape ``(num_weights,)``, for
            ``CircuitLayer(*loaded, initial=loaded.initial)``. None without ``train``.
        observables_from: Origin of the observables: ``"comments"`` of the file (``"metadata"`` of
            a QPY file), its ``"measurements"``, or ``"all qubits"`` if it has neither.
        notes: Remarks on parts of the file that were ignored.
    """

    initial: list[float] | None = None
    observables_from: str = "comments"
    notes: tuple[str, ...] = ()


class CircuitText(NamedTuple):
    """Circuit file with the description and the source in the comment at its head."""

    name: str  # without its ending
    source: str  # name of the file in errors
    text: str  # empty for QPY
    what: str
    origin: str
    data: bytes
    folder: Path


def load_circuit(
    name_or_path: str | os.PathLike[str],
    inputs: Names | None = None,
    weights: Names | None = None,
    train: str | None = None,
) -> LoadedCircuit:
    """Read a circuit of the gallery, an OpenQASM 2 or 3 file, or a QPY file.

    Parameters are the ``input`` declarations of OpenQASM 3 and the parameters of QPY. Without
    ``inputs`` and ``weights``, x0, x1, ... and x[0], x[1], ... are inputs and all others weights.
    Inputs and weights are in natural order: x2 comes before x10. Names that Qiskit's exporter
    writes as ``_x_0_`` may be given as ``x[0]``.

    Final measurements are removed. Comment lines such as ``// observable: 0.5 * ZII - XXI`` give
    the observables (the rightmost letter is qubit 0), ``// observables: probabilities`` the
    probabilities of all outcomes. Without such a line, <Z> of each measured qubit is read, in the
    order of the classical bits; without measurements, <Z> of every qubit, qubit 0 first. QPY files
    of `save_circuit` contain their observables, too.

    Classical code of OpenQASM 3 is executed when the file is read, as long as it depends neither
    on inputs nor on measurements: constants, loops, ``if``, subroutines, arrays.

    Args:
        name_or_path: Name in `hybridopt.circuits.circuit_names()`; or a path, which is a
            `pathlib.Path` or has a folder or an ending, such as ``"mine.qasm"``.
        inputs: Names of the inputs, globs such as ``"x*"``, or a function that returns whether a
            name is one. By default all parameters that are not weights.
        weights: Names, globs or a function for the weights. By default all other parameters.
        train: ``"angles"`` makes the literal angles of the circuit's gates weights ``angle[0]``,
            ``angle[1]``, ... in the order of appearance, after the weights of the file. Angles
            inside the definitions of gates stay constant.

    Returns:
        Circuit, input parameters, weight parameters and observables. With ``train``, the
        attribute ``initial`` has the start values of the weights: 0 for those of the file.

    Raises:
        UnknownNameError: If the gallery has no circuit of this name.
        CircuitError: If the file cannot be read (with line and column for OpenQASM), or
            has instructions without a unitary, such as a measurement before a gate.
        ArgumentError: If a parameter is an input and a weight, or neither, or does not exist.
        ArgumentTypeError: If the path is neither a string nor a path.

    Example:
        >>> from hybridopt import load_circuit
        >>> circuit, inputs, weights, observables = load_circuit("basic_entangler")
        >>> circuit.num_qubits, len(inputs), len(weights), len(observables)
        (4, 4, 12, 4)
    """
    if train is not None:
        _validation.choice("`train`", train, TRAINABLE)
    file = circuit_text(name_or_path)
    parameters: Sequence[Parameter]
    lines = file.text
    if not file.data.startswith(MAGIC):
        text = SourceText(file.text, file.source, file.folder)
        circuit, parameters, measured, notes = read_openqasm(text, trainable_angles=bool(train))
    else:
        loaded = _from_qpy(file)
        circuit, measured = strip_measurements(loaded, file.source)
        parameters, notes = list(loaded.parameters), []
        lines = _stored_lines(loaded, file.source)
    circuit.name = file.name
    chosen, trained = split_parameters(parameters, inputs, weights, file.source)
    observables = read_observables(lines, file.source, circuit.num_qubits)
    origin = "comments" if file.text else "metadata"
    if observables == ():
        origin = "all qubits" if measured is None else "measurements"
        observables = z_observables(circuit, circuit.qubits if measured is None else measured)
    initial = None
    if train:
        circuit, angles, values = angles_as_weights(circuit)
        initial = [0.0] * len(trained) + values
        trained = (*trained, *angles)
    result = LoadedCircuit(circuit, chosen, trained, observables)
    result.initial, result.notes, result.observables_from = initial, tuple(notes), origin
    return result


def circuit_names() -> list[str]:
    """Return the names of the circuits in the gallery, sorted.

    Example:
        >>> "basic_entangler" in circuit_names()
        True
    """
    return sorted(path.stem for path in gallery_folder().glob(f"*{SUFFIX}"))


def gallery_folder() -> Path:
    """Return the folder of the gallery: in the installed package, otherwise in the checkout."""
    installed = Path(__file__).parent / "gallery"
    return installed if installed.is_dir() else Path(__file__).parents[2] / "circuits"


def circuit_text(name_or_path: str | os.PathLike[str]) -> CircuitText:
    """Return a circuit of the gallery or of a file, not yet parsed."""
    path = _validation.path("name_or_path", name_or_path)
    if (
        isinstance(name_or_path, str)
        and Path(name_or_path).name == name_or_path
        and not path.suffix
    ):
        try:
            name = _validation.choice("circuit", name_or_path, circuit_names())
        except UnknownNameError as error:
            raise UnknownNameError(
                f"{error} To read a file, give its ending, such as '{name_or_path}{SUFFIX}'."
            ) from None
        path = gallery_folder() / f"{name}{SUFFIX}"
    data, text = _read(path)
    lines = takewhile(lambda line: line.startswith("//"), text.split("\n"))
    words = " ".join(line.removeprefix("//").strip() for line in lines)
    before = re.split(r"\bobservables?:", words, maxsplit=1)[0]
    what, _, origin = before.partition("Source:")
    return CircuitText(path.stem, str(path), text, what.strip(), origin.strip(), data, path.parent)


def _read(path: Path) -> tuple[bytes, str]:
    try:
        data = read_bytes(path, most=LARGEST_FILE)
    except FileNotFoundError as error:
        known = path.stem in circuit_names()
        hint = f" The gallery has it by the name {path.stem!r}." if known else ""
        raise CircuitError(f"The file {path} does not exist.{hint}") from error
    except (OSError, ValueError) as error:
        raise CircuitError(f"The circuit file {path} cannot be read ({error}).") from error
    if data.startswith(MAGIC):
        return data, ""
    try:
        text = data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        raise CircuitError(f"{path} must be OpenQASM or QPY (got other bytes).") from error
    return data, text


def _stored_lines(circuit: QuantumCircuit, source: str) -> str:
    """Return the lines with observables in the metadata of a QPY file of `save_circuit`."""
    metadata = circuit.metadata or {}
    if OBSERVABLES not in metadata:
        return ""
    stored = metadata[OBSERVABLES]
    if not isinstance(stored, list) or not all(isinstance(line, str) for line in stored):
        raise CircuitError(
            f"{source}: the metadata `{OBSERVABLES}` must be a list of lines (got {stored!r:.80})."
        )
    lines = "\n".join(stored)
    if read_observables(lines, source, circuit.num_qubits) == ():
        raise CircuitError(
            f"{source}: the metadata `{OBSERVABLES}` must contain observables (got {lines!r:.80})."
        )
    return lines


def _from_qpy(file: CircuitText) -> QuantumCircuit:
    if (count := num_circuits(file.data)) != 1:
        raise CircuitError(
            f"{file.source} must contain one circuit (got {count}). Save each with "
            "`qiskit.qpy.dump`."
        )
    try:
        circuit = read_qpy(file.data)
    except ValueError as error:
        raise CircuitError(
            f"{file.source} cannot be read as QPY: {_validation.first_line(error)}"
        ) from error
    if circuit.num_qubits == 0:
        raise CircuitError(f"{file.source} has no qubits.")
    return circuit
