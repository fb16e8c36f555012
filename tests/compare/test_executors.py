"""Executors of methods: descriptions, keys of stored runs, and changes in a network."""

from __future__ import annotations

import json

import pytest
import torch
from qiskit.providers.fake_provider import GenericBackendV2
from qiskit_aer.noise import NoiseModel, depolarizing_error
from torch import nn

import hybridopt as ho
from hybridopt.compare.executors import (
    device_properties,
    executor_label,
    executor_settings,
    label_of,
    set_executor,
)
from hybridopt.errors import UnsupportedError
from hybridopt.execution import AerExecutor
from hybridopt.training.loop import executors_of


def device(seed: int = 1) -> GenericBackendV2:
    return GenericBackendV2(3, seed=seed)


def model(probability: float) -> NoiseModel:
    noise = NoiseModel()
    noise.add_all_qubit_quantum_error(depolarizing_error(probability, 1), ["rx", "ry"])
    return noise


class Own(AerExecutor):
    """An executor of a user, with a setting of its own."""

    level = 1

    def settings(self) -> dict[str, object]:
        return {**super().settings(), "level": self.level}


def own(level: int) -> Own:
    executor = Own()
    executor.level = level
    return executor


MAKERS = {
    "exact": AerExecutor,
    "seed": lambda: AerExecutor(seed=1),
    "shots": lambda: AerExecutor(shots=10),
    "precision": lambda: AerExecutor(precision="single"),
    "method": lambda: AerExecutor(method="matrix_product_state"),
    "truncation": lambda: AerExecutor(method="matrix_product_state", truncation=1e-3),
    "model": lambda: AerExecutor(noise_model=model(0.1)),
    "other model": lambda: AerExecutor(noise_model=model(0.2)),
    "device": lambda: AerExecutor(noise_model=device()),
    "other device": lambda: AerExecutor(noise_model=device(2)),
    "layout": lambda: AerExecutor(noise_model=device(), layout=[2, 0]),
    "level": lambda: AerExecutor(noise_model=device(), optimization_level=3),
    "transpiler": lambda: AerExecutor(noise_model=device(), seed_transpiler=5),
    "user": lambda: own(1),
    "user's setting": lambda: own(2),
}


def test_settings_distinguish_executors_and_are_repeatable():
    first, second = ({k: executor_settings(make()) for k, make in MAKERS.items()} for _ in range(2))
    assert first == second == json.loads(json.dumps(second))
    texts = [json.dumps(one, sort_keys=True) for one in first.values()]
    assert len(set(texts)) == len(MAKERS)
    limited = AerExecutor(max_memory="1 GB", strategy="table")
    assert executor_settings(limited) == first["exact"]


def test_properties_of_a_device_are_its_calibration():
    found, target = device_properties(device()), device().target
    error, duration = target["cx"][0, 1].error, target["cx"][0, 1].duration
    assert found["gates"]["cx"]["(0, 1)"] == [duration, error]
    assert found["qubits"][2][:2] == [target.qubit_properties[2].t1, target.qubit_properties[2].t2]


@pytest.mark.parametrize(
    ("executor", "label"),
    [
        (AerExecutor(), "exact"),
        (AerExecutor(shots=1000), "1,000 shots"),
        (AerExecutor(noise_model=model(0.1)), "noise model"),
        (AerExecutor(noise_model=device(), shots=50), "generic_backend_3q, 50 shots"),
        (own(3), "Own"),
    ],
)
def test_labels(executor, label):
    assert executor_label(executor) == label
    layer = ho.DressedCircuit(2, 2, num_qubits=2, depth=1, executor=executor)
    assert label_of(nn.Sequential(layer, nn.Linear(2, 2))) == label
    assert label_of(nn.Linear(2, 2)) == "no circuit"


@pytest.mark.parametrize("bridge", ["memory", "mesh", "generator"])
def test_a_twin_gets_shots_and_refuses_noise(bridge):
    linear, x, sampled = nn.Linear(2, 2), torch.rand(4, 2), {"shots": 30, "seed": 4}
    twin = ho.to_quantum(linear, "twin", of=bridge)
    assert label_of(twin) == "formula"
    set_executor(twin, AerExecutor(**sampled))
    assert label_of(twin) == "formula, 30 shots"
    made = ho.to_quantum(linear, "twin", of=bridge, executor=AerExecutor(**sampled))
    assert torch.equal(twin(x), made(x))
    assert not any(isinstance(executor, AerExecutor) for executor in executors_of(twin))
    with pytest.raises(UnsupportedError, match="noise"):
        set_executor(twin, AerExecutor(noise_model=model(0.1)))


def test_gradient_rules_are_checked_for_training_only():
    layer = ho.DressedCircuit(2, 2, num_qubits=2, depth=1, gradient="adjoint")
    sampled = AerExecutor(shots=20)
    with pytest.raises(UnsupportedError, match="adjoint"):
        set_executor(layer, sampled)
    set_executor(layer, sampled, trains=False)
    with torch.no_grad():
        assert layer(torch.rand(3, 2)).shape == (3, 2)
