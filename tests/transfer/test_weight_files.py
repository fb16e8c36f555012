"""Files of weights in every format: equal weights, or an error with the reason."""

from __future__ import annotations

import io
import json
import pickle
import struct
import sys
import tracemalloc
import zipfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import hybridopt as ho
from hybridopt.errors import (
    ArgumentError,
    ArgumentTypeError,
    CheckpointError,
    ConversionError,
    MissingExtraError,
)
from hybridopt.transfer import load_weights
from hybridopt.transfer.weight_files import archive, reading

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
HAS_SAFETENSORS = find_spec("safetensors") is not None
KINDS = {  # numpy's name, torch's dtype
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16,
    "I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "U8": torch.uint8,
}  # fmt: skip


class Net(nn.Module):
    """Network with a shared part, an integer buffer and a strided weight."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.body = nn.Sequential(nn.Conv1d(1, 2, 3), nn.BatchNorm1d(2))
        self.head = nn.Linear(8, 3)
        self.head.weight = nn.Parameter(torch.randn(8, 3).T)
        self.same = self.head
        self.register_buffer("scalar", torch.tensor(7))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.same(self.body(x).flatten(1)) * self.scalar


def trained() -> Net:
    network = Net(seed=1)
    network(torch.randn(5, 1, 6))
    network.scalar.fill_(9)
    return network


def safetensors_bytes(tensors: dict[str, torch.Tensor], **header) -> bytes:
    """Return a file as the format's documentation describes it."""
    names, data = dict(header), b""
    dtypes = {dtype: name for name, dtype in KINDS.items()}
    for key, tensor in tensors.items():
        raw = tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
        place = [len(data), len(data) + len(raw)]
        names[key] = {
            "dtype": dtypes[tensor.dtype],
            "shape": [*tensor.shape],
            "data_offsets": place,
        }
        data += raw
    text = json.dumps(names).encode()
    return struct.pack("<Q", len(text)) + text + data


def write(kind: str, path: Path, network: nn.Module) -> Path:
    state = {key: value.detach() for key, value in network.state_dict().items()}
    if kind.startswith("torch"):
        torch.save(state, path, _use_new_zipfile_serialization=kind == "torch")
    elif kind.startswith("npz"):
        save = np.savez_compressed if kind == "npz-compressed" else np.savez
        with path.open("wb") as stream:  # numpy would add a suffix
            save(stream, **{key: value.numpy() for key, value in state.items()})
    elif kind == "safetensors":
        path.write_bytes(safetensors_bytes(state))
    else:
        made = torch.jit.script(network) if kind == "script" else traced(network)
        torch.jit.save(made, str(path))
    return path


def traced(network: nn.Module) -> torch.jit.ScriptModule:
    return torch.jit.trace(network.eval(), torch.randn(2, 1, 6))


FORMATS = ["torch", "torch-old", "npz", "npz-compressed", "script", "trace"]
every_format = pytest.mark.parametrize(
    "kind",
    [
        *FORMATS,
        pytest.param("safetensors", marks=pytest.mark.skipif(not HAS_SAFETENSORS, reason="extra")),
    ],
)


@every_format
def test_file_gives_the_weights(kind, tmp_path):
    path = write(kind, tmp_path / "weights", trained())  # the suffix does not matter
    target = Net()
    report = load_weights(target, path)
    assert report.fits
    assert set(report.loaded) == set(target.state_dict())
    expected = trained().state_dict()
    for key, value in target.state_dict().items():
        assert torch.equal(value, expected[key]), key
    transferred = ho.transfer(Net(), num_outputs=2, head_layer="head", state_dict=str(path))
    assert torch.equal(transferred.body[0].weight, expected["body.0.weight"])


@pytest.mark.parametrize("kind", [*FORMATS[:-1]])  # a trace needs a network that runs
def test_keys_that_do_not_fit_are_named(kind, tmp_path):
    other = trained()
    other.body[0] = nn.Conv1d(1, 2, 4)
    other.more = nn.Parameter(torch.ones(2))
    del other.scalar
    other.scalar = 3
    path = write(kind, tmp_path / "weights", other)
    shapes = r"body.0.weight is \(2, 1, 4\), not \(2, 1, 3\)"
    with pytest.raises(ConversionError, match=rf"missing: scalar; unexpected: more.*{shapes}"):
        load_weights(Net(), path)
    target = Net()
    report = load_weights(target, path, strict=False)
    assert report.unexpected == ("more",)
    assert torch.equal(target.head.weight, other.head.weight)


