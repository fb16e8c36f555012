"""Files whose digest is right, and that declare more than they have, are refused."""

from __future__ import annotations

import io
import json
import zipfile

import pytest
import torch
from torch import nn

import hybridopt as ho
from hybridopt.errors import CheckpointError, ConversionError
from hybridopt.storage import architecture, archive
from hybridopt.storage.torch_file import dump
from tests.storage.examples import saved, with_members, with_meta


def arguments(**values):
    """Return a change of the arguments of the first layer."""
    return lambda meta: meta["recipe"]["children"][0][1]["arguments"].update(values)


def transformer(**values):
    def change(meta):
        layer = meta["recipe"]["children"][0][1]
        layer.update(
            {
                "class": "torch.nn.Transformer",
                "arguments": {"nhead": 2, "batch_first": True, **values},
            }
        )

    return change


def many_layers(meta):
    children = meta["recipe"]["children"]
    children[:] = [[str(k), {**children[1][1], "path": str(k)}] for k in range(200)]


def bridge(**options):
    return lambda meta: meta["quantum"][0]["bridge"]["options"].update(options)


def other_bridge(name, **options):
    stored = {"name": name, "options": options}
    return lambda meta: meta["quantum"][0].update(bridge=stored)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (arguments(in_features=10**9, out_features=10**4), r"`0\.bias` must have shape"),
        (arguments(in_features=2 * 10**8), r"`0\.weight` must have shape"),
        (arguments(in_features=10**30), "content of"),
        (transformer(d_model=16384), "larger than its tensors"),
        (transformer(d_model=4, num_encoder_layers=10**9), "larger than its tensors"),
        (many_layers, "at most 100 layers"),
        (bridge(num_angles=10**9), "`num_angles`"),
        (other_bridge("generator", mapping="tanh", width=10**7), "larger than its tensors"),
        (other_bridge("random-subspace", num_parameters=10**9), "`num_parameters`"),
    ],
)
def test_declared_sizes_are_refused(change, message, tmp_path, monkeypatch, aer_calls):
    monkeypatch.setattr(architecture, "MOST_MODULES", 100)
    path = with_meta(saved(tmp_path), change)
    with pytest.raises(CheckpointError, match=rf"network\.ho.*{message}"):
        ho.load(path)
    assert aer_calls == []


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (lambda t: t.fill_(torch.nan), "`0.weight` must not have NaN or inf"),
        (lambda t: t.fill_(torch.inf), "`0.weight` must not have NaN or inf"),
        (lambda t: t.long(), "`0.weight` must have values of torch.float32"),
        (lambda t: t.to_sparse(), "sparse"),
        (lambda t: torch.zeros(1).expand(10**5, 10**5), "only 4 bytes"),
        (lambda t: [1, 2], "other values"),
        (lambda t: torch.zeros(0, 3), "`0.weight` must have shape"),
    ],
)
def test_other_tensors_are_refused(changed, message, tmp_path):
    def change(members):
        tensors = torch.load(io.BytesIO(members["network.pt"]), weights_only=True)
        tensors["0.weight"] = changed(tensors["0.weight"])
        members["network.pt"] = dump(tensors)

    with pytest.raises(CheckpointError, match=rf"network\.ho.*{message}"):
        ho.load(with_members(saved(tmp_path), change))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"[" * 100_000, "RecursionError"),
        (b'{"schema": ' + b"9" * 5000 + b"}", "digits"),
        (b" " * 1_100, "more than 1,000 bytes"),
    ],
)
def test_json_is_limited(text, message, tmp_path, monkeypatch):
    path = with_members(saved(tmp_path), lambda members: members.update({archive.FIRST: text}))
    if "bytes" in message:
        monkeypatch.setattr(archive, "LARGEST_JSON", 1000)
    with pytest.raises(CheckpointError, match=rf"network\.ho.*{message}"):
        ho.load(path)


def packed(content: bytes, method: int) -> bytes:
    """Return a file with one large member."""
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w") as file:
        file.writestr(zipfile.ZipInfo(archive.FIRST), json.dumps({}), zipfile.ZIP_STORED)
        file.writestr("tensors.pt", content, method)
    return archive.signed(raw.getvalue())


@pytest.mark.parametrize(
    ("method", "message"),
    [
        (zipfile.ZIP_DEFLATED, "are packed in"),
        (zipfile.ZIP_BZIP2, "by another method"),
        (zipfile.ZIP_LZMA, "by another method"),
    ],
)
def test_packed_archives_are_limited(method, message, tmp_path, monkeypatch):
    path = tmp_path / "network.ho"
    path.write_bytes(packed(bytes(1 << 20), method))
    monkeypatch.setattr(archive, "SMALL", 1000 if method == zipfile.ZIP_DEFLATED else 1 << 30)
    with pytest.raises(CheckpointError, match=rf"network\.ho.*{message}"):
        ho.load(path)


def test_members_and_sizes_are_limited(tmp_path, monkeypatch):
    path = saved(tmp_path)
    monkeypatch.setattr(archive, "MOST_MEMBERS", 1)
    with pytest.raises(CheckpointError, match="more than 1 members"):
        ho.load(path)
    monkeypatch.setattr(archive, "LARGEST_FILE", 1000)
    with pytest.raises(CheckpointError, match=r"network\.ho must have at most"):
        ho.load(path)


def test_large_zeros_are_read_again(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "SMALL", 1000)
    layer = nn.Linear(700, 1000)
    nn.init.zeros_(layer.weight)
    quantum = ho.to_quantum(layer, "twin")
    again = ho.load(ho.save(quantum, tmp_path / "zeros.ho"))
    x = torch.ones(2, 700)
    assert torch.equal(again(x), quantum(x))


def test_infinite_buffers_are_stored_and_nan_is_not(tmp_path):
    class Masked(nn.Linear):
        def __init__(self):
            super().__init__(3, 2)
            self.register_buffer("mask", torch.tensor([0.0, -torch.inf]))

    quantum = ho.to_quantum(Masked())
    again = ho.load(ho.save(quantum, tmp_path / "masked.ho"), Masked())
    assert torch.equal(again.network.mask, quantum.network.mask)
    for tensor in (quantum.network.mask, quantum.angles):
        with torch.no_grad():
            tensor[0] = torch.nan
        with pytest.raises(ConversionError, match=r"(mask|weight)` must not have NaN"):
            ho.save(quantum, tmp_path / "nan.ho")
        tensor.data[0] = 0.0
    assert not (tmp_path / "nan.ho").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda meta: meta.update(layers=meta["layers"] * 2000), "several circuits"),
        (
            lambda meta: meta["layers"][0]["readout"].update(
                observables=[[["ZZ", 1.0, 0.0]]] * 30_000
            ),
            "20,000 observables",
        ),
        (
            lambda meta: meta["recipe"]["children"][1][1]["arguments"].update(depth=10**6),
            "`depth` of a DressedCircuit",
        ),
        (lambda meta: meta.update(ties=[["0.weight"] * 10]), "shared with itself"),
    ],
)
def test_repeated_parts_are_refused(change, message, tmp_path):
    network = nn.Sequential(nn.Linear(3, 2), ho.DressedCircuit(2, 2, 2, 1))
    with pytest.raises(CheckpointError, match=message):
        ho.load(with_meta(ho.save(network, tmp_path / "network.ho"), change))
