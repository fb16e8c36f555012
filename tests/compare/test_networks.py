"""Comparisons of several networks: fairness, refusals, stored runs, processes."""

from __future__ import annotations

import functools
import linecache
import sys
from types import ModuleType

import pytest
import torch
from torch import nn

import hybridopt as ho
from hybridopt.compare import runner
from hybridopt.errors import (
    ArgumentError,
    ArgumentTypeError,
    CheckpointError,
    ConversionError,
    DataError,
)

from .conftest import quick

pytestmark = pytest.mark.usefixtures("no_page")


def with_circuit(outputs: int = 3) -> nn.Module:
    circuit = ho.load_circuit("strongly_entangling")
    layer = ho.CircuitLayer(*circuit, gradient="adjoint")
    return nn.Sequential(nn.Linear(4, 4), layer, nn.Linear(2, outputs))


def classical() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 2), nn.Linear(2, 3))


NETWORKS = {"classical": classical, "circuit": with_circuit, "text": "mlp:4-3"}


def numbers(run):
    return run.test_loss, run.test_metric, run.trainable, [point.train_loss for point in run.curve]


def test_runs_are_those_of_each_network_alone():
    study = quick(network=NETWORKS, methods=["adam"], tuning=2)
    assert study.methods == tuple(NETWORKS)
    assert study.control == "classical"
    for name, network in NETWORKS.items():
        alone = quick(network=network, methods=["adam"], tuning=2)
        assert [*map(numbers, study.runs_of(name))] == [*map(numbers, alone.runs)]
    assert {run.settings > 0 for run in study.runs_of("circuit")} == {True}
    assert {run.settings for run in study.runs_of("classical")} == {0}


def test_every_network_has_every_method():
    study = quick(network={"a": "mlp:4-3", "b": classical}, methods=["adam", "twin+adam"])
    assert study.methods == ("a: adam", "a: twin+adam", "b: adam", "b: twin+adam")
    assert study.control == "a: adam"
    assert (
        quick(
            network={"a": "mlp:4-3", "b": classical}, methods=["adam", "sgd"], control="b: sgd"
        ).control
        == "b: sgd"
    )


def test_methods_have_their_own_networks():
    own = ho.Method("adam", network=classical, name="deep")
    study = quick(methods=["adam", own])
    assert [*map(numbers, study.runs_of("deep"))] == [
        *map(numbers, quick(network=classical, methods=["adam"]).runs)
    ]
    assert {run.trainable for run in study.runs_of("adam")} == {15}


def test_networks_are_pickled_to_processes():
    networks = {"a": functools.partial(nn.Linear, 4, 3), "b": classical(), "c": with_circuit()}
    alone = quick(network=networks, methods=["adam"])
    parallel = quick(network=networks, methods=["adam"], workers=2)
    assert [*map(numbers, alone.runs)] == [*map(numbers, parallel.runs)]
    hooked = nn.Linear(4, 3)
    hooked.weight.register_hook(lambda gradient: gradient)
    with pytest.raises(ConversionError, match="workers=1"):
        quick(network={"a": "mlp:4-3", "b": hooked}, methods=["adam"], workers=2)


def test_a_stored_run_belongs_to_its_network(tmp_path, monkeypatch):
    quick(network={"a": "mlp:4-3", "b": classical}, methods=["adam"], output=tmp_path)
    made = []
    monkeypatch.setattr(runner, "make_run", lambda *task: made.append(task))
    quick(network={"a": "mlp:4-3", "b": classical}, methods=["adam"], output=tmp_path)
    changed = {"a": "mlp:4-3", "b": with_circuit}
    with pytest.raises(CheckpointError, match="of b"):
        quick(network=changed, methods=["adam"], output=tmp_path)
    assert made == []


def test_an_interruption_names_the_folder(tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(runner, "make_run", interrupted)
    with pytest.raises(KeyboardInterrupt) as caught:
        quick(output=tmp_path)
    assert str(tmp_path) in caught.value.__notes__[0]


def test_the_random_stream_of_a_network_is_restored():
    network = with_circuit()
    network[1] = ho.CircuitLayer(
        *ho.load_circuit("strongly_entangling"), executor=ho.AerExecutor(shots=10, seed=3)
    )
    before = network[1].executor.state_dict()
    quick(network={"a": "mlp:4-3", "b": network}, methods=["adam"], budget="1 epoch")
    assert network[1].executor.state_dict() == before


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("network", "methods", "error", "message"),
    [
        ({}, ["adam"], ArgumentError, "`network`.*at least two"),
        ({"a": "mlp:4-3"}, ["adam"], ArgumentError, "`network`.*at least two"),
        ({1: "mlp:4-3", 2: classical}, ["adam"], ArgumentError, "`network`"),
        ({"a": "mlp:4-3", "b": 5}, ["adam"], ArgumentTypeError, "`network`"),
        ({"a": "mlp:4-3", "b": lambda: with_circuit(2)}, ["adam"], DataError, "'b'.*2 outputs"),
        (
            {"a": "mlp:4-3", "b": classical},
            [ho.Method("adam", network=classical)],
            ArgumentError,
            "`network`",
        ),
        ([classical, with_circuit], ["adam"], ArgumentTypeError, "`network`.*dict"),
    ],
)
def test_refused(network, methods, error, message, aer_calls):
    with pytest.raises(error, match=message):
        quick(network=network, methods=methods)
    assert aer_calls == []


@pytest.mark.wrong_types
def test_a_method_refuses_what_is_no_network():
    with pytest.raises(ArgumentTypeError, match="`network`"):
        ho.Method("adam", network=torch.ones(3))


def test_force_refuses_runs_of_a_method_that_had_another_network(tmp_path):
    quick(methods=["adam", "sgd"], output=tmp_path / "common")
    own = ho.Method("adam", network="mlp:4-5-3")
    with pytest.raises(CheckpointError, match="adam"):
        quick(methods=[own, "sgd"], output=tmp_path / "common", resume="force")
    quick(methods=[own, "sgd"], output=tmp_path / "own")
    with pytest.raises(CheckpointError, match="adam"):
        quick(methods=["adam", "sgd"], output=tmp_path / "own", resume="force")


CODE = """import torch
class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.l = torch.nn.Linear(4, 3)
    def forward(self, x):
        return self.l(x)
"""


def test_classes_with_one_name_are_told_apart(tmp_path, monkeypatch):
    files = [tmp_path / f"networks_{letter}.py" for letter in "ab"]
    for file in files:
        file.write_text(CODE)

    def run():
        linecache.checkcache()
        networks = {}
        for file in files:
            module = ModuleType(file.stem)
            monkeypatch.setitem(sys.modules, file.stem, module)
            module.__file__ = str(file)
            exec(compile(file.read_text(), str(file), "exec"), vars(module))
            networks[file.stem] = module.Net
        return quick(network=networks, methods=["adam"], output=tmp_path / "out")

    run()
    run()
    for file in files:
        file.write_text(CODE.replace("self.l(x)", "0 * self.l(x)"))
        with pytest.raises(CheckpointError, match="Net"):
            run()
        file.write_text(CODE)
