"""What bad inputs are made of: networks, circuits and files, one argument of which is bad."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import torch
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit_aer.noise import NoiseModel, depolarizing_error
from torch import nn

import hybridopt as ho
from hybridopt.optim import Newton

Call = Callable[[Path], object]
X = torch.randn(12, 3, generator=torch.Generator().manual_seed(1))
Y = torch.arange(12) % 3
NAN, INF = math.nan, math.inf


def net() -> nn.Module:
    """Three features, three classes."""
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 3))


def memory(**options: object) -> ho.QuantumNetwork:
    """That network in a circuit."""
    return ho.to_quantum(net(), **options)


def fit(x: object = X, y: object = Y, network: object = None, **arguments: object) -> object:
    """`fit` on a circuit, one argument of which is bad."""
    return ho.fit(memory() if network is None else network, (x, y), epochs=1, **arguments)


def at(tensor: torch.Tensor, row: int, value: float) -> torch.Tensor:
    """With another value in one row."""
    changed = tensor.clone()
    changed[row] = value
    return changed


def circuit(num_qubits: int = 3) -> tuple[QuantumCircuit, list, list]:
    """An input and a weight a qubit."""
    inputs, weights = ParameterVector("x", num_qubits), ParameterVector("w", num_qubits)
    made = QuantumCircuit(num_qubits)
    for qubit in range(num_qubits):
        made.ry(inputs[qubit], qubit)
        made.rx(weights[qubit], qubit)
    return made, list(inputs), list(weights)


def layer(**changes: object) -> ho.CircuitLayer:
    """A layer of that circuit, one argument of which is bad."""
    made, inputs, weights = circuit()
    arguments = {
        "circuit": made,
        "input_parameters": inputs,
        "weight_parameters": weights,
        "observables": ["ZII", "IZI"],
    }
    return ho.CircuitLayer(**{**arguments, **changes})


def measured() -> QuantumCircuit:
    """A circuit that measures in its middle."""
    made = QuantumCircuit(2, 1)
    made.h(0)
    made.measure(0, 0)
    made.cx(0, 1)
    return made


def noise() -> NoiseModel:
    """Depolarizing CX."""
    model = NoiseModel()
    model.add_all_qubit_quantum_error(depolarizing_error(0.01, 2), ["cx"])
    return model


def written(folder: Path, text: str | bytes, name: str = "file.qasm") -> Path:
    """A file with this content."""
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def qasm(folder: Path, body: str) -> object:
    """Load an OpenQASM 3 file of this body."""
    return ho.load_circuit(written(folder, f'OPENQASM 3.0;\ninclude "stdgates.inc";\n{body}'))


def truncated(folder: Path, keep: float) -> Path:
    """A saved network of which a part is missing."""
    path = ho.save(memory(), folder / "network.ho")
    path.write_bytes(path.read_bytes()[: int(keep * path.stat().st_size)])
    return path


def newton(**arguments: object) -> Newton:
    """An optimizer of one weight."""
    return Newton([nn.Parameter(torch.ones(3))], **arguments)


def newton_step(closure: Callable[[], object]) -> object:
    """A step with this closure."""
    return newton().step(closure)


def frozen() -> nn.Module:
    """Nothing to train."""
    return net().requires_grad_(False)


def infinite() -> nn.Module:
    """One weight is infinite."""
    network = net()
    with torch.no_grad():
        network[0].weight[1, 1] = INF
    return network
