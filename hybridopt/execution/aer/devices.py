"""Devices on which Aer simulates: the CPU, or a GPU."""

from __future__ import annotations

from qiskit_aer import AerSimulator

from hybridopt import _validation
from hybridopt.errors import DeviceError

DEVICES = ("CPU", "GPU", "auto")


def available_devices() -> tuple[str, ...]:
    """Return the devices that the installed build of Aer can use on this machine."""
    return tuple(AerSimulator().available_devices())


def checked_device(device: object) -> str:
    """Return ``"CPU"`` or ``"GPU"``; raise DeviceError if Aer finds no GPU."""
    names = {name.lower(): name for name in DEVICES}
    known = _validation.choice("device", names.get(str(device).lower(), device), DEVICES)
    has_gpu = known != "CPU" and "GPU" in available_devices()
    if known == "GPU" and not has_gpu:
        raise DeviceError(
            "`device` must be 'CPU' or 'auto', as this build of Aer finds no GPU (got 'GPU'). For "
            "its GPU build run `pip uninstall qiskit-aer`, then `pip install qiskit-aer-gpu`."
        )
    return "GPU" if has_gpu else "CPU"
