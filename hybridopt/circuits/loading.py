"""Circuits from files: from the gallery by name, from other files by path."""

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
    """Text of a circuit file, and its description and source from the comment at its head."""

    name: str  # of the file, without its ending
    source: str  # name of the file in error messages
    text: str
    what: str
    origin: str


def load_circuit(name_or_path: str | os.PathLike[str]) -> LoadedCircuit:
    """Read a circuit of the gallery or an OpenQASM 3 file.

    In the file, ``input float x0;`` declares an input and ``input float w0;`` a weight. Both are
    sorted by their numbers, which may have gaps. ``x[0]`` of a Qiskit ParameterVector, which
    Qiskit writes as ``_x_0_``, is x0. Comments such as ``// observable: 0.5 * ZII - XXI`` define
    the observables; the rightmost letter acts on qubit 0. With ``// observables: probabilities``
    the outputs are the probabilities of all outcomes. The default is <Z> of every qubit, qubit 0
    first.

    Args:
        name_or_path: Name of the gallery (`hybridopt.circuits.circuit_names()`) or path of a file.
            A string is a path if it has a folder or an ending, such as ``"mine.qasm"``.

    Returns:
        Circuit, input parameters, weight parameters and observables.

    Raises:
        UnknownNameError: If the gallery has no circuit of this name.
        CircuitError: If the file cannot be read, is not OpenQASM 3 (with line and column), or has
            statements without a unitary, such as a measurement.
        ArgumentTypeError: If ``name_or_path`` is neither a string nor a path.

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
    """Return the sorted names of the circuits in the gallery.

    Example:
        >>> "basic_entangler" in circuit_names()
        True
    """
    return sorted(path.stem for path in gallery_folder().glob(f"*{SUFFIX}"))


def gallery_folder() -> Path:
    """Return the folder of the gallery: in the installed package, or in the checkout."""
    installed = Path(__file__).parent / "gallery"
    return installed if installed.is_dir() else Path(__file__).parents[2] / "circuits"


def circuit_text(name_or_path: str | os.PathLike[str]) -> CircuitText:
    """Return the text of a circuit of the gallery, or of a file."""
    path = _validation.path("name_or_path", name_or_path)
    if isinstance(name_or_path, str) and path.name == name_or_path and not path.suffix:
        try:
            name = _validation.choice("circuit", name_or_path, circuit_names())
        except UnknownNameError as error:
            raise UnknownNameError(
                f"{error} For a file of your own, add its ending: '{name_or_path}{SUFFIX}'."
            ) from None
        path = gallery_folder() / f"{name}{SUFFIX}"
    try:
        text = path.read_text("utf-8-sig")  # with universal newlines
    except UnicodeDecodeError as error:
        raise CircuitError(
            f"{path} is not text, so it is not OpenQASM 3. If it is QPY, read it with "
            "`qiskit.qpy.load` and pass the circuit to `CircuitLayer`."
        ) from error
    except (OSError, ValueError) as error:
        known = not path.exists() and path.stem in circuit_names()
        hint = f" The gallery has a circuit {path.stem!r}." if known else ""
        raise CircuitError(f"Cannot read {path}: {error}.{hint}") from error
    lines = takewhile(lambda line: line.startswith("//"), text.split("\n"))
    words = " ".join(line.removeprefix("//").strip() for line in lines)
    before = re.split(r"\bobservables?:", words, maxsplit=1)[0]
    what, _, origin = before.partition("Source:")
    return CircuitText(path.stem, str(path), text, what.strip(), origin.strip())