@every_format
def test_damaged_files_are_refused(kind, tmp_path):
    path = write(kind, tmp_path / "weights", trained())
    content = path.read_bytes()
    target = Net()
    for length in (0, 5, len(content) // 3, len(content) - 30):
        path.write_bytes(content[:length])
        with pytest.raises(CheckpointError, match=r"damaged"):
            load_weights(target, path)


@pytest.mark.parametrize("dtype", [np.float16, ">f8", np.int32, np.bool_])
def test_dtypes_and_orders_of_numpy(dtype, tmp_path):
    values = np.asfortranarray(np.arange(6).reshape(2, 3).astype(dtype))
    np.savez(tmp_path / "weights.npz", weight=values, bias=np.zeros(2))
    target = nn.Linear(3, 2).double()
    load_weights(target, tmp_path / "weights.npz")
    expected = torch.from_numpy(np.array(values, values.dtype.newbyteorder("=")))
    assert torch.equal(target.weight.detach(), expected.to(target.weight.dtype))


def test_a_header_may_begin_like_a_pickle(tmp_path, monkeypatch):
    path = tmp_path / "weights"
    tensors = {"weight": torch.ones(2, 3), "bias": torch.ones(2)}
    short = struct.unpack("<Q", safetensors_bytes(tensors)[:8])[0]
    text = "a" * (0x180 - short - len(', "__metadata__": {"a": ""}'))
    path.write_bytes(safetensors_bytes(tensors, __metadata__={"a": text}))
    assert path.read_bytes()[0] == 0x80
    if HAS_SAFETENSORS:
        assert load_weights(nn.Linear(3, 2), path).fits
    monkeypatch.setitem(sys.modules, "safetensors", None)
    with pytest.raises(MissingExtraError, match="safetensors"):
        load_weights(nn.Linear(3, 2), path)


@pytest.mark.skipif(not HAS_SAFETENSORS, reason="extra")
@pytest.mark.parametrize("dtype", KINDS.values(), ids=KINDS)
def test_dtypes_of_safetensors(dtype, tmp_path):
    values = torch.arange(6).reshape(2, 3).to(dtype)
    path = tmp_path / "weights"
    path.write_bytes(safetensors_bytes({"weight": values}, __metadata__={"format": "pt"}))
    target = nn.Linear(3, 2, bias=False).double()
    load_weights(target, path)
    assert torch.equal(target.weight.detach(), values.double())


def test_without_safetensors_the_command_is_named(tmp_path, monkeypatch):
    path = write("safetensors", tmp_path / "weights", trained())
    monkeypatch.setitem(sys.modules, "safetensors", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'hybridopt-qiskit\[weights\]'"):
        load_weights(Net(), path)


class Evil:
    """Object whose pickle runs code."""

    def __reduce__(self):
        return Path.touch, (Path("touched"),)


def archive_of(**members: bytes) -> bytes:
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in members.items():
            made.writestr(name, content)
    return raw.getvalue()


def npy_bytes(header: bytes, data: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    length = struct.pack("<H" if version == b"\x01\x00" else "<I", len(header))
    return b"\x93NUMPY" + version + length + header + data


def array_of(shape: str, dtype: str = "<f4", data: bytes = b"") -> bytes:
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}}}\n"
    return npy_bytes(text.encode(), data)


def objects() -> bytes:
    raw = io.BytesIO()
    np.savez(raw, weight=np.array([Evil()], dtype=object))
    return raw.getvalue()


def single() -> bytes:
    raw = io.BytesIO()
    np.save(raw, np.ones((2, 3), np.float32))
    return raw.getvalue()


def whole_module() -> bytes:
    raw = io.BytesIO()
    torch.save(nn.Linear(3, 2), raw)
    return raw.getvalue()


def saved_network(tmp_path=Path()) -> bytes:
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w") as made:
        made.writestr("hybridopt.json", "{}")
    return raw.getvalue()


def many_members() -> bytes:
    raw = bytearray(archive_of(**{"a.npy": array_of("()", data=bytes(4))}))
    place = raw.rfind(archive.END)
    struct.pack_into("<HH", raw, place + 8, 60_000, 60_000)
    return bytes(raw)


def compressed_torch() -> bytes:
    raw = io.BytesIO()
    torch.save({"weight": torch.zeros(2, 3)}, raw)
    with zipfile.ZipFile(raw) as given:
        members = {name: given.read(name) for name in given.namelist()}
    members["archive/data/0"] = bytes(50_000_000)
    return archive_of(**members)


def scripted(pickled: bytes) -> bytes:
    return archive_of(**{"a/data.pkl": pickled, "a/constants.pkl": b".", "a/version": b"3"})


