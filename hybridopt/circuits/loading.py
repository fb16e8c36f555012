"""Circuits from files: the gallery by name, the user's own by path."""

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
from hybridopt.circuits.observable_lines import read_observables
from hybridopt.circuits.qasm.reader import read_openqasm
from hybridopt.errors import CircuitError, UnknownNameError

SUFFIX = ".qasm"


class LoadedCircuit(NamedTuple):
    """Arguments of `CircuitLayer` in its order: ``CircuitLayer(*load_circuit(name))``."""

    circuit: QuantumCircuit  # named as its file
    input_parameters: Sequence[Parameter]  # x0, x1, ... in the order of their numbers
    weight_parameters: Sequence[Parameter]  # w0, w1, ... in the order of their numbers
    observables: Sequence[SparsePauliOp] | None  # None: the probabilities of all outcomes


class CircuitText(NamedTuple):
    """A circuit file, with what the comment at its head says that it is, and of which source."""

    name: str  # without its ending
    source: str  # what errors call it
    text: str
    what: str
    origin: str


def load_circuit(name_or_path: str | os.PathLike[str]) -> LoadedCircuit:
    """Read a circuit of the gallery, or an OpenQASM 3 file of your own.

    Inputs of the file are ``input float x0;`` and so on for what samples bring, ``input float
    w0;`` and so on for what is trained; both are taken in the order of their numbers, which may
    have gaps. ``x[0]`` of a Qiskit ParameterVector, which Qiskit writes ``_x_0_``, counts as x0.
    Comment lines such as ``// observable: 0.5 * ZII - XXI`` say what is read (the rightmost
    letter is qubit 0); ``// observables: probabilities`` reads all outcomes; without such a line
    <Z> of every qubit is read, qubit 0 first.

    Args:
        name_or_path: A name of `hybridopt.circuits.circuit_names()`; or a path, which is a
            `pathlib.Path` or has a folder or an ending, such as ``"mine.qasm"``.

    Returns:
        Circuit, input parameters, weight parameters and observables.

    Raises:
        UnknownNameError: If the gallery has no circuit of this name.
        CircuitError: If the file cannot be read, or is not OpenQASM 3 (with line and column), or
            has statements without a unitary, such as a measurement.
        ArgumentTypeError: If it is neither a string nor a path.

    Example:
        >>> from hybridopt import load_circuit
        >>> circuit, inputs, weights, observables = load_circuit("basic_entangler")
        >>> circuit.num_qubits, len(inputs), len(weights), len(observables)
        (4, 4, 12, 4)
    """
    name, source, text, *_ = circuit_text(name_or_path)
    circuit, inputs, weights = read_openqasm(text, source)
    circuit.name = name
    observables = read_observables(text, source, circuit.num_qubits)
    return LoadedCircuit(circuit, inputs, weights, observables)


def circuit_names() -> list[str]:
    """Names of the circuits in the gallery, sorted.

    Example:
        >>> "basic_entangler" in circuit_names()
        True
    """
    return sorted(path.stem for path in gallery_folder().glob(f"*{SUFFIX}"))


def gallery_folder() -> Path:
    """Where the gallery stands: beside this module once installed, else in the checkout."""
    installed = Path(__file__).parent / "gallery"
    return installed if installed.is_dir() else Path(__file__).parents[2] / "circuits"


def circuit_text(name_or_path: str | os.PathLike[str]) -> CircuitText:
    """The text of a circuit of the gallery, or of a file."""
    path = _validation.path("name_or_path", name_or_path)
    if isinstance(name_or_path, str) and path.name == name_or_path and not path.suffix:
        try:
            name = _validation.choice("circuit", name_or_path, circuit_names())
        except UnknownNameError as error:
            raise UnknownNameError(
                f"{error} A file of your own is given with its ending, such as "
                f"'{name_or_path}{SUFFIX}'."
            ) from None
        path = gallery_folder() / f"{name}{SUFFIX}"
    try:
        text = path.read_text("utf-8-sig")  # with universal line ends
    except UnicodeDecodeError as error:
        raise CircuitError(
            f"{path} is not text, so it is not OpenQASM 3. If it is QPY, read it by "
            "`qiskit.qpy.load`, and give the circuit to CircuitLayer."
        ) from error
    except (OSError, ValueError) as error:
        known = not path.exists() and path.stem in circuit_names()
        hint = f" The gallery has it by the name {path.stem!r}." if known else ""
        raise CircuitError(f"Cannot read {path}: {error}.{hint}") from error
    lines = takewhile(lambda line: line.startswith("//"), text.split("\n"))
    words = " ".join(line.removeprefix("//").strip() for line in lines)
    before = re.split(r"\bobservables?:", words, maxsplit=1)[0]
    what, _, origin = before.partition("Source:")
    return CircuitText(path.stem, str(path), text, what.strip(), origin.strip())
