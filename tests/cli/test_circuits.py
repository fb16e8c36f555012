"""What is told of a circuit file, and the command that tells it."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
import torch
from typer.testing import CliRunner

import hybridopt as ho
from hybridopt.circuits import circuit_names
from hybridopt.cli import app, circuits
from hybridopt.cli.circuits import gallery_dicts

from .command import entry_point


def summarize(name):
    return SimpleNamespace(**circuits.summarize(name))


OWN = """// My circuit, with a product.
// observable: 0.5 * ZII + XXI
// observable: IIY
OPENQASM 3.0;
include "stdgates.inc";
input float x0; input float w0; input float w1;
qubit[3] q;
ry(x0*w1) q[0]; cry(w0) q[0], q[1]; rx(2*w1) q[2];
"""


@pytest.fixture
def own(tmp_path):
    path = tmp_path / "mine.qasm"
    path.write_text(OWN, "utf-8")
    return path


def invoke(*arguments: object):
    return CliRunner().invoke(app, ["circuits", *map(str, arguments)], env={"COLUMNS": "120"})


def test_summary(own):
    summary = summarize(own)
    expected = ("mine", "My circuit, with a product.", "")
    assert (summary.name, summary.what, summary.origin) == expected
    assert (summary.inputs, summary.weights) == (("x0",), ("w0", "w1"))
    assert summary.observables == ("0.5 * ZII + XXI", "IIY")
    assert (summary.row_angles, summary.shared_angles) == (1, 2)
    assert "Ry(w1*x0)" in summary.drawing or "Ry(x0*w1)" in summary.drawing


@pytest.mark.parametrize("name", ["data_reuploading", "controlled_rotations", "born_machine"])
def test_settings_are_those_that_reach_aer(name):
    summary = summarize(name)
    executor = ho.AerExecutor()
    layer = ho.CircuitLayer(*ho.load_circuit(name), executor=executor)
    outputs = layer(torch.rand(1, len(summary.inputs)).requires_grad_())
    assert executor.usage.settings == summary.settings
    outputs.sum().backward()
    assert executor.usage.settings == summary.settings + summary.gradient_settings


def test_gallery_is_listed():
    assert [row["name"] for row in gallery_dicts()] == circuit_names()
    result = invoke()
    assert result.exit_code == 0
    assert all(name in result.output for name in circuit_names())
    listed = json.loads(invoke("--json").stdout)
    assert listed == gallery_dicts()
    (row,) = [row for row in listed if row["name"] == "zz_feature_map"]
    assert (row["num_qubits"], row["num_inputs"], row["num_weights"]) == (3, 3, 9)


def test_one_circuit_is_shown(own):
    result = invoke(own)
    assert result.exit_code == 0
    for words in (
        "My circuit",
        "0.5 * ZII + XXI",
        "1 of each sample, 2 shared",
        "Forward:",
        "q_2:",
    ):
        assert words in result.output
    content = json.loads(invoke("qcnn", "--json").stdout)
    assert (content["num_qubits"], len(content["weights"])) == (8, 18)
    assert content["observables"] == ["ZIIIIIII"]
    assert json.loads(invoke("memory_bridge_iris", "--json").stdout)["observables"] == [
        "probabilities"
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (OWN.replace("q[2];", "q[2]"), "line 9, column 1: the text ends"),
        (OWN + "measure q[0]; x q[0];", "line 9, column 15: `x` follows the measurement"),
    ],
)
def test_mistakes_are_told_in_one_line(own, text, message, monkeypatch, capsys):
    own.write_text(text, "utf-8")
    code, out, err = entry_point(monkeypatch, capsys, "circuits", own)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert message in err


def test_unknown_names_are_told_with_the_nearest(monkeypatch, capsys):
    assert "Did you mean 'qcnn'?" in entry_point(monkeypatch, capsys, "circuits", "qccn")[2]


def test_options(own):
    own.write_text(OWN.replace("x0", "y") + "rx(0.3) q[1];\n#pragma braket verbatim\n", "utf-8")
    content = json.loads(invoke(own, "--inputs", "y,w1", "--train", "angles", "--json").stdout)
    assert (content["inputs"], content["weights"]) == (["y", "w1"], ["w0", "angle[0]"])
    assert content["notes"] == ["Pragma `braket verbatim` was ignored."]
    output = invoke(own, "--weights", "w*").output
    assert "Pragma `braket verbatim`" in output
    assert "y" in output
    own.with_name("old.qasm").write_text(
        'OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[3];\nh q;\nmeasure q -> c;'.replace(
            "h q;", "creg c[3];\nh q;"
        )
    )
    old = json.loads(invoke(own.with_name("old.qasm"), "--json").stdout)
    assert old["observables"] == ["IIZ", "IZI", "ZII"]


def test_options_need_a_circuit(monkeypatch, capsys):
    assert "--train" in entry_point(monkeypatch, capsys, "circuits", "--train", "angles")[2]
