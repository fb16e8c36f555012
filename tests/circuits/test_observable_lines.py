"""Observables in the comments of circuit files: read, written, rejected."""

from __future__ import annotations

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from qiskit.quantum_info import Pauli, SparsePauliOp

from hybridopt.circuits.observable_lines import (
    format_observable,
    observable_lines,
    pauli_sum,
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
def test_terms_of_a_line(line, expected):
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
        ("ZI", 16, "3 .*`ZI`"),
        ("ZII + XXXX", 22, "3 .*`XXXX`"),
        ("", 16, "``"),
        ("ZQI", 16, "`Z`"),
        ("0.5 * ZII 0.5 * IXX", 26, "`0.5 "),
        ("zii", 16, "`zii`"),
        ("2j * ZII", 16, "`2j "),
        ("ZII +", 20, "`ZII "),
        ("nan * ZII", 16, "`nan "),
        ("1e999 * ZII", 16, "`1e999`"),
        ("probabilities of all", 16, "`prob"),
    ],
)
def test_bad_lines(content, column, message):
    with pytest.raises(CircuitError, match=f"^mine.qasm, line 2, column {column}: .*{message}"):
        read_observables(f"// head\n// observable: {content}", "mine.qasm", 3)


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("h q[0];\n/* observable: XII */", 2, 4),
        ("/* first\n * Observables : probabilities\n */", 2, 4),
        ("/*\n// observable: XII\n*/", 2, 4),
    ],
)
def test_block_comments_must_not_hold_observables(text, line, column):
    with pytest.raises(CircuitError, match=f"line {line}, column {column}: "):
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
def test_other_comments_are_ignored(text):
    (observable,) = read_observables(f"{text}\n// observable: ZII // it's\n"[:-9], "test", 3)
    assert observable == SparsePauliOp("ZII")


def test_columns_are_counted_from_the_start_of_the_line():
    with pytest.raises(CircuitError, match=r"^mine\.qasm, line 2, column 24: .*`ZI`"):
        read_observables("qubit[3] q;\nh q[0]; // observable: ZI", "mine.qasm", 3)


@pytest.mark.parametrize("first", ["ZII", "probabilities"])
def test_observables_and_probabilities_exclude_each_other(first):
    second = "probabilities" if first == "ZII" else "ZII"
    with pytest.raises(CircuitError, match="line 2, column 16: "):
        read_observables(f"// observable: {first}\n// observable: {second}", "test", 3)


def test_round_trip_of_written_lines():
    draw = np.random.default_rng(2)
    paulis = ["ZIX", "YYI", "III"]
    observables = [SparsePauliOp(paulis, draw.normal(size=3)) for _ in range(3)]
    observables += [SparsePauliOp("ZZZ", -1), SparsePauliOp(paulis, [1e-17, -1, 0.0])]
    again = read_observables("\n".join(observable_lines(observables, 3)), "test", 3)
    assert list(again) == observables
    assert read_observables("\n".join(observable_lines(None, 3)), "test", 3) is None


def test_forms_that_circuit_layer_takes():
    assert observable_lines("ZII", 3) == ["// observable: ZII"]
    assert observable_lines([Pauli("XYZ"), "IIZ"], 3) == [
        "// observable: XYZ",
        "// observable: IIZ",
    ]
    assert observable_lines(SparsePauliOp("IZI", -0.5), 3) == ["// observable: -0.5 * IZI"]
    assert format_observable(SparsePauliOp(["ZII", "IXX"], [2, -1])) == "2.0 * ZII - IXX"


def with_coefficient(value: object) -> SparsePauliOp:
    observable = SparsePauliOp("ZZZ")
    observable._coeffs = np.array([value])
    return observable


@pytest.mark.parametrize(
    ("observables", "error", "message"),
    [
        (3, ArgumentTypeError, "`observables`"),
        ([3], ArgumentTypeError, "int"),
        ([], ArgumentError, "`observables`"),
        (["ZZ"], ArgumentError, "Observable 0 .* 3 .*2"),
        (["ZZA"], ArgumentError, "'ZZA'"),
        ([""], ArgumentError, "''"),
        ([with_coefficient(1j)], ArgumentError, "Observable 0 .*1j"),
        ([with_coefficient(np.inf)], ArgumentError, "Observable 0 .*inf"),
        ([with_coefficient(Parameter("a"))], ArgumentError, "Observable 0 .*a"),
    ],
)
def test_bad_observables(observables, error, message):
    with pytest.raises(error, match=message):
        observable_lines(observables, 3)


@pytest.mark.parametrize("num_qubits", [1, 3, 70])
def test_sum_of_strings_is_that_of_qiskit(num_qubits):
    rng = np.random.default_rng(0)
    labels = ["".join(rng.choice(list("IXYZ"), num_qubits)) for _ in range(20)]
    terms = [
        (label, complex(factor)) for label, factor in zip(labels, rng.normal(size=20), strict=True)
    ]
    assert pauli_sum(terms) == SparsePauliOp.from_list(terms)
    for bad in ([], [("", 1)], [("XY", 1), ("X", 1)], [("XA", 1)], [("Xé", 1)]):
        with pytest.raises(ArgumentError, match="Pauli strings"):
            pauli_sum(bad)
