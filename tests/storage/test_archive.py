"""Files that are not to the last byte what was written are refused."""

from __future__ import annotations

import random

import pytest
import torch
from torch import nn

import hybridopt as ho
from hybridopt.errors import CheckpointError, OutputError
from tests.storage.examples import saved


def test_a_file_cut_anywhere_is_refused(tmp_path):
    path = saved(tmp_path)
    whole = path.read_bytes()
    places = [0, 1, 4, 29, 30, 43, *random.Random(1).sample(range(len(whole)), 40)]
    for place in (*places, len(whole) - 1):
        path.write_bytes(whole[:place])
        with pytest.raises(CheckpointError, match=r"no file of `hybridopt.save`|is damaged"):
            ho.load(path)


def test_a_flipped_byte_anywhere_is_refused(tmp_path):
    path = saved(tmp_path)
    whole = path.read_bytes()
    for place in [0, 8, 35, len(whole) - 1, *random.Random(2).sample(range(len(whole)), 60)]:
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])
        with pytest.raises(CheckpointError, match=r"no file of `hybridopt.save`|is damaged"):
            ho.load(path)
    path.write_bytes(whole + b"\0")
    with pytest.raises(CheckpointError, match="is damaged"):
        ho.load(path)


def test_an_interrupted_save_leaves_the_older_file(tmp_path, monkeypatch):
    path = saved(tmp_path)
    whole = path.read_bytes()

    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OutputError, match="No space left"):
        ho.save(ho.to_quantum(nn.Linear(2, 2)), path)
    assert path.read_bytes() == whole
    assert list(tmp_path.iterdir()) == [path]


def pickled(tmp_path):
    path = tmp_path / "weights.pt"
    torch.save(nn.Linear(2, 2).state_dict(), path)
    return path


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: folder / "missing.ho", "There is no file"),
        (lambda folder: folder, "Is a directory"),
        (pickled, "no file of `hybridopt.save`.*torch.load"),
        (lambda folder: "a\0b", "Cannot read"),
    ],
)
def test_what_is_no_file_of_ours_is_refused(make, message, tmp_path):
    with pytest.raises(CheckpointError, match=message):
        ho.load(make(tmp_path))
