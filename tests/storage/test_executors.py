"""Executors are stored with their noise, or must be given again."""

from __future__ import annotations

import inspect
import json

import pytest
import torch
from qiskit.primitives import StatevectorSampler
from qiskit.providers.fake_provider import GenericBackendV2
from qiskit_aer.noise import NoiseModel, ReadoutError, depolarizing_error

import hybridopt as ho
from hybridopt.errors import CheckpointError
from hybridopt.execution import Executor
from hybridopt.storage.archive import FIRST, read_archive
from hybridopt.storage.json_codec import from_plain
from hybridopt.training.checkpoint import _settings_of
from tests.storage.examples import entangler, mixed


def noisy() -> NoiseModel:
    model = NoiseModel()
    model.add_all_qubit_quantum_error(depolarizing_error(0.02, 2), ["cx"])
    model.add_readout_error(ReadoutError([[0.9, 0.1], [0.2, 0.8]]), [1])
    return model


def test_noise_is_stored(tmp_path, monkeypatch):
    executor = ho.AerExecutor(noise_model=noisy(), max_memory=10**9, shots=50, seed=4)
    layer = entangler(executor=executor)
    path = ho.save(layer, tmp_path / "layer.ho")
    loaded = ho.load(path)
    assert loaded.executor.noise.model == noisy()
    assert (loaded.executor.max_memory, loaded.executor.shots) == (10**9, 50)
    x = torch.rand(2, 4)
    assert torch.equal(loaded(x), layer(x))
    monkeypatch.delattr(NoiseModel, "from_dict")  # an Aer that cannot read the noise model
    with pytest.raises(CheckpointError, match=r"noise.*`executor=`"):
        ho.load(path)


@pytest.mark.parametrize("confusion", [None, [[[0.93, 0.07], [0.2, 0.8]]] * 4])
def test_mitigation_is_stored(tmp_path, confusion):
    executor = ho.AerExecutor(
        noise_model=noisy(), readout_mitigation="inverse", confusion=confusion, shots=50, seed=4
    )
    layer = entangler(executor=executor)
    loaded = ho.load(ho.save(layer, tmp_path / "layer.ho"))
    assert repr(loaded.executor) == repr(executor)
    x = torch.rand(2, 4)
    assert torch.equal(loaded(x), layer(x))


class Foreign(ho.AerExecutor):
    """An executor that cannot be stored."""


@pytest.mark.parametrize("kind", [ho.AerExecutor, Foreign])
def test_executor_that_cannot_be_stored_must_be_given(kind, tmp_path):
    noise = {"noise_model": GenericBackendV2(4, seed=1)} if kind is ho.AerExecutor else {}
    path = ho.save(entangler(executor=kind(shots=20, seed=1, **noise)), tmp_path / "layer.ho")
    with pytest.raises(CheckpointError, match=r"noise.*`executor=`" if noise else "Foreign"):
        ho.load(path)
    given = ho.AerExecutor(shots=20, seed=1)
    assert ho.load(path, executor=given).executor is given


class Service(Executor):
    """An executor with a connection, which no file can hold."""

    has_noise, usage, shots = True, ho.Cost(), 400

    def __init__(self) -> None:
        self.inner, self.token = ho.AerExecutor(shots=400, seed=1), "secret-token"

    def settings(self):
        limits = {"max_rows": 100, "max_seconds": None}
        return {"shots": 400, "limits": limits, "inner": self.inner.settings(), "session": object()}

    def check(self, program, readout):
        self.inner.check(program, readout)

    def run(self, job):
        return self.inner.run(job)

    def explain(self, job):
        return self.inner.explain(job)

    def state_dict(self):
        return {"calls": 3, "open": object()}

    def load_state_dict(self, state):
        pass


def test_settings_of_a_foreign_executor_are_stored_where_they_are_plain(tmp_path):
    executor = Service()
    path = ho.save(entangler(executor=executor), tmp_path / "layer.ho")
    (stored,) = json.loads(read_archive(str(path))[FIRST])["executors"]
    assert stored["class"] == "Service"
    assert stored["not_stored"] == ["session", "open"]
    expected = {name: one for name, one in executor.settings().items() if name != "session"}
    assert from_plain(stored["settings"]) == expected
    assert from_plain(stored["state"]) == {"calls": 3}
    assert all(b"secret" not in content for content in read_archive(str(path)).values())
    with pytest.raises(CheckpointError, match=r"class Service.*shots=400.*session.*`executor=`"):
        ho.load(path)
    assert ho.load(path, executor=executor).executor is executor


def test_equal_noise_models_have_equal_settings():
    first, second = (ho.AerExecutor(noise_model=noisy()).settings() for _ in range(2))
    assert first == second
    assert first != ho.AerExecutor().settings()


def test_every_argument_of_the_executor_is_among_its_settings():
    arguments = set(inspect.signature(ho.AerExecutor).parameters)
    device = ho.AerExecutor(noise_model=GenericBackendV2(4, seed=1), max_memory="1 GB")
    assert set(device.settings()) == arguments
    again = ho.AerExecutor(**{**device.settings(), "noise_model": None, "layout": None})
    assert {**again.settings(), "noise_model": None} == {
        name: value
        for name, value in {**device.settings(), "noise_model": None}.items()
        if name not in {"layout", "optimization_level", "seed_transpiler"}
    }


@pytest.fixture
def client():
    distributed = pytest.importorskip("distributed")
    options = {"processes": False, "n_workers": 1, "dashboard_address": None}
    with distributed.Client(**options, set_as_default=False) as client:
        yield client


def test_executor_on_a_cluster_has_the_settings_of_the_executor_in_one_process(client, tmp_path):
    inner = ho.AerExecutor(noise_model=noisy(), shots=50, seed=4)
    executor = ho.DaskExecutor(client, inner)
    assert executor.settings() == {"class": "AerExecutor", **inner.settings()}
    assert executor.changeable == inner.changeable
    assert _settings_of(executor) == _settings_of(inner)  # a checkpoint resumes on a cluster
    path = ho.save(entangler(executor=executor), tmp_path / "layer.ho")
    assert client.scheduler.address.encode() not in path.read_bytes()
    loaded = ho.load(path).executor  # continues in one process
    assert type(loaded) is ho.AerExecutor
    assert loaded.settings() == inner.settings()


def test_executor_of_a_primitive_is_named_with_its_settings(tmp_path):
    executor = ho.PrimitiveExecutor(StatevectorSampler(seed=1), shots=30, max_jobs=9)
    path = ho.save(entangler(executor=executor), tmp_path / "layer.ho")
    pattern = r"class PrimitiveExecutor.*shots=30.*max_jobs=9.*`executor=`"
    with pytest.raises(CheckpointError, match=pattern):
        ho.load(path)
    assert ho.load(path, executor=executor).executor is executor


def test_given_executor_replaces_the_stored_one(tmp_path):
    given = ho.AerExecutor(shots=20, seed=1)
    loaded = ho.load(ho.save(mixed(), tmp_path / "module.ho"), executor=given)
    assert loaded[3].executor is loaded[4].executor is given
