"""The fast path gives the trees and the errors of the reference parser."""

from __future__ import annotations

import random
from importlib import import_module

import openqasm3
import pytest
from openqasm3 import ast
from openqasm3.parser import QASM3ParsingError

from hybridopt.circuits.qasm.parser import KEYWORDS, without_new_words
from hybridopt.circuits.qasm.parser import parse as statements_of

HEAD = 'OPENQASM 3.0;\ninclude "stdgates.inc";\nqubit[3] q;\n'
SIMPLE = [
    "h q[0];", "cx q[0],q[1];", "rz(0.3)q[2];", "rz( -3*pi/4 + x0 ) q [ 1 ];", "h q;", "x $3;",
    "u(1, .5, 2e-3) q[0];", "cx q[0] ,\n q[1] ;", "ccx a, b, c;", "rx(a*b/c - 2.) q[007];",
    "rz(0.1,) q[0];", "rz() q[0];", "rx(-x) q[0];", "rx(--1) q[0];", "rx(1-1) q[0];",
    "U(1,2,3) q[0];", "rx(1 - -2*3) q[0];", "rx(1e5 + 1E-5) q[0];",
]  # fmt: skip
COMPLEX = [
    "for int i in [0:2] { h q[i]; cx q[0], q[1]; }", "for int i in {0, 2} x q[i];", "bit[3] c;",
    "c = measure q;", "measure q -> c;", "if (c[0]) { x q[0]; } else { y q[1]; }",
    "barrier q[0], q[1];", "if (k == 1) x q[0]; else y q[0];",
    "gate g(t) a, b { rx(t) a; cx a, b; }", "ctrl @ x q[0], q[1];",
    "def f(qubit a) -> bit { return measure a; }", "#pragma braket verbatim; x q[0]; {\n",
    "pragma a b\n", "@note }; x q[0];\nx q[1];", "let r = q[{0, 1}];",
    "array[int, 2] a = {1, 2};", "box { x q[0]; }",
    "switch (k) { case 0 { x q[0]; } default { y q[1]; } }", "rx(sin(x)) q[0];", "rx(a[0]) q[1];",
    "cal { x } ", 'defcal x $0 { play("}"); }', "// x q[0];\n", "/* x q[0]; */",
    "/* {\n x q[0]; */ y q[1];", "x q[i];", "x q[0:1];", "gphase(0.3);", "end;", "reset q;",
    "delay[10ns] q[0];", "q[0];", "f(q[0]);", "rx(2**3) q[0];", "rx(1/* a */) q[0];",
    "x q[0][0];", "k += 1;", "{ x q[0]; }", "rx(0.1)\nq[0];", "while (k < 3) { k += 1; }",
    'bit[2] b = "01";', "const int n = 3;", "rx(pi\n/2) q[0];", "x\tq[0];",
    "@a\n@b c\nrx(0.1) q[0];", "rx(1_0) q[0];", "rx(0x1F) q[0];", "rx(1ns) q[0];",
    "rx(2im) q[0];",
]  # fmt: skip
WRONG = [
    "x q[0]", "x if;", "else x;", "rx(0.1,,2) q[0];", "rx(,1) q[0];", "x $0[1];", "x q[0],;",
    "OPENQASM 3.0;", "rx(1 2) q[0];", "}", "{", "(", "return 1;", "x q[0,];", "break;",
    "rx(+1) q[0];", "x q(0);", "x\vq[0];", "rx(0.1;) q[0];", "/* x q[0];", '"', "include a;",
    "rx(1e) q[0];", "é q[0];", "x q[٣];", "#x q[0];", "for int i in [0:2] { break; x q[0];",
    "rx(1**) q[0];", "rx(*2) q[0];", "x input;", "1x q[0];",
]  # fmt: skip


def outcome(parser, text: str) -> object:
    try:
        return parser(text)
    except (QASM3ParsingError, AttributeError, ValueError) as error:
        token = getattr(getattr(error.__cause__, "args", (None,))[0], "offendingToken", None)
        place = (token.line, token.column, token.text) if token is not None else None
        return type(error), str(error), place


def parse(text: str) -> list[ast.Statement]:
    return list(statements_of(text))


def reference(text: str) -> list[ast.Statement]:
    return openqasm3.parse(text).statements


@pytest.mark.parametrize("statement", [*SIMPLE, *COMPLEX, *WRONG])
def test_each_statement(statement, capfd):
    text = f"{HEAD}h q[2];\n{statement} cx q[0], q[1];\n"
    assert outcome(parse, text) == outcome(reference, text)  # trees are compared without places


@pytest.mark.parametrize("seed", range(40))
def test_random_programs(seed, capfd):
    dice = random.Random(seed)
    chosen = dice.choices([*SIMPLE, *SIMPLE, *COMPLEX], k=25)
    if seed % 4 == 0:
        chosen.insert(dice.randrange(len(chosen)), dice.choice(WRONG))
    text = HEAD + "".join(f"{part}{dice.choice(['', ' ', chr(10)])}" for part in chosen)
    assert outcome(parse, text) == outcome(reference, text)


def test_places():
    """Lines count from 1, columns from 0, in both paths."""
    text = (
        "qubit[3] q;\n  rz(0.1 + x0) q[0],\n q[1]; bit[2] c; c[0] = measure q[2]; rx(sin(x1)) q[1];"
    )
    rz, _, measure, rx = parse(text)[1:]
    nodes = {
        (2, 2): rz, (2, 5): rz.arguments[0], (2, 11): rz.arguments[0].rhs, (2, 15): rz.qubits[0],
        (2, 17): rz.qubits[0].indices[0][0], (3, 1): rz.qubits[1], (3, 17): measure,
        (3, 32): measure.measure.qubit, (3, 38): rx, (3, 45): rx.arguments[0].arguments[0],
    }  # fmt: skip
    for place, node in nodes.items():
        assert (node.span.start_line, node.span.start_column) == place


def test_keywords_are_those_of_the_lexer():
    lexer = import_module("openqasm3._antlr._4_13.qasm3Lexer").qasm3Lexer
    names = {name.strip("'") for name in lexer.literalNames}
    assert {name for name in names if name.isalpha()} | {"pragma", "true", "false"} == KEYWORDS


def test_new_words_are_replaced_at_their_places():
    text = "qreg input[3]; gate box(angle) in { rx(angle) in; } box(0.1) input[0];"
    replaced = without_new_words(text)
    assert len(replaced) == len(text)
    parse(replaced)
    assert without_new_words(HEAD.replace("qubit", "qreg")) == HEAD.replace("qubit", "qreg")