BIG = 10**18
LOOP = b"c__torch__\nM\n)\x81q\x00}X\x01\x00\x00\x00ah\x00sb."  # a module that contains itself
HOSTILE = {
    "pickled objects in npz": (objects, ArgumentTypeError, "`weight`.*dtype object"),
    "bomb in npz": (
        lambda: archive_of(**{"weight.npy": array_of("(2, 3)", data=bytes(50_000_000))}),
        CheckpointError,
        "damaged.*`weight`",
    ),
    "huge array": (
        lambda: archive_of(**{"weight.npy": array_of(f"({BIG}, 3)")}),
        CheckpointError,
        "damaged.*`weight`",
    ),
    "negative length": (
        lambda: archive_of(**{"weight.npy": array_of("(-2, -3)", data=bytes(24))}),
        CheckpointError,
        "damaged",
    ),
    "long header": (
        lambda: archive_of(**{"weight.npy": npy_bytes(b" " * 50_000_000, version=b"\x02\x00")}),
        CheckpointError,
        "damaged",
    ),
    "many members": (many_members, CheckpointError, "members.*60,000"),
    "header of safetensors": (
        lambda: struct.pack("<Q", BIG) + b'{"weight":',
        CheckpointError,
        f"damaged.*{BIG:,}",
    ),
    "compressed torch": (compressed_torch, CheckpointError, "as `torch.save` writes"),
    "code in torch": (lambda: pickle.dumps(Evil()), CheckpointError, "must be a|damaged"),
    "whole module": (whole_module, CheckpointError, "must be a state_dict.*module"),
    "old torch without end": (lambda: b"\x80\x02" + b"}" * 3_000_000, CheckpointError, "damaged"),
    "long script": (lambda: scripted(b"}" * 5_000_000), CheckpointError, "description"),
    "bytes in script": (
        lambda: scripted(b"\x80\x05" + pickle.BYTEARRAY8 + struct.pack("<Q", BIG) + b"."),
        CheckpointError,
        "damaged",
    ),
    "loop in script": (lambda: scripted(LOOP), CheckpointError, "damaged"),
    "code in script": (lambda: scripted(pickle.dumps(Evil())), ConversionError, "missing: weight"),
    "one array": (single, CheckpointError, "numpy.savez"),
    "file of save": (saved_network, CheckpointError, "hybridopt.load"),
    "other archive": (lambda: archive_of(text=b"a"), CheckpointError, "archive without weights"),
    "text": (lambda: b"weights = [1, 2]", CheckpointError, "damaged, or not a file of weights"),
    "empty": (lambda: b"", CheckpointError, "damaged"),
}


@pytest.mark.parametrize(("make", "error", "message"), HOSTILE.values(), ids=HOSTILE)
def test_hostile_files_are_refused(make, error, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(reading, "MOST_READS", 20_000)  # for speed
    path = tmp_path / "weights"
    path.write_bytes(make())
    target = nn.Linear(3, 2)
    before = target.weight.detach().clone()
    tracemalloc.start()
    try:
        with pytest.raises(error, match=message):
            load_weights(target, path)
        assert tracemalloc.get_traced_memory()[1] < 200e6
    finally:
        tracemalloc.stop()
    assert [one.name for one in tmp_path.iterdir()] == ["weights"]
    assert torch.equal(target.weight, before)


def test_old_files_have_a_limited_number_of_objects(tmp_path, monkeypatch):
    path = write("torch-old", tmp_path / "weights", trained())
    monkeypatch.setattr(reading, "MOST_READS", 100)
    with pytest.raises(CheckpointError, match="damaged"):
        load_weights(Net(), path)
    monkeypatch.setattr(reading, "MOST_READS", 10_000)
    assert load_weights(Net(), path).fits


def test_missing_files(tmp_path):
    with pytest.raises(ArgumentError, match="nowhere"):
        load_weights(Net(), tmp_path / "nowhere.npz")


def test_a_changed_number_is_found_by_its_checksum(tmp_path):
    network, path = nn.Linear(3, 4), tmp_path / "network.pt"
    torch.save(network.state_dict(), path)
    content = bytearray(path.read_bytes())
    content[content.find(network.weight.detach().numpy().tobytes()) + 2] ^= 64
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"checksum of `network/data/0`"):
        load_weights(nn.Linear(3, 4), path)


def test_formats_are_recognised_by_content_and_not_by_name(tmp_path):
    network, path = nn.Linear(3, 4), tmp_path / "network.safetensors"
    torch.save(network.state_dict(), path)
    other = nn.Linear(3, 4)
    load_weights(other, path)
    assert torch.equal(other.weight, network.weight)


def test_tensors_without_values_are_refused(tmp_path):
    path = tmp_path / "network.pt"
    torch.save(nn.Linear(3, 4).to("meta").state_dict(), path)
    with pytest.raises(ArgumentError, match=r"`weight`.*meta device"):
        load_weights(nn.Linear(3, 4), path)
