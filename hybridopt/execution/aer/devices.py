"""Devices on which Aer simulates: the CPU, or a GPU."""

from __future__ import annotations

from functools import cache

from qiskit import QuantumCircuit
from qiskit_aer import AerError, AerSimulator

from hybridopt import _validation
from hybridopt.errors import ArgumentError, DeviceError, UnsupportedError
from hybridopt.execution.aer.gpu import ONE_GPU
from hybridopt.execution.memory_budget import physical_memory

DEVICES = ("CPU", "GPU", "auto")
NAMES = {"cpu": "CPU", "gpu": "GPU", "cuda": "GPU", "auto": "auto"}


def available_devices() -> tuple[str, ...]:
    """Return the devices that the installed build of Aer can use on this machine.

    Aer's GPU build names a GPU on every machine, so a circuit is run there once.
    """
    names = AerSimulator().available_devices()
    return tuple(name for name in names if name != "GPU" or gpu_memory() > 0)


def device_name(device: object) -> str:
    """Return ``"CPU"``, ``"GPU"`` or ``"auto"``, also for words of torch such as ``"cuda:0"``.

    Aer does not select a GPU by its number.
    """
    kind, _, number = str(device).lower().partition(":")
    known = _validation.choice("device", NAMES.get(kind, device), DEVICES)
    if number not in {"", "0"}:
        raise ArgumentError(
            f'`device` must be "GPU" or "cuda:0" (got "{device}"): Aer takes the GPUs that CUDA '
            f"shows. Set the environment variable CUDA_VISIBLE_DEVICES={number}."
        )
    return known


def checked_device(device: object, method: str = "automatic") -> str:
    """Return ``"CPU"`` or ``"GPU"``; raise an error if the method cannot run there.

    Raises:
        ArgumentError: If the device is unknown.
        DeviceError: If Aer finds no GPU.
        UnsupportedError: If the method runs on CPUs only.
    """
    known = device_name(device)
    on_cpu = method == "matrix_product_state"
    if known == "GPU" and on_cpu:
        raise UnsupportedError(
            f"`device` must be 'CPU' or 'auto' for method {method!r} (got 'GPU'): Aer runs it on "
            "CPUs only. Choose another method, or omit `device`."
        )
    has_gpu = known != "CPU" and "GPU" in available_devices()
    if known == "GPU" and not has_gpu:
        raise DeviceError(
            "`device` must be 'CPU' or 'auto', as this build of Aer finds no GPU (got 'GPU'). For "
            "its GPU build run `pip uninstall qiskit-aer`, then `pip install qiskit-aer-gpu`."
        )
    return "GPU" if has_gpu and not on_cpu else "CPU"


def default_memory(device: str) -> int:
    """Return half of the memory of the machine [bytes], or of its GPU if that has less.

    States are in the memory of the GPU; their copies and the results are in that of the machine.
    """
    sizes = [physical_memory(), *([gpu_memory()] if device == "GPU" else [])]
    return min(sizes) // 2


@cache
def gpu_memory() -> int:
    """Return the memory of the first GPU [bytes], which Aer names in results; 0 without one."""
    circuit = QuantumCircuit(1)
    circuit.save_statevector()
    try:
        simulator = AerSimulator(method="statevector", device="GPU", **ONE_GPU)
        result = simulator.run(circuit, shots=1).result()
    except (AerError, RuntimeError):  # another build, or no driver
        return 0
    if not result.success:
        return 0
    return int(result.metadata["max_gpu_memory_mb"]) << 20
