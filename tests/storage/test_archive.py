"""Files are refused unless every byte is unchanged."""

from __future__ import annotations

import random
import re

import pytest
import torch
from torch import nn

import hybridopt as ho
from hybridopt.errors import CheckpointError
from tests.storage.examples import saved


def assert_refused(path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"network\.ho"):
        ho.load(path)


def test_truncated_file_is_refused(tmp_path):
    path = saved(tmp_path)
    whole = path.read_bytes()
    places = [0, 1, 4, 29, 30, 43, *random.Random(1).sample(range(len(whole)), 40)]
    for place in (*places, len(whole) - 1):
        assert_refused(path, whole[:place])


def test_changed_byte_is_refused(tmp_path):
    path = saved(tmp_path)
    whole = path.read_bytes()
    for place in [0, 8, 35, len(whole) - 1, *random.Random(2).sample(range(len(whole)), 60)]:
        assert_refused(path, whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])
    assert_refused(path, whole + b"\0")


@pytest.mark.parametrize("name", ["missing.ho", "", "weights.pt", "a\0b"])
def test_other_files_are_refused(name, tmp_path):
    torch.save(nn.Linear(2, 2).state_dict(), tmp_path / "weights.pt")
    with pytest.raises(CheckpointError, match=re.escape(name.partition("\0")[0] or tmp_path.name)):
        ho.load(f"{tmp_path}/{name}")
