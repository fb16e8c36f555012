"""Devices that Aer can use, their words and their memory."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

import hybridopt as ho
from hybridopt.errors import ArgumentError, DeviceError, UnknownNameError, UnsupportedError
from hybridopt.execution import AerExecutor, available_devices
from hybridopt.execution.aer import devices
from hybridopt.execution.aer.devices import device_name

HAS_GPU = "GPU" in available_devices()


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("CPU", "CPU"), ("cpu", "CPU"), ("cpu:0", "CPU"), (torch.device("cpu"), "CPU"),
        ("GPU", "GPU"), ("gpu", "GPU"), ("cuda", "GPU"), ("CUDA", "GPU"), ("cuda:0", "GPU"),
        (torch.device("cuda"), "GPU"), (torch.device("cuda", 0), "GPU"), ("Auto", "auto"),
    ],
)  # fmt: skip
def test_words_of_aer_and_torch(word, name):
    assert device_name(word) == name
    if name != "GPU" or HAS_GPU:
        assert ho.AerExecutor(device=word).device in {name, "CPU", "GPU"}
    else:
        with pytest.raises(DeviceError, match=r"`device`.*GPU"):
            ho.AerExecutor(device=word)


@pytest.mark.parametrize("word", ["cuda:1", torch.device("cuda", 1)])
def test_another_gpu_is_refused_with_the_way_out(word):
    with pytest.raises(ArgumentError, match=r"`device`.*cuda:1.*CUDA_VISIBLE_DEVICES=1"):
        ho.AerExecutor(device=word)


@pytest.mark.parametrize("word", ["mps", "tpu", "cud"])
def test_other_words_are_refused(word):
    with pytest.raises(UnknownNameError, match=f"device '{word}'.*CPU, GPU, auto"):
        ho.AerExecutor(device=word)


def quantum():
    return ho.to_quantum(torch.nn.Linear(4, 3))


@pytest.mark.parametrize("device", ["GPU", "gpu"])
def test_fit_and_executor_are_not_confused(device, aer_calls):
    with pytest.raises(ArgumentError, match=r"`device` of `fit`.*torch.*\(CPU\).*device=\"GPU\""):
        ho.fit(quantum(), "iris", device=device)
    assert aer_calls == []


@pytest.mark.skipif(torch.cuda.is_available(), reason="torch finds a GPU")
def test_the_error_of_torch_names_the_device_of_the_circuits():
    with pytest.raises(DeviceError, match=r"available to torch .*executor \(CPU\)"):
        ho.fit(quantum(), "iris", device="cuda")
    with pytest.raises(DeviceError) as caught:
        ho.fit(torch.nn.Linear(4, 3), "iris", device="GPU")  # without circuits, it is torch's
    assert "circuits" not in str(caught.value)


def test_devices_that_agree_are_accepted():
    data = ho.load_dataset("iris", seed=0)
    for device in ("cpu", "CPU", torch.device("cpu")):
        assert ho.fit(quantum(), data, epochs=1, device=device).status == "epochs"


def test_the_default_memory_is_that_of_the_smaller_one(fake_gpu, monkeypatch):
    monkeypatch.setattr(devices, "physical_memory", lambda: 200 * 10**9)
    assert AerExecutor("GPU").max_memory == 40 * 10**9
    assert AerExecutor("CPU").max_memory == 100 * 10**9
    assert "max_memory" not in AerExecutor("GPU").settings()
    assert AerExecutor("GPU", max_memory=10**9).settings()["max_memory"] == 10**9


def test_a_gpu_is_found_if_a_circuit_runs_there(monkeypatch):
    result = SimpleNamespace(success=True, metadata={"max_gpu_memory_mb": 81_559})

    class Simulator:
        def __init__(self, **options):
            assert options.get("target_gpus", [0]) == [0]
            self.result = lambda: result

        def available_devices(self):
            return ["CPU", "GPU"]

        def run(self, *_, **__):
            if result.success is None:
                raise RuntimeError("no driver")
            return self

    monkeypatch.setattr(devices, "AerSimulator", Simulator)
    for success, memory in ((True, 81_559 << 20), (False, 0), (None, 0)):
        result.success = success
        devices.gpu_memory.cache_clear()
        assert devices.gpu_memory() == memory
        assert devices.available_devices() == (("CPU", "GPU") if memory else ("CPU",))
        assert devices.checked_device("auto") == ("GPU" if memory else "CPU")
    with pytest.raises(DeviceError, match="`device`"):
        devices.checked_device("GPU")
    devices.gpu_memory.cache_clear()


def test_matrix_product_states_run_on_the_cpu(fake_gpu):
    with pytest.raises(UnsupportedError, match="`device`"):
        AerExecutor("GPU", method="matrix_product_state")
    assert AerExecutor("auto", method="matrix_product_state").device == "CPU"
    assert AerExecutor("auto").device == "GPU"
