"""The circuits of a network as QPY and OpenQASM 3 files."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

from qiskit import QuantumCircuit, qasm3, qpy
from torch import nn

from hybridopt._files import write_bytes
from hybridopt.bridges import QuantumNetwork, WeightNetwork
from hybridopt.errors import ArgumentError
from hybridopt.nn import CircuitLayer


def circuits_to_write(
    module: nn.Module, qpy_path: Path | None, qasm_path: Path | None
) -> dict[Path, bytes]:
    """Contents of the files that were asked for; nothing is written.

    Several circuits are one QPY file, and an OpenQASM file each, with their names.

    Raises:
        ArgumentError: If there is no circuit, as in a control.
    """
    contents: dict[Path, bytes] = {}
    if qpy_path is None and qasm_path is None:
        return contents
    circuits = gate_circuits(module)
    if not circuits:
        raise ArgumentError("The network has no circuit that could be written: it is a control.")
    if qpy_path is not None:
        raw = io.BytesIO()
        qpy.dump(list(circuits.values()), raw)
        contents[qpy_path] = raw.getvalue()
    if qasm_path is not None:
        for name, circuit in circuits.items():
            several = f"-{name.replace('[', '-').replace(']', '')}" if len(circuits) > 1 else ""
            path = qasm_path.with_stem(qasm_path.stem + several)
            contents[path] = qasm3.dumps(circuit).encode()
    return contents


def write_circuits(contents: Mapping[Path, bytes]) -> list[Path]:
    """Write each file whole."""
    return [write_bytes(path, content) for path, content in contents.items()]


def gate_circuits(module: nn.Module) -> dict[str, QuantumCircuit]:
    """The circuits of a module's quantum networks and circuit layers in gates, by name."""
    circuits: dict[str, QuantumCircuit] = {}
    inside: set[nn.Module] = set()  # of a quantum network, whose circuits are its own
    for path, part in module.named_modules():
        if part in inside:
            continue
        if isinstance(part, QuantumNetwork):
            inside.update(part.modules())
            named = part.circuits()
            if isinstance(part, WeightNetwork) and named:
                named = {"": part.circuit(synthesis="gates")}
            circuits.update({".".join(filter(None, (path, n))): c for n, c in named.items()})
        elif isinstance(part, CircuitLayer):
            circuits[path] = part.circuit
    return circuits
