"""Files that hybridopt 0.1.0 wrote with schema 1 are refused with that version.

``tests/schemas`` holds one small file of each kind, made at commit 68a8ce7 from an
``nn.Linear(2, 1)`` and 20 samples: a memory bridge, a checkpoint of `fit`, a study.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from torch import nn

import hybridopt as ho
from hybridopt.errors import CheckpointError

FOLDER = Path(__file__).parents[1] / "schemas"
READERS = {
    "memory.ho": ho.load,
    "fit.checkpoint": lambda path: ho.fit(
        nn.Linear(2, 1), (torch.rand(20, 2), torch.rand(20, 1)), optimizer="sgd", checkpoint=path
    ),
    "study.json": ho.load_study,
}


@pytest.mark.parametrize("name", READERS)
def test_file_of_schema_1_is_refused_with_its_version(name, tmp_path):
    path = Path(shutil.copy(FOLDER / name, tmp_path))
    before = path.read_bytes()
    with pytest.raises(CheckpointError, match=rf"{name}.*schema 2.* 1, .*hybridopt 0\.1\.0"):
        READERS[name](path)
    assert path.read_bytes() == before
