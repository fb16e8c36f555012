"""Parts of bad inputs: networks, circuits and files, of which one argument is bad."""

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
from hybridopt.errors import HybridOptError
from hybridopt.optim import Newton

Call = Callable[[Path], object]
Bad = dict[type[HybridOptError], dict[str, tuple[Call, str]]]
X = torch.randn(12, 3, generator=torch.Generator().manual_seed(1))
Y = torch.arange(12) % 3
NAN, INF = math.nan, math.inf


def net() -> nn.Module:
    """Return a network of three features and three classes."""
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 3))


def memory(**options: object) -> ho.QuantumNetwork:
    """Return that network in a circuit."""
    return ho.to_quantum(net(), **options)


def fit(x: object = X, y: object = Y, network: object = None, **arguments: object) -> object:
    """Run `fit` on a circuit with one bad argument."""
    return ho.fit(memory() if network is None else network, (x, y), epochs=1, **arguments)


def at(tensor: torch.Tensor, row: int, value: float) -> torch.Tensor:
    """Return the tensor with another value in one row."""
    changed = tensor.clone()
    changed[row] = value
    return changed


def circuit(num_qubits: int = 3) -> tuple[QuantumCircuit, list, list]:
    """Return a circuit with one input and one weight per qubit."""
    inputs, weights = ParameterVector("x", num_qubits), ParameterVector("w", num_qubits)
    made = QuantumCircuit(num_qubits)
    for qubit in range(num_qubits):
        made.ry(inputs[qubit], qubit)
        made.rx(weights[qubit], qubit)
    return made, list(inputs), list(weights)


def layer(**changes: object) -> ho.CircuitLayer:
    """Return a layer of that circuit with one bad argument."""
    made, inputs, weights = circuit()
    arguments = {
        "circuit": made,
        "input_parameters": inputs,
        "weight_parameters": weights,
        "observables": ["ZII", "IZI"],
    }
    return ho.CircuitLayer(**{**arguments, **changes})


def measured() -> QuantumCircuit:
    """Return a circuit with a mid-circuit measurement."""
    made = QuantumCircuit(2, 1)
    made.h(0)
    made.measure(0, 0)
    made.cx(0, 1)
    return made


def noise() -> NoiseModel:
    """Return a noise model with depolarizing CX gates."""
    model = NoiseModel()
    model.add_all_qubit_quantum_error(depolarizing_error(0.01, 2), ["cx"])
    return model


def written(folder: Path, text: str | bytes, name: str = "file.qasm") -> Path:
    """Write a file and return its path."""
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def qasm(folder: Path, body: str) -> object:
    """Load an OpenQASM 3 file with this body."""
    return ho.load_circuit(written(folder, f'OPENQASM 3.0;\ninclude "stdgates.inc";\n{body}'))


def truncated(folder: Path, keep: float) -> Path:
    """Save a network, truncate the file and return its path."""
    path = ho.save(memory(), folder / "network.ho")
    path.write_bytes(path.read_bytes()[: int(keep * path.stat().st_size)])
    return path


def newton(**arguments: object) -> Newton:
    """Return an optimizer of one tensor."""
    return Newton([nn.Parameter(torch.ones(3))], **arguments)


def newton_step(closure: Callable[[], object]) -> object:
    """Run one step with this closure."""
    return newton().step(closure)


def frozen() -> nn.Module:
    """Return a network with frozen weights only."""
    return net().requires_grad_(False)


def infinite() -> nn.Module:
    """Return a network with one infinite weight."""
    network = net()
    with torch.no_grad():
        network[0].weight[1, 1] = INF
    return network
