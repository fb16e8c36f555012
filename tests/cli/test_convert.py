"""Tests of `hybridopt convert`."""

from __future__ import annotations

import io
import json

import pytest
import torch
from qiskit import qasm3, qpy
from torch import nn

import hybridopt as ho
from hybridopt.cli.convert import circuits_to_write

from .conftest import mlp


@pytest.fixture
def weights(tmp_path):
    torch.save(mlp().state_dict(), tmp_path / "network.pt")
    return tmp_path / "network.pt"


SPEC = ["--network", "mlp:4-5-3"]
OPTIONS = {
    "memory": [],
    "full": ["--option", "form=full"],
    "mesh": ["--bridge", "mesh", "--option", "scale=3"],
    "generator": ["--bridge", "generator", "--option", "depth=2"],
    "twin": ["--bridge", "twin"],
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_weights_to_a_circuit_and_back(options, weights, call):
    target, back = weights.with_name("circuit.ho"), weights.with_name("back.pt")
    code, out, err = call("convert", weights, "--to", target, *SPEC, *options, "--json")
    assert (code, err) == (0, "")
    outcome = json.loads(out)
    assert outcome["direction"] == "to circuit"
    assert outcome["num_weights"] == 43
    for change in (outcome["conversion"], outcome["round_trip"]):
        assert 0 <= change["weight"] < 1e-6
        assert 0 <= change["output"] < 1e-6  # float32, weights and inputs of order 1
    code, out, _ = call("convert", target, "--to", back, "--json", "--data", "iris")
    assert (code, json.loads(out)["direction"]) == (0, "to weights")
    given, found = torch.load(weights, weights_only=True), torch.load(back, weights_only=True)
    torch.testing.assert_close(found, given, rtol=0, atol=1e-6)


def test_changes_match_trained_angles(tmp_path, call):
    quantum = ho.to_quantum(mlp(), "memory", executor=ho.AerExecutor(shots=500, seed=1))
    with torch.no_grad():
        quantum.angles.uniform_(-1, 1)
    path = ho.save(quantum, tmp_path / "trained.ho")
    read = ho.to_classical(ho.load(path), readout="circuit").state_dict()
    exact = ho.to_classical(quantum).state_dict()
    expected = max(float((read[name] - exact[name]).abs().max()) for name in exact)
    _, out, _ = call("convert", path, "--to", tmp_path / "back.pt", "--json")
    outcome = json.loads(out)
    assert outcome["conversion"]["weight"] == pytest.approx(expected, rel=1e-6)
    assert outcome["conversion"]["output"] > 1e-3
    assert outcome["round_trip"] == {"weight": 0.0, "output": 0.0}


def test_qpy_and_qasm_files_and_the_table(weights, call):
    folder = weights.parent
    targets = ["--to", folder / "c.ho", "--qpy", folder / "c.qpy", "--qasm", folder / "c.qasm"]
    code, out, _ = call("convert", weights, *targets, *SPEC, "--bridge", "mesh")
    assert code == 0
    for word in ("43 weights, 43 angles", "conversion", "round trip", "Written:"):
        assert word in out
    with (folder / "c.qpy").open("rb") as stream:
        first, second = qpy.load(stream)
    assert (first.num_qubits, second.num_qubits) == (10, 9)
    assert qasm3.loads((folder / "c-0.qasm").read_text()).num_qubits == 10
    assert qasm3.loads((folder / "c-2.qasm").read_text()).num_qubits == 9


@pytest.mark.parametrize("bridge", ["memory", "twin"])
def test_circuit_layers_are_written_with_the_circuits_of_bridges(bridge, tmp_path):
    module = nn.Sequential(ho.to_quantum(nn.Linear(4, 3), bridge), ho.DressedCircuit(3, 2))
    contents = circuits_to_write(module, tmp_path / "c.qpy", tmp_path / "c.qasm")
    found = qpy.load(io.BytesIO(contents[tmp_path / "c.qpy"]))
    own = module[1].layer.circuit
    assert found[-1] == own
    if bridge == "twin":
        assert list(contents) == [tmp_path / "c.qpy", tmp_path / "c.qasm"]
        assert len(found) == 1
    else:
        assert found[0] == module[0].circuit(synthesis="gates")
        text = contents[tmp_path / "c-1.layer.qasm"].decode()
        assert qasm3.loads(text).num_parameters == own.num_parameters


def test_a_user_defined_network(tmp_path, call, refused):
    source = tmp_path / "net.py"
    source.write_text(
        "from torch import nn\n\n\nclass Net(nn.Module):\n    def __init__(self):\n"
        "        super().__init__()\n        self.body = nn.Conv2d(1, 2, 3)\n\n"
        "    def forward(self, x):\n        return self.body(x).flatten(1)\n"
    )
    torch.save(nn.ModuleDict({"body": nn.Conv2d(1, 2, 3)}).state_dict(), tmp_path / "w.pt")
    target = tmp_path / "c.ho"
    spec = ["--network", f"{source}:Net"]
    refused("`input`", "convert", tmp_path / "w.pt", "--to", target, *spec)
    assert not target.exists()
    code, _, _ = call("convert", tmp_path / "w.pt", "--to", target, *spec, "--input", "1x4x4")
    assert code == 0
    back = tmp_path / "back.pt"
    code, _, err = call("convert", target, "--to", back, "--input", "1x4x4")
    assert code == 2
    assert "`network=`" in err
    code, _, _ = call("convert", target, "--to", back, *spec, "--input", "1x4x4")
    assert code == 0
    first, second = (torch.load(p, weights_only=True) for p in (tmp_path / "w.pt", back))
    assert torch.equal(first["body.weight"], second["body.weight"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "`network`"),
        (["--network", "auto"], "auto"),
        (["--network", "mlp:4-6-3"], "Sequential"),
        ([*SPEC, "--bridge", "memroy"], "Unknown bridge 'memroy'"),
        ([*SPEC, "--option", "form"], "`option` must have the form key=value"),
        ([*SPEC, "--option", "forms=full"], "'forms'"),
        ([*SPEC, "--input", "5"], "(5,)"),
        ([*SPEC, "--input", "1xa"], "'1xa'"),
        ([*SPEC, "--data", "irsi"], "Unknown dataset 'irsi'"),
        ([*SPEC, "--bridge", "twin", "--qpy", "c.qpy"], "`qpy`"),
        ([*SPEC, "--to", "network.pt"], "network.pt must not be"),
        ([*SPEC, "--qpy", "c.ho"], "c.ho must not be"),
        ([*SPEC, "--to", "."], "folder"),
    ],
)
def test_bad_options_are_one_line_and_write_nothing(
    options, message, weights, refused, monkeypatch
):
    monkeypatch.chdir(weights.parent)
    before = weights.read_bytes()
    target = [] if "--to" in options else ["--to", "c.ho"]
    refused(message, "convert", "network.pt", *target, *options)
    assert list(weights.parent.iterdir()) == [weights]
    assert weights.read_bytes() == before


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "bad.pt"), (b"PK", "bad.pt"), (None, "bad.pt")],
)
def test_bad_files_are_refused(content, message, tmp_path, refused):
    source = tmp_path / "bad.pt"
    if content is not None:
        source.write_bytes(content)
    refused(message, "convert", source, "--to", tmp_path / "c.ho", *SPEC)


def test_networks_that_return_other_things_are_refused(tmp_path, refused):
    (tmp_path / "net.py").write_text("from torch import nn\nmake = lambda: nn.LSTM(4, 2)\n")
    torch.save(nn.LSTM(4, 2).state_dict(), tmp_path / "w.pt")
    words = ["--network", f"{tmp_path}/net.py:make", "--input", "3x4", "--to", tmp_path / "c.ho"]
    refused("got tuple", "convert", tmp_path / "w.pt", *words)


@pytest.mark.parametrize("option", ["--to", "--qpy", "--qasm"])
def test_the_file_of_the_network_is_never_overwritten(option, tmp_path, refused):
    code = tmp_path / "net.py"
    code.write_text("from torch import nn\nmake = lambda: nn.Linear(4, 3)\n")
    torch.save(nn.Linear(4, 3).state_dict(), tmp_path / "weights.pt")
    before = code.read_text()
    targets = {"--to": tmp_path / "circuit.ho", option: code}
    arguments = [word for pair in targets.items() for word in pair]
    words = ["convert", tmp_path / "weights.pt", "--network", f"{code}:make", *arguments]
    refused(f"{code} must not be", *words)
    assert code.read_text() == before
    assert not (tmp_path / "circuit.ho").exists()
