"""Tests of `hybridopt train`."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

import hybridopt as ho
from hybridopt.nn.network_spec import build_network
from hybridopt.training.loop import Training

from .conftest import mlp

SMALL = ["train", "--data", "iris", "--network", "mlp:4-5-3", "--epochs", "2"]
INTERRUPTED = 130


def accuracy(network, seed=0):
    test = ho.load_dataset("iris", seed=seed).test
    return float((network(test.x).argmax(1) == test.y).double().mean())


def test_training_on_torch_equals_fit(tmp_path, call, aer_calls):
    options = ["--optimizer", "sgd", "--lr", 0.3, "--batch-size", 10, "--scheduler", "linear"]
    options += ["--clip-grad-norm", 0.5, "--accumulate", 2]
    code, out, err = call(*SMALL, *options, "--seed", 4, "--output", tmp_path, "--json")
    assert (code, err, aer_calls) == (0, "", [])
    content = json.loads(out)
    assert content == json.loads((tmp_path / "history.json").read_text("utf-8"))
    assert content["num_trainable"] == 43
    network = mlp()
    network.load_state_dict(torch.load(tmp_path / "network.pt", weights_only=True))
    records = content["history"]["records"]
    assert accuracy(network, seed=4) == pytest.approx(records[-1]["metric"])
    again = build_network("mlp:4-5-3", None, seed=4)
    data = ho.load_dataset("iris", seed=4)
    history = ho.fit(
        again,
        data,
        optimizer="sgd",
        lr=0.3,
        epochs=2,
        batch_size=10,
        scheduler="linear",
        seed=4,
        clip_grad_norm=0.5,
        accumulate=2,
    )
    assert history.train_loss == [record["train_loss"] for record in records]
    torch.testing.assert_close(again.state_dict(), network.state_dict(), rtol=0, atol=0)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "history.json", "network.pt", "training.png",
    ]  # fmt: skip


def test_training_in_circuits_continues_from_a_file(tmp_path, call, aer_calls):
    first, second = tmp_path / "first", tmp_path / "second"
    bridge = ["--bridge", "memory", "--option", "scale=0.3", "--shots", "500", "--lr", "0.1"]
    code, out, _ = call(*SMALL, *bridge, "--output", first, "--json")
    assert code == 0
    assert len(aer_calls) > 0
    spent = json.loads(out)["history"]["records"][-1]
    assert spent["shots"] == 500 * spent["settings"] > 0
    quantum = ho.load(first / "network.ho")
    assert (quantum.bridge.scale, quantum.executor.shots) == (0.3, 500)
    plain = torch.load(first / "network.pt", weights_only=True)
    torch.testing.assert_close(dict(ho.to_classical(quantum).state_dict()), dict(plain))
    start = ["--network", "auto", "--start", first / "network.ho", "--shots", "70"]
    code, out, _ = call(*SMALL, *start, "--output", second, "--json")
    assert code == 0
    trained = ho.load(second / "network.ho")
    assert trained.executor.shots == 70
    assert not torch.equal(trained.angles, quantum.angles)


@pytest.mark.parametrize("file", ["start.pt", "start.npz"])
def test_training_starts_from_a_state_dict(file, tmp_path, call):
    network = mlp()
    torch.save(network.state_dict(), tmp_path / "start.pt")
    np.savez(tmp_path / "start.npz", **{k: v.numpy() for k, v in network.state_dict().items()})
    arguments = ["--start", tmp_path / file, "--epochs", "0", "--bridge", "mesh"]
    code, _, _ = call(*SMALL, *arguments, "--gradient", "adjoint", "--output", tmp_path)
    assert code == 0
    found = torch.load(tmp_path / "network.pt", weights_only=True)
    torch.testing.assert_close(dict(found), dict(network.state_dict()), rtol=0, atol=1e-6)
    assert ho.load(tmp_path / "network.ho").bridge_name == "mesh"


def test_the_table_and_the_files_are_printed(tmp_path, call):
    arguments = ["--epochs", "15", "--lr", "auto", "--output", tmp_path]
    code, out, err = call(*SMALL, *arguments)
    assert code == 0
    assert "60/60" in err
    for words in ("test accuracy", "Last 12 of 15 epochs", "End: ",
                  "Learning rate", f"Written: {tmp_path / 'network.pt'}"):  # fmt: skip
        assert words in out
    assert "\n    3 " not in out
    assert "\n    4 " in out


def test_a_checkpoint_is_continued(tmp_path, call):
    def train(epochs, folder, *more):
        arguments = [*SMALL[:-1], epochs, "--output", tmp_path / folder, "--json", *more]
        return json.loads(call(*arguments)[1])["history"]["records"]

    whole = train(4, "whole")
    checkpoint = ["--checkpoint", tmp_path / "run.ckpt"]
    train(2, "cut", *checkpoint)
    resumed = train(4, "cut", *checkpoint)
    assert [r["train_loss"] for r in resumed] == [r["train_loss"] for r in whole]


def test_ctrl_c_saves_the_network(tmp_path, call, monkeypatch):
    epoch = Training._epoch

    def interrupted(self, *arguments):
        if len(self.history) == 1:
            raise KeyboardInterrupt
        return epoch(self, *arguments)

    monkeypatch.setattr(Training, "_epoch", interrupted)
    code, out, err = call(*SMALL, "--output", tmp_path, "--json")
    assert code == INTERRUPTED
    assert f"after epoch 1. The trained network is in {tmp_path}" in " ".join(err.split())
    assert json.loads(out)["history"]["status"] == "interrupted"
    network = mlp()
    network.load_state_dict(torch.load(tmp_path / "network.pt", weights_only=True))
    assert accuracy(network) == json.loads(out)["history"]["records"][0]["metric"]


@pytest.fixture
def circuit_file(tmp_path):
    return ho.save(ho.to_quantum(mlp()), tmp_path / "circuit.ho")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--data", "irsi"], "Unknown dataset 'irsi'"),
        (["--bridge", "memroy"], "Unknown bridge 'memroy'"),
        (["--bridge", "mesh", "--gradient", "adjiont"], "Unknown gradient 'adjiont'"),
        (["--gradient", "adjoint"], "`bridge` must be given with --gradient"),
        (["--option", "form=full"], "`bridge` must be given with --option"),
        (["--shots", "10"], "`bridge` must be given with --shots"),
        (["--bridge", "memory", "--shots", "0"], "`shots`"),
        (["--bridge", "memory", "--option", "form"], "key=value"),
        (["--lr", "fast"], "`lr`"),
        (["--batch-size", "some"], "`batch_size`"),
        (["--epochs", "-1"], "`epochs`"),
        (["--start", "none.pt"], "none.pt"),
        (["--start", "{circuit}", "--bridge", "mesh"], "`bridge` must not be given"),
        (["--start", "{circuit}", "--network", "mlp:4-7-3"], "circuit.ho"),
        (["--start", "{circuit}", "--gradient", "spsa"], "--gradient"),
        (["--start", "{circuit}", "--device", "cpu"], "`device` must not be given"),
        (["--bridge", "memory", "--device", "cuda:7"], "CUDA_VISIBLE_DEVICES=7"),
        (["--device", "tpu"], "device 'tpu'"),
    ],
)  # fmt: skip
def test_bad_options_are_refused(options, message, circuit_file, tmp_path, refused):
    given = [option.replace("{circuit}", str(circuit_file)) for option in options]
    refused(message, *SMALL, *given, "--output", tmp_path / "out")
    assert not (tmp_path / "out" / "network.pt").exists()
