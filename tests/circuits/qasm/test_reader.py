"""Places of errors, and parameters in the order of their numbers."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from hybridopt.circuits.qasm.reader import parameter_number, read_openqasm
from hybridopt.errors import CircuitError

HEAD = 'OPENQASM 3.0;\ninclude "stdgates.inc";\nqubit[3] q;\n'
GALLERY = sorted((Path(__file__).parents[3] / "circuits").glob("*.qasm"))
PIECES = [
    *"[](){};,.*/+-=@#\"'0129xwq \n$%^&|<>~!?:\\é\t\0", "measure", "input", "gate", "ctrl @ ",
    "pow(2) @", "float", "qubit", "for", "if", "let", "def", "U", "bit", "1e999", "->", "cal",
    "switch", "10ns", "input float x0;", "q[0:", "OPENQASM 2;",
]  # fmt: skip


def test_order_of_parameters():
    names = ["w3", "x10", "_x_2_", "x9", "w0"]
    declared = "".join(f"input float {name};" for name in names)
    circuit, inputs, weights = read_openqasm(f"{HEAD}{declared} rz(x9*w0) q[1];", "test")
    assert [p.name for p in inputs] == ["_x_2_", "x9", "x10"]
    assert [p.name for p in weights] == ["w0", "w3"]
    assert set(circuit.parameters) == {*inputs, *weights}  # also the unused ones


@pytest.mark.parametrize(
    ("body", "place", "message"),
    [
        ("h q[0]\ncx q[0], q[1];", "line 5, column 1", "`cx`.*`;`"),
        ("h q[0]; rz(pi q[0];", "line 4, column 15", "`q`.$"),
        ("  h q[0", "line 4, column 8", "ends"),
        ("h q[0];\n  # no comment", "line 5, column 3", "token"),
        ("h q[0];\n\n  h r[1];", "line 6, column 5", "'r'"),
        ("/* two\nlines */ foo q;", "line 5, column 10", "`foo`"),
    ],
)
def test_place_of_an_error(body, place, message, capfd):
    with pytest.raises(CircuitError, match=f"^mine.qasm, {place}: .*{message}") as caught:
        read_openqasm(HEAD + body, "mine.qasm")
    assert caught.value.__suppress_context__  # no trace of the parser
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "statements"),
        (" \n// nothing\n", "statements"),
        ("OPENQASM 3.0;", "qubits"),
        ('OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[2];', "line 1, column 1: .*2"),
        ("// old\nOPENQASM 2.0;\nqreg q[2];", "line 2, column 1: .*2.*qasm2.load"),
        ("h q;", "stdgates.inc"),
        (f"{HEAD}rz({'(' * 3000}1{')' * 3000}) q[0];", "nested"),
        ("\x00\x01\x02", "line 1, column 1"),
    ],
    ids=["empty", "comment", "no-qubits", "qasm2", "qasm2-later", "no-include", "deep", "binary"],
)
def test_bad_texts(text, message):
    with pytest.raises(CircuitError, match=message):
        read_openqasm(text, "test")


def test_damaged_files_raise_no_other_error(capfd):
    dice = random.Random(5)
    refused = 0
    texts = [path.read_text("utf-8") for path in GALLERY]
    for _ in range(300):
        text = dice.choice(texts)
        for _ in range(dice.randint(1, 3)):
            place, lost = dice.randrange(len(text)), dice.choice([0, 0, 1, 3, 10])
            text = text[:place] + dice.choice([*PIECES, ""]) + text[place + lost :]
        try:
            read_openqasm(text, "test")
        except CircuitError as error:
            refused += "line" in str(error)
    assert refused > 150
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("name", "expected"),
    [("x0", ("x", 0)), ("w12", ("w", 12)), ("x_3", ("x", 3)), ("_x_10_", ("x", 10)),
     ("_w_2_", ("w", 2)), ("x007", ("x", 7)),
     *((name, None) for name in ("theta", "x", "X0", "w-1", "x0_", "_x_0", "xw0", "y0", "x٣", ""))],
)  # fmt: skip
def test_numbers_of_parameter_names(name, expected):
    assert parameter_number(name) == expected
