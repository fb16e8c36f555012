"""Memory of the process during hundreds of gradient steps of several kinds.

Run ``python long_training.py`` in a separate process, because the shape checks of the tests have
caches that grow. For each kind, it prints the number of objects and the resident bytes after each
window of steps.
"""

from __future__ import annotations

import ctypes
import gc
import json
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from qiskit.circuit.library import real_amplitudes, zz_feature_map
from torch import Tensor, nn

import hybridopt as ho

STEPS, WINDOW = 160, 40
Account = tuple[int, int]


def account() -> Account:
    """Return the number of objects of the garbage collector and the resident memory [bytes]."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # otherwise free memory counts as resident
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return len(gc.get_objects()), pages * 4096


def memory_bridge(**options: object) -> tuple[nn.Module, Tensor]:
    """Return a memory of 165 weights in nine qubits, and inputs."""
    network = nn.Sequential(nn.Linear(10, 10), nn.Tanh(), nn.Linear(10, 5))
    executor = ho.AerExecutor(seed=1, **options)
    return ho.to_quantum(network, executor=executor), torch.randn(8, 10)


def converted(bridge: str, **options: object) -> tuple[nn.Module, Tensor]:
    """Return a layer of 15 weights in circuits, and inputs."""
    executor = ho.AerExecutor(seed=1)
    return ho.to_quantum(nn.Linear(4, 3), bridge, executor=executor, **options), torch.randn(4, 4)


def circuit_layer(gradient: str, **options: object) -> tuple[nn.Module, Tensor]:
    """Return a circuit layer of six weights on three qubits, and inputs."""
    features, ansatz = zz_feature_map(3, reps=1), real_amplitudes(3, reps=1)
    layer = ho.CircuitLayer(
        features.compose(ansatz), features.parameters, ansatz.parameters, ["ZII", "IZI"],
        executor=ho.AerExecutor(seed=1, **options), gradient=gradient,
    )  # fmt: skip
    return layer, torch.rand(4, 3)


WAYS: dict[str, Callable[[], tuple[nn.Module, Tensor]]] = {
    "memory": memory_bridge,
    "memory with shots": lambda: memory_bridge(shots=100),
    "parameter-shift": lambda: circuit_layer("parameter-shift"),
    "parameter-shift with shots": lambda: circuit_layer("parameter-shift", shots=50),
    "adjoint": lambda: circuit_layer("adjoint"),
    "mesh": lambda: converted("mesh", gradient="adjoint"),
    "generator": lambda: converted("generator", depth=2),
    "spsa": lambda: circuit_layer("spsa"),
}


def step_by_step(make: Callable[[], tuple[nn.Module, Tensor]]) -> list[Account]:
    """Train in a loop and return the memory after each window."""
    torch.manual_seed(0)
    network, x = make()
    optimizer, accounts = torch.optim.Adam(network.parameters(), lr=0.01), []
    for step in range(1, STEPS + 1):
        optimizer.zero_grad()
        network(x).square().sum().backward()
        optimizer.step()
        if step % WINDOW == 0:
            accounts.append(account())
    return accounts


def with_fit() -> list[Account]:
    """Train 8 epochs of 100 steps with `fit`; each adds a record to the history."""
    x, accounts = torch.randn(200, 3), []

    def note(record: object, network: nn.Module) -> None:
        if record.epoch % 2 == 0:
            accounts.append(account())

    ho.fit(nn.Linear(3, 2), (x, x[:, :2]), epochs=8, batch_size=2, callbacks=[note])
    return accounts


if __name__ == "__main__":
    torch.set_num_threads(1)
    gc.freeze()  # objects of the imports are not scanned again
    chosen = sys.argv[1:] or ["fit", *WAYS]
    found = {way: with_fit() if way == "fit" else step_by_step(WAYS[way]) for way in chosen}
    sys.stdout.write(json.dumps(found))
