"""Observables in a circuit file: comment lines ``// observable: 0.5 * ZIII - 0.25 * IXXI``."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence

from qiskit import QuantumCircuit
from qiskit.circuit import Qubit
from qiskit.quantum_info import Pauli, SparsePauliOp

from hybridopt import _validation
from hybridopt.circuits.qasm.reader import Position, error_at
from hybridopt.errors import ArgumentError, ArgumentTypeError, CircuitError

PROBABILITIES = "probabilities"
EXAMPLE = "`// observable: 0.5 * ZIII - 0.25 * IXXI`"
_COMMENT = re.compile(r"""//[^\n]*|/\*.*?\*/|"[^"\n]*"|'[^'\n]*'""", re.DOTALL)  # or a string
_LINE = re.compile(r"//\s*observables?\s*:\s*(.*?)\s*", re.IGNORECASE)
_IN_BLOCK = re.compile(r"^[\s/*]*(observables?)\s*:", re.IGNORECASE | re.MULTILINE)
_TERM = re.compile(
    r"\s*(?P<sign>[+-]?)\s*"
    r"(?:(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)\s*\*?\s*)?"
    r"(?P<pauli>[IXYZ]+)\s*"
)


def read_observables(text: str, source: str, num_qubits: int) -> tuple[SparsePauliOp, ...] | None:
    """Return the observables in the comments of a circuit file; None for probabilities."""
    observables: list[SparsePauliOp] = []
    probabilities = False
    for content, place in _requests(text, source):
        if content.lower() == PROBABILITIES:
            probabilities = True
        else:
            observables.append(_sum_of_paulis(content, source, place, num_qubits))
        if probabilities and observables:
            raise error_at(source, place, "read either probabilities or observables, not both.")
    if probabilities:
        return None
    return tuple(observables)


def z_observables(circuit: QuantumCircuit, qubits: Sequence[Qubit]) -> tuple[SparsePauliOp, ...]:
    """Return Z on each of some qubits of a circuit."""
    return tuple(
        SparsePauliOp.from_sparse_list(
            [("Z", [circuit.find_bit(qubit).index], 1.0)], num_qubits=circuit.num_qubits
        )
        for qubit in qubits
    )


def observable_lines(observables: object, num_qubits: int) -> list[str]:
    """The comment lines that `read_observables` reads."""
    if observables is None:
        return [f"// observables: {PROBABILITIES}"]
    if isinstance(observables, SparsePauliOp | Pauli | str):
        observables = [observables]
    expected = "a list of SparsePauliOp, or None for probabilities"
    given = _validation.instance("observables", observables, Sequence, expected)
    if not given:
        raise ArgumentError("Give one observable or more, or None for probabilities.")
    return [
        f"// observable: {format_observable(_checked(place, item, num_qubits))}"
        for place, item in enumerate(given)
    ]


def format_observable(observable: SparsePauliOp) -> str:
    """A sum of Pauli strings, the rightmost letter on qubit 0.

    Example:
        >>> format_observable(SparsePauliOp(["ZII", "IXX"], [1, -0.25]))
        'ZII - 0.25 * IXX'
    """
    result = ""
    for label, coefficient in observable.to_list():
        value = coefficient.real
        negative = math.copysign(1, value) < 0
        sign = (" - " if negative else " + ") if result else ("-" if negative else "")
        factor = "" if abs(value) == 1 else f"{abs(value)!r} * "
        result += f"{sign}{factor}{label}"
    return result


def _requests(text: str, source: str) -> Iterator[tuple[str, Position]]:
    """What stands behind ``// observable:``, and where."""
    for comment in _COMMENT.finditer(text):
        if comment[0].startswith("/*"):
            lost = _IN_BLOCK.search(comment[0])
            if lost is not None:
                message = f"an observable in a block comment is not read. Write {EXAMPLE}."
                raise error_at(source, _place(text, comment.start() + lost.start(1)), message)
        elif match := _LINE.fullmatch(comment[0]):
            yield match[1], _place(text, comment.start() + match.start(1))


def _place(text: str, position: int) -> Position:
    return text.count("\n", 0, position) + 1, position - text.rfind("\n", 0, position)


def _sum_of_paulis(content: str, source: str, place: Position, num_qubits: int) -> SparsePauliOp:
    def error(offset: int, message: str) -> CircuitError:
        return error_at(source, (place[0], place[1] + offset), message)

    terms: list[tuple[str, float]] = []
    start = 0
    while start < len(content) or not terms:
        term = _TERM.match(content, start)
        if term is None or (terms and not term["sign"]):
            raise error(
                start,
                f"cannot read the observable `{content}`. Write a sum of Pauli strings such as "
                f"{EXAMPLE}, or `// observables: {PROBABILITIES}`.",
            )
        pauli = term["pauli"]
        if len(pauli) != num_qubits:
            raise error(
                term.start("pauli"),
                f"observable {pauli} has {len(pauli)} letters, but the circuit has {num_qubits} "
                "qubits. The rightmost letter stands for qubit 0; fill up with I.",
            )
        value = float(term["number"] or 1.0)
        if not math.isfinite(value):
            raise error(start, f"the factor {term['number']} is not finite.")
        terms.append((pauli, -value if term["sign"] == "-" else value))
        start = term.end()
    return SparsePauliOp.from_list(terms)


def _checked(place: int, item: object, num_qubits: int) -> SparsePauliOp:
    if isinstance(item, str) and (not item or set(item) - set("IXYZ")):
        raise ArgumentError(f"Observable {item!r} must be a string of the letters I, X, Y and Z.")
    if isinstance(item, str | Pauli):
        item = SparsePauliOp(item)
    if not isinstance(item, SparsePauliOp):
        raise ArgumentTypeError(
            f"An observable must be a SparsePauliOp, a Pauli or a string such as 'ZIX', but is of "
            f"type {type(item).__name__}."
        )
    if item.num_qubits != num_qubits:
        raise ArgumentError(
            f"Observable {place} acts on {item.num_qubits} qubits, but the circuit has "
            f"{num_qubits}. Pad its Pauli strings with I."
        )
    if item.coeffs.dtype == object:
        raise ArgumentError(f"Observable {place} has coefficients that are no numbers.")
    if any(value.imag or not math.isfinite(value.real) for value in item.coeffs.tolist()):
        raise ArgumentError(
            f"Observable {place} is not Hermitian, or not finite. Its coefficients must be real."
        )
    return item
