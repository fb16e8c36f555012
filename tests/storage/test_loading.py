"""Files that are whole but do not fit the reader are refused."""

from __future__ import annotations

import pytest
from torch import nn

import hybridopt as ho
from hybridopt.errors import CheckpointError
from hybridopt.storage import archive
from tests.storage.examples import mlp, saved, with_members, with_meta


def recipe(number: int, **changes: object):
    """Return a change of one layer of the stored recipe."""
    return lambda meta: meta["recipe"]["children"][number][1].update(changes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda meta: meta.update(schema=3), r"\(got 3, .*Update hybridopt"),
        (lambda meta: meta["quantum"][0]["bridge"].update(name="wormhole"), "'wormhole'"),
        (lambda meta: meta["quantum"][0]["bridge"]["options"].update(speed=1), "'memory'.*speed"),
        (lambda meta: meta["quantum"][0]["bridge"]["options"].update(form="spiral"), "'spiral'"),
        (lambda meta: meta["quantum"][0]["gradient"].update(name="rotosolve"), "'rotosolve'"),
        (lambda meta: meta["quantum"][0].update(num_qubits=9), "num_qubits=9"),
        (recipe(1, **{"class": "torch.nn.Tanhh"}), "torch.nn.Tanhh.*Update torch"),
        (recipe(1, **{"class": "os.system"}), "os.system"),
        (recipe(1, **{"class": "torch.nn.init"}), "torch.nn.init"),
        (recipe(0, arguments={"in_features": 5, "out_features": 4}), "`0.weight`"),
        (lambda meta: meta["executors"][0]["settings"].update(method="warp"), "`executor="),
    ],
)
def test_file_of_other_versions_is_refused(change, message, tmp_path, aer_calls):
    path = with_meta(saved(tmp_path), change)
    with pytest.raises(CheckpointError, match=message):
        ho.load(path)
    assert aer_calls == []


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (nn.Linear(3, 2), "`0.bias`"),
        (mlp(width=5), r"`0.bias`.*\(4,\).*\(5,\)"),
        (mlp(nn.ReLU), "`module 1`.*Tanh.*ReLU"),
    ],
)
def test_other_network_is_refused_with_the_difference(network, message, tmp_path):
    with pytest.raises(CheckpointError, match=message):
        ho.load(saved(tmp_path), network)


def test_other_shared_weights_are_refused(tmp_path):
    assert ho.load(saved(tmp_path), mlp()) is not None
    tied, untied = (nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 3)) for _ in range(2))
    tied[2].weight = tied[0].weight
    path = ho.save(ho.to_quantum(tied, "memory"), tmp_path / "tied.ho")
    with pytest.raises(CheckpointError, match=r"\['0.weight', '2.weight'\]"):
        ho.load(path, untied)


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    "change",
    [
        lambda members: members.pop("tensors.pt"),
        lambda members: members.update({"tensors.pt": b"no tensors"}),
        lambda members: members.update({archive.FIRST: b"{no JSON"}),
        lambda members: members.update({archive.FIRST: b"[]"}),
    ],
)
def test_broken_members_are_refused(change, tmp_path, aer_calls):
    path = with_members(saved(tmp_path), change)
    with pytest.raises(CheckpointError, match=r"network\.ho") as caught:
        ho.load(path)
    assert "weights_only" not in str(caught.value)  # torch advises to switch it off
    assert aer_calls == []


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    "change",
    [
        lambda meta: meta.pop("schema"),
        lambda meta: meta.update(schema="a"),
        lambda meta: meta.pop("versions"),
        lambda meta: meta.update(executors=[]),
        lambda meta: meta.update(layers=None),
        lambda meta: meta.update(quantum=[{}]),
    ],
)
def test_broken_metadata_is_refused(change, tmp_path, aer_calls):
    with pytest.raises(CheckpointError, match=r"network\.ho"):
        ho.load(with_meta(saved(tmp_path), change))
    assert aer_calls == []
