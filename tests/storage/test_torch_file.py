"""Files of `torch.save` are read as torch reads them, but sizes are checked first."""

from __future__ import annotations

import io
import pickle
import zipfile
from collections import Counter, OrderedDict

import pytest
import torch
from torch import nn

from hybridopt.storage import torch_file
from hybridopt.storage.archive import signed
from hybridopt.storage.torch_file import TorchFile, dump


def read(content: bytes):
    return TorchFile(io.BytesIO(content)).load()


DTYPES = [torch.bool, torch.uint8, torch.int16, torch.int64, torch.float16, torch.bfloat16,
          torch.float32, torch.float64, torch.complex64]  # fmt: skip
if torch.uint16 in torch.storage._new_dtypes():  # torch 2.5 does not save it
    DTYPES.append(torch.uint16)


def tensors():
    base = torch.randn(4, 5, generator=torch.Generator().manual_seed(0))
    return {
        **{str(dtype): base.to(dtype) for dtype in DTYPES},
        "transposed": base.t(),
        "row": base[1],
        "empty": torch.zeros(0, 3),
        "number": base[0, 0],
        "last": torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last),
        "parameter": nn.Parameter(base),
    }


def test_tensors_are_those_of_torch():
    content = dump(tensors())
    expected = torch.load(io.BytesIO(content), weights_only=True)
    for found in (read(content), read(signed(content))):
        assert list(found) == list(expected)
        for name, tensor in expected.items():
            assert found[name].dtype == tensor.dtype
            assert found[name].stride() == tensor.stride()
            assert torch.equal(found[name], tensor.detach())
        storages = [found[name].untyped_storage().data_ptr() for name in ("transposed", "row")]
        assert len(set(storages)) == 1


def test_plain_values_are_those_of_torch():
    module = nn.BatchNorm1d(2)
    value = [
        *(None, True, 2, -3.5, "a", 1 << 80, (1, 2), [], {"a": {3: 4}}, {1, 2}, 1j),
        *(Counter("aab"), OrderedDict(b=1, a=2), torch.Size([2]), torch.device("cpu")),
    ]
    assert read(dump(value)) == value
    assert read(dump(module.state_dict()))._metadata == module.state_dict()._metadata


class Code:
    def __reduce__(self):
        return print, ("this must not run",)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (torch.zeros(1).expand(100_000, 100_000), "has only 4 bytes"),
        (torch.eye(3).to_sparse(), "_rebuild_sparse_tensor"),
        (torch.zeros(3, device="meta"), "_rebuild_meta_tensor"),
        (torch.ones(2, dtype=torch.complex64).conj(), "invalid"),
        (nn.Linear(1, 1), "NEWOBJ"),
        (bytearray(5), "bytearray"),
        (Code(), "print"),
    ],
)
def test_other_objects_are_refused(value, message, capsys):
    content = dump({"a": value})
    with pytest.raises(ValueError, match=message):
        read(content)
    assert capsys.readouterr().out == ""


def with_pickle(code: bytes, data: bytes = b"") -> bytes:
    """Return an archive with a pickle, and the numbers of its first tensor."""
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w") as archive:
        archive.writestr("x/data.pkl", code)
        archive.writestr("x/data/0", data)
    return raw.getvalue()


def nested(depth: int):
    return [] if depth == 0 else [nested(depth - 1)]


def doubled(times: int):
    value: list = []
    for _ in range(times):
        value = [value, value]
    return value


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (pickle.dumps(nested(60), 2), "nested"),
        (pickle.dumps(doubled(40), 2), "nested"),
        (b"\x80\x02]r\xff\xff\xff\x7f.", "memo"),
        (b"\x80\x02\x8e" + (1 << 40).to_bytes(8, "little") + b".", "BINBYTES8|enough|bytes"),
        (b"\x80\x02].", None),
        (b"\x80\x02]", "STOP|exhausted"),
        (b"\x80\x02N" * 10 + b".", None),
        (b"", "STOP|exhausted"),
    ],
)
def test_hostile_pickles_are_refused(code, message):
    if message is None:
        assert read(with_pickle(code)) in ([], None)
    else:
        with pytest.raises(ValueError, match=message):
            read(with_pickle(code))


@pytest.mark.parametrize("size", [0, 12, 20])
def test_a_tensor_needs_its_bytes(size):
    with zipfile.ZipFile(io.BytesIO(dump(torch.ones(2, 2)))) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("data.pkl"))
        code = archive.read(name)
    assert torch.equal(read(with_pickle(code, bytes(16))), torch.zeros(2, 2))
    with pytest.raises(ValueError, match=rf"\(2, 2\) has only {size} bytes"):
        read(with_pickle(code, bytes(size)))


def test_other_archives_are_refused(monkeypatch):
    content = dump({"a": torch.ones(3)})
    for damaged in (b"", b"PK", content[:-30], content[:100]):
        with pytest.raises(ValueError, match=r"archive|end"):
            read(damaged)
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x/data.pkl", bytes(10_000))
    with pytest.raises(ValueError, match="compressed"):
        read(raw.getvalue())
    monkeypatch.setattr(torch_file, "MOST_OPCODES", 100)
    with pytest.raises(ValueError, match="100 parts"):
        read(dump(list(range(200))))
