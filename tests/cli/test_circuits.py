"""Tests of `hybridopt circuits`."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
import torch

import hybridopt as ho
from hybridopt.circuits import circuit_names
from hybridopt.cli.circuits import gallery_dicts, summarize

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


def test_summary(own):
    summary = SimpleNamespace(**summarize(own))
    expected = ("mine", "My circuit, with a product.", "")
    assert (summary.name, summary.what, summary.origin) == expected
    assert (summary.inputs, summary.weights) == (("x0",), ("w0", "w1"))
    assert summary.observables == ("0.5 * ZII + XXI", "IIY")
    assert (summary.row_angles, summary.shared_angles) == (1, 2)
    assert "Ry(w1*x0)" in summary.drawing or "Ry(x0*w1)" in summary.drawing


@pytest.mark.parametrize("name", ["data_reuploading", "controlled_rotations", "born_machine"])
def test_settings_match_the_usage_of_the_executor(name):
    summary = SimpleNamespace(**summarize(name))
    executor = ho.AerExecutor()
    layer = ho.CircuitLayer(*ho.load_circuit(name), executor=executor)
    outputs = layer(torch.rand(1, len(summary.inputs)).requires_grad_())
    assert executor.usage.settings == summary.settings
    outputs.sum().backward()
    assert executor.usage.settings == summary.settings + summary.gradient_settings


def test_gallery_is_listed(call):
    expected = gallery_dicts()
    assert [row["name"] for row in expected] == circuit_names()
    code, out, _ = call("circuits")
    assert code == 0
    assert all(name in out for name in circuit_names())
    listed = json.loads(call("circuits", "--json")[1])
    assert listed == expected
    (row,) = [row for row in listed if row["name"] == "zz_feature_map"]
    assert (row["num_qubits"], row["num_inputs"], row["num_weights"]) == (3, 3, 9)


def test_one_circuit_is_shown(own, call):
    code, out, _ = call("circuits", own)
    assert code == 0
    shown = ("My circuit", "0.5 * ZII + XXI", "1 per sample, 2 shared", "Forward:", "q_2:")
    assert all(words in out for words in shown)
    content = json.loads(call("circuits", "qcnn", "--json")[1])
    assert (content["num_qubits"], len(content["weights"])) == (8, 18)
    assert content["observables"] == ["ZIIIIIII"]
    assert summarize("memory_bridge_iris")["observables"] == ("probabilities",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (OWN.replace("q[2];", "q[2]"), "line 9, column 1"),
        (OWN + "measure q[0]; x q[0];", "line 9, column 15: `x` follows the measurement"),
    ],
)
def test_mistakes_in_files_are_refused(own, text, message, refused):
    own.write_text(text, "utf-8")
    refused(message, "circuits", own)


def test_unknown_names_are_refused_with_a_suggestion(refused):
    refused("Did you mean 'qcnn'?", "circuits", "qccn")


def test_options(own, call):
    own.write_text(OWN.replace("x0", "y") + "rx(0.3) q[1];\n#pragma braket verbatim\n", "utf-8")
    _, out, _ = call("circuits", own, "--inputs", "y,w1", "--train", "angles", "--json")
    content = json.loads(out)
    assert (content["inputs"], content["weights"]) == (["y", "w1"], ["w0", "angle[0]"])
    assert content["notes"] == ["Pragma `braket verbatim` was ignored."]
    assert "Pragma `braket verbatim`" in call("circuits", own, "--weights", "w*")[1]
    old = own.with_name("old.qasm")
    old.write_text(
        'OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[3];\ncreg c[3];\nh q;\nmeasure q -> c;'
    )
    content = json.loads(call("circuits", old, "--json")[1])
    assert content["observables"] == ["IIZ", "IZI", "ZII"]


def test_options_need_a_circuit(refused):
    refused("`--train`", "circuits", "--train", "angles")
