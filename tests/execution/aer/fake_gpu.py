"""A GPU for tests: Aer's kernels of the CPU, with the circuits and options of a GPU."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
import qiskit_aer
from qiskit import QuantumCircuit

from hybridopt.execution.aer import devices, simulator


@dataclass
class FakeGPU:
    """Record of the calls of a fake GPU."""

    circuits: list[QuantumCircuit] = field(default_factory=list)
    options: list[dict[str, Any]] = field(default_factory=list)
    made_with: list[dict[str, Any]] = field(default_factory=list)

    def saved(self) -> set[str]:
        """Return the names of all instructions that save data."""
        names = (item.name for one in self.circuits for item in one.data)
        return {name for name in names if name.startswith("save_")}


def installed(monkeypatch: pytest.MonkeyPatch) -> FakeGPU:
    """Let executors find a GPU of 80 GB, whose circuits run on the CPU with equal options."""
    record = FakeGPU()

    class Simulator(qiskit_aer.AerSimulator):
        on_gpu = False

        def run(self, circuits, **options):
            if self.on_gpu:
                record.circuits += circuits
                record.options.append(options)
            return super().run(circuits, **options)

    def make(**options):
        made = Simulator(**{**options, "device": "CPU"})
        made.on_gpu = options.get("device") == "GPU"
        if made.on_gpu:
            record.made_with.append(options)
        return made

    monkeypatch.setattr(simulator, "AerSimulator", make)
    monkeypatch.setattr(devices, "available_devices", lambda: ("CPU", "GPU"))
    monkeypatch.setattr(devices, "gpu_memory", lambda: 80 * 10**9)
    return record
