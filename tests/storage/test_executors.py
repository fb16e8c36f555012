"""Executors come back with their noise, or have to be given."""

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


def test_noise_comes_back(tmp_path):
    executor = ho.AerExecutor(noise_model=noisy(), max_memory=10**9, shots=50, seed=4)
    layer = entangler(executor=executor)
    loaded = ho.load(ho.save(layer, tmp_path / "layer.ho"))
    assert loaded.executor.noise.model == noisy()
    assert (loaded.executor.max_memory, loaded.executor.shots) == (10**9, 50)
    x = torch.rand(2, 4)
    assert torch.equal(loaded(x), layer(x))


def test_the_noise_of_a_device_has_to_be_given_again(tmp_path):
    device = GenericBackendV2(4, seed=1)
    layer = entangler(executor=ho.AerExecutor(noise_model=device, shots=20, seed=1))
    path = ho.save(layer, tmp_path / "layer.ho")
    with pytest.raises(CheckpointError, match=r"its noise .* cannot be stored. Pass `executor=`"):
        ho.load(path)
    assert ho.load(path, executor=layer.executor).executor is layer.executor


def test_noise_that_aer_cannot_read_is_told(tmp_path, monkeypatch):
    path = ho.save(entangler(executor=ho.AerExecutor(noise_model=noisy())), tmp_path / "layer.ho")
    monkeypatch.delattr(NoiseModel, "from_dict")
    with pytest.raises(CheckpointError, match="This version of Aer cannot read the stored noise"):
        ho.load(path)


class Foreign(ho.AerExecutor):
    """An executor that no file can hold."""


def test_an_executor_that_cannot_be_stored_has_to_be_given(tmp_path):
    layer = entangler(executor=Foreign(shots=10))
    path = ho.save(layer, tmp_path / "layer.ho")
    with pytest.raises(CheckpointError, match=r"executor is a Foreign.*Pass `executor=`"):
        ho.load(path)
    given = ho.AerExecutor(shots=20, seed=1)
    assert ho.load(path, executor=given).executor is given


def test_a_given_executor_takes_the_place_of_the_stored_one(tmp_path):
    given = ho.AerExecutor(shots=20, seed=1)
    loaded = ho.load(ho.save(mixed(), tmp_path / "module.ho"), executor=given)
    assert loaded[3].executor is loaded[4].executor is given
