"""Programs of all kinds: of lowered circuits, bridges, devices, amplitudes and users."""

from __future__ import annotations

from typing import Any

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter, ParameterVector
from qiskit.circuit import library as lib

from hybridopt.bridges.generator.circuit import ry_ladder
from hybridopt.bridges.memory.circuit import MemoryProgram, chain_program
from hybridopt.bridges.mesh.circuit import mesh_program
from hybridopt.bridges.mesh.decomposition import MeshShape
from hybridopt.circuits import lower
from hybridopt.circuits.amplitudes import AmplitudeEncoding
from hybridopt.circuits.lowering import lower_gates
from hybridopt.circuits.program import Program
from tests.circuits.families import FAMILIES

NATIVE = frozenset({"u", "cx", "rz", "sx", "delay"})


class TwoCircuits:
    """Program of a user, which does not inherit from `Program`."""

    num_qubits, num_row_angles, num_shared_angles = 3, 2, 1

    def __init__(self, gate: str = "ry", entangled: tuple[int, int] = (0, 2)) -> None:
        self.gate, self.entangled = gate, entangled

    def bind(self, row: np.ndarray, shared: np.ndarray) -> QuantumCircuit:
        circuit = QuantumCircuit(3)
        circuit.rx(float(row[0] - row[1]), 1)
        circuit.cx(*self.entangled)
        getattr(circuit, self.gate)(float(shared[0]), 2)
        return circuit

    simulator_circuit = bind

    def working_memory(self) -> int:
        return 1 << 20


class Inheriting(TwoCircuits, Program):
    """The same, inheriting."""


def native_program() -> Any:
    x, w = Parameter("x"), Parameter("w")
    circuit = QuantumCircuit(3)
    circuit.u(0.3, x, w, 1)
    circuit.cx(1, 0)
    circuit.delay(16, 2)
    circuit.append(lib.RZGate(w, label="slow"), [2])
    circuit.sx(0)
    return lower_gates(circuit, [x], native=NATIVE, device_qubits=(4, 2, 3))


def amplitude_program(qubits: tuple[int, ...] = (2, 0)) -> Any:
    x = ParameterVector("x", 4)
    circuit = QuantumCircuit(3)
    circuit.append(AmplitudeEncoding(list(x)), qubits)
    circuit.cx(0, 1)
    return lower(circuit, list(x))


def programs() -> dict[str, Any]:
    """Return programs of all kinds, made again in each call."""
    made = {one.name: lower(one.circuit, one.inputs, one.weights) for one in FAMILIES}
    for feed in ("data", "basis", "reference", 1):
        for native in (False, True):
            made[f"mesh {feed} {native}"] = mesh_program(MeshShape(3, 2), feed, native=native)
    for m in (2, 3):
        made[f"multiplexer {m}"], made[f"gates {m}"] = MemoryProgram(m), MemoryProgram(m, "gates")
        made[f"chain {m}"] = chain_program(m)[0]
    made["sparse"], made["sparse chain"] = (
        MemoryProgram(3, "gates", (1, 6)),
        chain_program(3, (1, 6))[0],
    )
    ladder = ry_ladder(3, 7)
    made["generator"] = lower(ladder, (), tuple(ladder.parameters))
    made["native"], made["amplitudes"] = native_program(), amplitude_program()
    return {**made, "user": TwoCircuits(), "other": Inheriting("rz")}
