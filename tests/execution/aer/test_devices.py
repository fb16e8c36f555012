"""Devices that Aer can use, and their memory."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from hybridopt.errors import DeviceError, UnsupportedError
from hybridopt.execution import AerExecutor
from hybridopt.execution.aer import devices


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
