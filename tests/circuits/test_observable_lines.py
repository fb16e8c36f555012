from __future__ import annotations

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.quantum_info import Pauli, SparsePauliOp

from hybridopt.circuits.observable_lines import (
    format_observable,
    observable_lines,
    read_observables,
    z_observables,
)
from hybridopt.errors import ArgumentError, ArgumentTypeError, CircuitError


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("// observable: ZIX", [("ZIX", 1)]),
        ("  //observable :  -ZIX  ", [("ZIX", -1)]),
        ("// OBSERVABLE: 0.5 * ZII + 2.5e-3*IXX", [("ZII", 0.5), ("IXX", 0.0025)]),
        ("// observable: YYY - IXX", [("YYY", 1), ("IXX", -1)]),
        ("// observables: 3 ZII-.5 XXX", [("ZII", 3), ("XXX", -0.5)]),
        ("// observable: + 2. * III - 2 * III", [("III", 2), ("III", -2)]),
    ],
)  # fmt: skip
def test_lines(line, expected):
    (observable,) = read_observables(f"first\n{line}\nlast", "test", 3)
    assert observable == SparsePauliOp.from_list(expected)


def test_order_and_default():
    text = "// observable: ZII\nqubit[3] q; // observable: XXX\n// observable: IYI"
    assert [o.to_list()[0][0] for o in read_observables(text, "test", 3)] == ["ZII", "XXX", "IYI"]
    assert read_observables("// a comment: ZII\n", "test", 3) == ()
    circuit = QuantumCircuit(3)
    default = z_observables(circuit, [circuit.qubits[2], circuit.qubits[0]])
    assert [o.to_list() for o in default] == [[("ZII", 1)], [("IIZ", 1)]]
    assert read_observables("// Observables: Probabilities", "test", 3) is None


@pytest.mark.parametrize(
    ("content", "column", "message"),
    [
        ("ZI", 16, "observable ZI has 2 letters, but the circuit has 3 qubits"),
        ("ZII + XXXX", 22, "observable XXXX has 4 letters"),
        ("", 16, "cannot read the observable ``. Write a sum"),
        ("ZQI", 16, "letters|cannot read"),
        ("0.5 * ZII 0.5 * IXX", 26, "cannot read the observable"),
        ("zii", 16, "cannot read"),
        ("2j * ZII", 16, "cannot read"),
        ("ZII +", 20, "cannot read"),
        ("nan * ZII", 16, "cannot read"),
        ("1e999 * ZII", 16, "the factor 1e999 is not finite"),
        ("probabilities of all", 16, "cannot read"),
    ],
)
def test_refused(content, column, message):
    with pytest.raises(CircuitError, match=f"^mine.qasm, line 2, column {column}: .*({message})"):
        read_observables(f"// head\n// observable: {content}", "mine.qasm", 3)


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("h q[0];\n/* observable: XII */", 2, 4),
        ("/* first\n * Observables : probabilities\n */", 2, 4),
        ("/*\n// observable: XII\n*/", 2, 4),
    ],
)
def test_observables_in_block_comments_are_refused(text, line, column):
    message = f"line {line}, column {column}: an observable in a block comment is not read"
    with pytest.raises(CircuitError, match=message):
        read_observables(text, "test", 3)


@pytest.mark.parametrize(
    "text",
    [
        "/* it is the observable: a sum of Paulis */",
        'include "// observable: XXX";',
        "// see // observable: XXX",
        "// a comment that opens /* and\n// closes */ no block",
    ],
)
def test_what_is_no_request(text):
    (observable,) = read_observables(f"{text}\n// observable: ZII // it's\n"[:-9], "test", 3)
    assert observable == SparsePauliOp("ZII")


def test_places_behind_code_are_counted_from_the_start_of_the_line():
    with pytest.raises(CircuitError, match=r"^mine\.qasm, line 2, column 24: observable ZI"):
        read_observables("qubit[3] q;\nh q[0]; // observable: ZI", "mine.qasm", 3)


@pytest.mark.parametrize("first", ["ZII", "probabilities"])
def test_not_both(first):
    second = "probabilities" if first == "ZII" else "ZII"
    with pytest.raises(CircuitError, match="line 2, column 16: read either"):
        read_observables(f"// observable: {first}\n// observable: {second}", "test", 3)


def test_written_lines_are_read_as_they_were():
    draw = np.random.default_rng(2)
    paulis = ["ZIX", "YYI", "III"]
    observables = [SparsePauliOp(paulis, draw.normal(size=3)) for _ in range(3)]
    observables += [SparsePauliOp("ZZZ", -1), SparsePauliOp(paulis, [1e-17, -1, 0.0])]
    again = read_observables("\n".join(observable_lines(observables, 3)), "test", 3)
    assert list(again) == observables
    assert read_observables("\n".join(observable_lines(None, 3)), "test", 3) is None


def test_given_as_circuit_layer_takes_them():
    assert observable_lines("ZII", 3) == ["// observable: ZII"]
    assert observable_lines([Pauli("XYZ"), "IIZ"], 3) == [
        "// observable: XYZ",
        "// observable: IIZ",
    ]
    assert observable_lines(SparsePauliOp("IZI", -0.5), 3) == ["// observable: -0.5 * IZI"]
    assert format_observable(SparsePauliOp(["ZII", "IXX"], [2, -1])) == "2.0 * ZII - IXX"


def infinite() -> SparsePauliOp:
    observable = SparsePauliOp("ZZZ")
    observable.coeffs = np.array([np.inf])
    return observable


@pytest.mark.parametrize(
    ("observables", "error", "message"),
    [
        (3, ArgumentTypeError, "must be a list of SparsePauliOp, or None"),
        ([3], ArgumentTypeError, "is of type int"),
        ([], ArgumentError, "one observable or more"),
        (["ZZ"], ArgumentError, "Observable 0 acts on 2 qubits, but the circuit has 3"),
        (["ZZA"], ArgumentError, "letters I, X, Y and Z"),
        ([""], ArgumentError, "letters I, X, Y and Z"),
        ([SparsePauliOp("ZZZ", 1j)], ArgumentError, "Observable 0 is not Hermitian"),
        ([infinite()], ArgumentError, "not finite"),
    ],
)
def test_bad_observables(observables, error, message):
    with pytest.raises(error, match=message):
        observable_lines(observables, 3)


def test_coefficients_that_are_parameters():
    from qiskit.circuit import Parameter

    symbolic = SparsePauliOp("ZZZ", np.array([Parameter("a")], dtype=object))
    with pytest.raises(ArgumentError, match="coefficients that are no numbers"):
        observable_lines([symbolic], 3)
