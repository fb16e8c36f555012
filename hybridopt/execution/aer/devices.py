"""Devices on which Aer simulates: the CPU, or a GPU."""

from __future__ import annotations

from qiskit_aer import AerSimulator

from hybridopt import _validation
from hybridopt.errors import ArgumentError, DeviceError

DEVICES = ("CPU", "GPU", "auto")
NAMES = {"cpu": "CPU", "gpu": "GPU", "cuda": "GPU", "auto": "auto"}


def available_devices() -> tuple[str, ...]:
    """Return the devices that the installed build of Aer can use on this machine."""
    return tuple(AerSimulator().available_devices())


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


def checked_device(device: object) -> str:
    """Return ``"CPU"`` or ``"GPU"``; raise DeviceError if Aer finds no GPU."""
    known = device_name(device)
    has_gpu = known != "CPU" and "GPU" in available_devices()
    if known == "GPU" and not has_gpu:
        raise DeviceError(
            "`device` must be 'CPU' or 'auto', as this build of Aer finds no GPU (got 'GPU'). For "
            "its GPU build run `pip uninstall qiskit-aer`, then `pip install qiskit-aer-gpu`."
        )
    return "GPU" if has_gpu else "CPU"
