"""Whole files that do not fit the reader are refused with what to do."""

from __future__ import annotations

import json

import pytest
from torch import nn

import hybridopt as ho
from hybridopt.errors import CheckpointError
from hybridopt.storage import archive
from tests.storage.examples import saved


def changed(path, change):
    """The file with other facts in it, and a digest that fits them."""
    members = archive.read_archive(path)
    meta = json.loads(members[archive.FIRST])
    change(meta)
    archive.write_archive(path, {**members, archive.FIRST: json.dumps(meta).encode()})
    return path


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda meta: meta.update(schema=3), "has schema 3, .* reads schema 2. Update hybridopt"),
        (lambda meta: meta.update(qpy=99), "QPY 99.* cannot read.*Update qiskit"),
        (lambda meta: meta["quantum"][0]["bridge"].update(name="wormhole"),
         "the bridge 'wormhole', which this version"),
        (lambda meta: meta["quantum"][0]["bridge"]["options"].update(speed=1),
         "options of the bridge 'memory' that this version"),
        (lambda meta: meta["quantum"][0]["bridge"]["options"].update(form="spiral"),
         "options of the bridge 'memory' .*Unknown form 'spiral'.*Update hybridopt"),
        (lambda meta: meta["quantum"][0]["gradient"].update(name="rotosolve"),
         "the gradient rule 'rotosolve', which this version"),
        (lambda meta: meta["quantum"][0].update(num_qubits=9), "num_qubits=9, but this version"),
        (lambda meta: meta["recipe"]["children"][1][1].update({"class": "torch.nn.Tanhh"}),
         "the class torch.nn.Tanhh, .*Update torch"),
        (lambda meta: meta["recipe"]["children"][1][1].update({"class": "os.system"}),
         "the class os.system"),
        (lambda meta: meta["recipe"]["children"][1][1].update({"class": "torch.nn.init"}),
         "the class torch.nn.init"),
        (lambda meta: meta["recipe"]["children"][0][1]["arguments"].update(in_features=5),
         "is .* in the file and .* in the network"),
        (lambda meta: meta["executors"][0]["settings"].update(method="warp"),
         "stored executor cannot be made here: .*Pass `executor=`"),
    ],
)  # fmt: skip
def test_versions_that_do_not_fit_are_refused(change, message, tmp_path, aer_calls):
    path = changed(saved(tmp_path), change)
    with pytest.raises(CheckpointError, match=message):
        ho.load(path)
    assert aer_calls == []


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (nn.Linear(3, 2), "another network than was given"),
        (nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2)),
         r"`0.bias` is \(4,\) there and \(5,\) here"),
        (nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)),
         "`module 1` is Tanh there and ReLU here"),
    ],
)  # fmt: skip
def test_another_network_is_refused_with_what_differs(network, message, tmp_path):
    path = saved(tmp_path)
    with pytest.raises(CheckpointError, match=message):
        ho.load(path, network)


def test_other_shared_weights_are_refused(tmp_path):
    path = saved(tmp_path)
    network = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    tied = nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 3))
    tied[2].weight = tied[0].weight
    other = ho.save(ho.to_quantum(tied, "memory"), tmp_path / "tied.ho")
    assert ho.load(path, network) is not None
    with pytest.raises(CheckpointError, match=r"other shared weights .*\['0.weight', '2.weight'\]"):
        ho.load(other, nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 3)))


def content(path, change):
    """The file with other members, and a digest that fits them."""
    members = archive.read_archive(path)
    change(members)
    archive.write_archive(path, members)
    return path


def facts(**changes):
    """A change of what the head of the file says."""

    def change(members):
        meta = {**json.loads(members[archive.FIRST]), **changes}
        members[archive.FIRST] = json.dumps(
            {key: value for key, value in meta.items() if value is not ...}
        ).encode()

    return change


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    "change",
    [
        lambda members: members.pop("tensors.pt"),
        lambda members: members.update({"tensors.pt": b"no tensors"}),
        lambda members: members.update({"network.pt": b""}),
        lambda members: members.update({archive.FIRST: b"{no JSON"}),
        lambda members: members.update({archive.FIRST: b"[]"}),
        facts(schema=...),
        facts(schema="a"),
        facts(versions=...),
        facts(executors=[]),
        facts(layers=None),
        facts(quantum=[{}]),
    ],
)
def test_whole_files_of_broken_content_are_refused(change, tmp_path, aer_calls):
    path = content(saved(tmp_path), change)
    says = r"network.ho is whole, but .*Save the network again"
    with pytest.raises(CheckpointError, match=says) as caught:
        ho.load(path)
    assert "weights_only" not in str(caught.value)  # torch advises to turn it off
    assert aer_calls == []
