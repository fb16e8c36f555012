"""Files of schema 2 are read; files of schema 1 are refused with the version that wrote them.

``tests/schemas`` holds one small file of each kind. Those of schema 1 were made at commit 68a8ce7
from an ``nn.Linear(2, 1)`` and 20 samples: a memory bridge, a checkpoint of `fit`, a study. Those
of schema 2 were made at commit 5dfeb99 by the training that ``trained`` repeats.
"""

from __future__ import annotations

import inspect
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


def trained(epochs: int, checkpoint: Path | None = None) -> tuple[nn.Module, ho.History]:
    x = torch.rand(20, 2, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    network, options = nn.Linear(2, 1), {"scheduler": "cosine", "batch_size": 10}
    data = (x, x.sum(1, keepdim=True))
    return network, ho.fit(network, data, epochs=epochs, checkpoint=checkpoint, **options)


@pytest.mark.parametrize("name", READERS)
def test_file_of_schema_1_is_refused_with_its_version(name, tmp_path):
    path = Path(shutil.copy(FOLDER / name, tmp_path))
    before = path.read_bytes()
    with pytest.raises(CheckpointError, match=rf"{name}.*schema 2.* 1, .*hybridopt 0\.1\.0"):
        READERS[name](path)
    assert path.read_bytes() == before


@pytest.mark.skipif(
    "decoupled_weight_decay" not in inspect.signature(torch.optim.Adam).parameters,
    reason="the file has an option of Adam that this torch lacks",
)
def test_checkpoint_of_schema_2_is_resumed(tmp_path):
    path = Path(shutil.copy(FOLDER / "2" / "fit.checkpoint", tmp_path))
    network, history = trained(2, path)  # nothing is left to train
    again, expected = trained(2)
    assert history.train_loss == pytest.approx(expected.train_loss, rel=1e-5)
    torch.testing.assert_close(network.weight, again.weight)


def test_network_and_study_of_schema_2_are_read():
    quantum = ho.load(FOLDER / "2" / "memory.ho")
    weight = torch.tensor([[-0.0026115470100194216, 0.38200533390045166]])
    torch.testing.assert_close(ho.to_classical(quantum).weight.detach(), weight)
    assert quantum.executor.shots == 100
    assert ho.load_study(FOLDER / "2" / "study.json").methods == ("adam", "sgd")
