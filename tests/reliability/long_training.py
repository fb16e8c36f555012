"""Hundreds of gradient steps in several ways, and what the process holds on the way.

Run as ``python long_training.py``: in a process of its own, without the checks of the tests, whose
caches grow. It prints, for each way, the number of objects and the resident bytes after each window
of steps.
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

STEPS, WINDOW = 240, 60
Account = tuple[int, int]


def account() -> Account:
    """Objects that the garbage collector knows, and resident memory [bytes]."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # what is free goes back, or heaps seem to grow for long
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return len(gc.get_objects()), pages * 4096


def memory_bridge(**options: object) -> tuple[nn.Module, Tensor]:
    """165 weights in nine qubits."""
    network = nn.Sequential(nn.Linear(10, 10), nn.Tanh(), nn.Linear(10, 5))
    executor = ho.AerExecutor(seed=1, **options)
    return ho.to_quantum(network, executor=executor), torch.randn(8, 10)


def carried(bridge: str, **options: object) -> tuple[nn.Module, Tensor]:
    """15 weights in circuits."""
    executor = ho.AerExecutor(seed=1)
    return ho.to_quantum(nn.Linear(4, 3), bridge, executor=executor, **options), torch.randn(4, 4)


def circuit_layer(gradient: str, **options: object) -> tuple[nn.Module, Tensor]:
    """Six weights on three qubits."""
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
    "mesh": lambda: carried("mesh", gradient="adjoint"),
    "generator": lambda: carried("generator", depth=2),
    "spsa": lambda: circuit_layer("spsa"),
}


def step_by_step(make: Callable[[], tuple[nn.Module, Tensor]]) -> list[Account]:
    """A loop of the user's own."""
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
    """8 epochs of 100 steps; each leaves a record in the history."""
    x, accounts = torch.randn(200, 3), []

    def note(record: object, network: nn.Module) -> None:
        if record.epoch % 2 == 0:
            accounts.append(account())

    ho.fit(nn.Linear(3, 2), (x, x[:, :2]), epochs=8, batch_size=2, callbacks=[note])
    return accounts


if __name__ == "__main__":
    torch.set_num_threads(1)
    gc.freeze()  # what is there before is not looked at again
    chosen = sys.argv[1:] or ["fit", *WAYS]
    found = {way: with_fit() if way == "fit" else step_by_step(WAYS[way]) for way in chosen}
    sys.stdout.write(json.dumps(found))
