"""Read many damaged and hostile files in one process, and print how each ended.

Run it as a script: folder, then the kinds of files, each with a number of files, as in
``networks=120``. All changes have seeds.
"""

from __future__ import annotations

import collections
import copy
import json
import random
import resource
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from qiskit.circuit.library import real_amplitudes, zz_feature_map
from torch import nn

import hybridopt as ho
from hybridopt.circuits.loading import gallery_folder
from hybridopt.errors import HybridOptError
from hybridopt.storage import archive
from hybridopt.storage.torch_file import dump

MOST_BYTES = 6 << 30  # of the process
VALUES = [
    *(None, True, -1, 0, 1.5, float("nan"), float("inf"), 10**30, 10**9, "", "x", [], {}, [1]),
    *({"a": 1}, {"tuple": [1]}, {"bridge": {}}, "../../etc/passwd", "torch.nn.Module"),
]
TENSORS = [torch.tensor(torch.nan), torch.zeros(0), torch.zeros(3, 3), torch.zeros(2).long()]
DATA = torch.randn(24, 3, generator=torch.Generator().manual_seed(0))
TARGETS = (DATA.sum(1) > 0).long()
Case = tuple[str, Callable[[], object]]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the paths of all parts of nested dicts and lists."""
    if path:
        yield path
    if isinstance(value, dict | list):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for key, part in list(pairs)[:40]:
            yield from places(part, (*path, key))


def with_other_values(rng: random.Random, content: Any, values: list[Any]) -> Any:
    """Return nested dicts and lists with one to three parts changed or deleted."""
    for _ in range(rng.choice([1, 1, 2, 3])):
        *path, last = rng.choice(list(places(content)) or [(None,)])
        owner = content
        for key in path:
            owner = owner[key]
        if last is None:
            break
        if rng.random() < 0.25:
            del owner[last]
        else:
            owner[last] = copy.deepcopy(rng.choice(values))
    return content


def with_other_bytes(rng: random.Random, content: bytes) -> bytes:
    """Return bytes with a few replaced, removed and inserted."""
    changed = bytearray(content)
    for _ in range(rng.choice([1, 1, 2, 8])):
        place = rng.randrange(len(changed)) if changed else 0
        size = rng.randrange(1, 12)
        kind = rng.choice("rrrdi")
        changed[place : place + {"r": 1, "d": size, "i": 0}[kind]] = (
            b"" if kind == "d" else rng.randbytes(1 if kind == "r" else size)
        )
    return bytes(changed)


def networks(folder: Path, rng: random.Random, count: int) -> Iterator[Case]:
    """Yield changed files of `hybridopt.save` with right digests."""
    executor = ho.AerExecutor(shots=100, seed=1)
    circuit, weights = zz_feature_map(3), real_amplitudes(3)
    parameters = circuit.parameters, weights.parameters
    layer = ho.CircuitLayer(circuit.compose(weights), *parameters, ["ZII", "IZI"])
    mlp = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3))
    modules = [
        ho.to_quantum(mlp, executor=executor),
        nn.Sequential(nn.Linear(4, 3), layer, nn.Linear(2, 3)),
        ho.to_quantum(nn.Linear(3, 2), bridge="mesh", gradient="adjoint"),
    ]
    path = folder / "network.ho"
    stored = [archive.read_archive(ho.save(module, path)) for module in modules]
    for number in range(count):
        members = dict(rng.choice(stored))
        if number % 2:
            meta = with_other_values(rng, json.loads(members[archive.FIRST]), VALUES)
            members[archive.FIRST] = json.dumps(meta).encode()
        else:
            name = rng.choice(list(members))
            members[name] = with_other_bytes(rng, members[name])
        archive.write_archive(path, members)
        yield f"network {number}", lambda: ho.load(path)


def checkpoints(folder: Path, rng: random.Random, count: int) -> Iterator[Case]:
    """Yield changed checkpoints, half of them with right digests."""
    path = folder / "run.pt"

    def fit(epochs: int) -> object:
        torch.manual_seed(0)
        network = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
        quantum = ho.to_quantum(network, executor=ho.AerExecutor(shots=64, seed=1))
        options: dict[str, Any] = {"batch_size": 12, "scheduler": "cosine", "checkpoint": path}
        return ho.fit(quantum, (DATA, TARGETS), epochs=epochs, **options)

    path.unlink(missing_ok=True)
    fit(2)
    content = path.read_bytes()
    state = torch.load(path, weights_only=True)
    for number in range(count):
        if number % 2:
            changed = with_other_values(rng, copy.deepcopy(state), VALUES + TENSORS)
            path.write_bytes(archive.signed(dump(changed)))
        else:
            path.write_bytes(with_other_bytes(rng, content))
        yield f"checkpoint {number}", lambda: fit(3)


def studies(folder: Path, rng: random.Random, count: int) -> Iterator[Case]:
    """Yield changed studies, half of them without a digest."""
    network = nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 2))
    options: dict[str, Any] = {"methods": ["adam", "sgd"], "budget": "1 epoch", "tuning": None}
    study = ho.compare(network, (DATA, TARGETS), seeds=2, **options)
    path = study.save(folder / "study.json")
    content = path.read_bytes()
    plain = json.loads(content)
    del plain["sha256"]

    def read() -> None:
        again = ho.load_study(path)
        str(again.table())
        again.recommend()

    for number in range(count):
        changed = with_other_values(rng, copy.deepcopy(plain), VALUES)
        other = with_other_bytes(rng, content)
        path.write_bytes(json.dumps(changed).encode() if number % 2 else other)
        yield f"study {number}", read


def circuits(folder: Path, rng: random.Random, count: int) -> Iterator[Case]:
    """Yield changed circuits of the gallery."""
    files = [path.read_bytes() for path in sorted(gallery_folder().glob("*.qasm"))]
    path = folder / "circuit.qasm"
    for number in range(count):
        path.write_bytes(with_other_bytes(rng, rng.choice(files)))
        yield f"circuit {number}", lambda: ho.load_circuit(path)


KINDS = {one.__name__: one for one in (networks, checkpoints, studies, circuits)}


def outcome(read: Callable[[], object]) -> str:
    """Read a file; return how it ended."""
    try:
        read()
    except HybridOptError:
        return "refused"
    except BaseException as error:  # noqa: BLE001  also panics of Rust; all are reported
        own = [f for f in traceback.extract_tb(error.__traceback__) if "hybridopt" in f.filename]
        return f"{type(error).__name__}: {error!s:.100} at {own[-1].filename}:{own[-1].lineno}"
    return "read"


def peak() -> int:
    """Return the largest memory of the process until now [bytes]."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def report(folder: Path, kind: str, count: int) -> dict[str, Any]:
    """Return the ends of all files of a kind, and the memory above that of the first."""
    found: collections.Counter[str] = collections.Counter()
    slowest, before = 0.0, 0
    for name, read in KINDS[kind](folder, random.Random(0), count):
        before = before or peak()  # after all imports
        started = time.process_time()
        ended = outcome(read)
        slowest = max(slowest, time.process_time() - started)
        found[ended if ended in {"read", "refused"} else f"{name}: {ended}"] += 1
    return {"outcomes": found, "slowest": slowest, "peak": peak() - before}


def main() -> None:
    """Print a report for each kind as JSON."""
    folder, *tasks = sys.argv[1:]
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
    pairs = [task.split("=") for task in tasks]
    reports = {kind: report(Path(folder), kind, int(count)) for kind, count in pairs}
    sys.stdout.write(json.dumps(reports))


if __name__ == "__main__":
    main()
