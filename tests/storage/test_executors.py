"""Executors are stored with their noise, or must be given again."""

from __future__ import annotations

import pytest
import torch
from qiskit.providers.fake_provider import GenericBackendV2
from qiskit_aer.noise import NoiseModel, ReadoutError, depolarizing_error

import hybridopt as ho
from hybridopt.errors import CheckpointError
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


def test_given_executor_replaces_the_stored_one(tmp_path):
    given = ho.AerExecutor(shots=20, seed=1)
    loaded = ho.load(ho.save(mixed(), tmp_path / "module.ho"), executor=given)
    assert loaded[3].executor is loaded[4].executor is given
