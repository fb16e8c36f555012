"""Peak memory of jobs above the process after import, one line of JSON per case.

Run by `test_max_memory.py` in a process of its own, because a peak counts the whole process.
"""

from __future__ import annotations

import gc
import json
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from qiskit.circuit import ParameterVector, QuantumCircuit
from qiskit.quantum_info import SparsePauliOp
from qiskit_aer.noise import NoiseModel, depolarizing_error

import hybridopt as ho
from hybridopt.bridges.memory.circuit import MemoryProgram
from hybridopt.circuits import lower
from hybridopt.errors import ResourceError
from hybridopt.execution import Expectations, Job, Probabilities
from hybridopt.qiskit_ml import AerEstimator, AerSampler

Case = Callable[[int, int], object]  # qubits, max_memory


def circuit(num_qubits: int) -> tuple[QuantumCircuit, list, list]:
    x, w = ParameterVector("x", 1), ParameterVector("w", 2)
    one = QuantumCircuit(num_qubits)
    for qubit in range(num_qubits):
        one.ry(0.3 + 0.1 * qubit, qubit)
    one.rx(x[0], 0)
    one.ry(w[0], 1)
    one.cx(0, num_qubits - 1)
    one.ry(w[1], num_qubits - 1)
    return one, list(x), list(w)


def observables(num_qubits: int) -> list[SparsePauliOp]:
    letters = np.random.default_rng(0).choice(list("IXYZ"), (4, num_qubits))
    return [SparsePauliOp(["".join(one) for one in letters], np.arange(1.0, 5)), "Z" * num_qubits]


def layer(readout: str, rule: str = "parameter-shift", **options: object) -> Case:
    def run(num_qubits: int, memory: int) -> None:
        read = observables(num_qubits) if readout == "values" else None
        executor = ho.AerExecutor(max_memory=memory, seed=0, **options)
        one = ho.CircuitLayer(*circuit(num_qubits), read, executor, rule)
        one(torch.rand(3, 1)).square().sum().backward()

    return run


def job(strategy: str) -> Case:
    def run(num_qubits: int, memory: int) -> None:
        program = lower(*circuit(num_qubits))
        readout = Expectations(tuple(map(SparsePauliOp, observables(num_qubits))))
        rows, shared = np.ones((2, 1)), np.array([[0.1, 0.2], [0.1, 0.3], [0.2, 0.2]])
        executor = ho.AerExecutor(max_memory=memory, strategy=strategy)
        executor.run(Job(program, readout, rows, shared))
        executor.run(Job(program, Probabilities((0, 1)), rows, shared))

    return run


def sums(num_qubits: int, memory: int) -> None:
    """Run a table of shifts with the least memory in which states are added."""
    program = lower(*circuit(num_qubits))
    readout = Expectations(tuple(map(SparsePauliOp, observables(num_qubits))))
    shared = np.array([[0.1, 0.2]] * 9 + [[0.1, 1.7], [0.1, -1.4], [1.7, 0.2], [-1.4, 0.2]])
    shared[:6, 1] += np.arange(6)  # many values of one angle
    executor = ho.AerExecutor(max_memory=memory, strategy="checkpoints")
    for read in (readout, Probabilities()):
        one = Job(program, read, np.ones((2, 1)), shared)
        if "numpy adds" not in executor.explain(one):
            raise ResourceError("`max_memory` is too small for sums.")
        executor.run(one)


def bridge(name: str, **options: object) -> Case:
    def run(num_qubits: int, memory: int) -> None:
        sizes = (num_qubits // 2,) * 2 if name == "mesh" else ((1 << num_qubits - 3) - 1, 4)
        network = torch.nn.Linear(*sizes)
        executor = ho.AerExecutor(max_memory=memory, seed=0, **options)
        quantum = ho.to_quantum(network, name, executor=executor)
        outputs = quantum(torch.rand(2, network.in_features))
        if name != "mesh":  # its many shifts are those of a circuit layer
            outputs.sum().backward()

    return run


def whole_multiplexer(num_qubits: int, memory: int) -> None:
    program = MemoryProgram(num_qubits - 1)
    angles = np.full((1, program.num_shared_angles), 0.3)
    readout = Expectations(tuple(map(SparsePauliOp, observables(num_qubits))))
    ho.AerExecutor(max_memory=memory).run(Job(program, readout, np.zeros((1, 0)), angles))


def estimator(num_qubits: int, memory: int) -> None:
    one, x, w = circuit(num_qubits)
    executor = ho.AerExecutor(max_memory=memory, shots=10, seed=0)
    pub = (one, observables(num_qubits), np.ones((2, 1, len(x + w))))
    AerEstimator(executor).run([pub]).result()


def sampler(num_qubits: int, memory: int) -> None:
    one, x, w = circuit(num_qubits)
    one.measure_all()
    executor = ho.AerExecutor(max_memory=memory)
    AerSampler(executor).run([(one, np.ones(len(x + w)))]).result()


def noise() -> NoiseModel:
    model = NoiseModel()
    model.add_all_qubit_quantum_error(depolarizing_error(0.01, 2), ["cx"])
    return model


CASES: dict[str, tuple[Case, int]] = {  # and qubits
    "values by shift": (layer("values"), 16),
    "probabilities by shift": (layer("probabilities"), 17),
    "values by adjoint": (layer("values", "adjoint"), 17),
    "probabilities by adjoint": (layer("probabilities", "adjoint"), 17),
    "sampled values": (layer("values", shots=10), 16),
    "sampled probabilities": (layer("probabilities", shots=10), 16),
    "table": (job("table"), 16),
    "checkpoints": (job("checkpoints"), 16),
    "checkpoints with sums": (sums, 16),
    "density matrix": (layer("values", noise_model=noise()), 9),
    "trajectories": (layer("values", noise_model=noise(), shots=2, method="statevector"), 16),
    "memory": (bridge("memory"), 16),
    "memory with shots": (bridge("memory", shots=10), 16),
    "memory in circuits": (bridge("memory", precision="single"), 16),
    "memory as a whole": (whole_multiplexer, 15),
    "mesh": (bridge("mesh"), 14),
    "generator": (bridge("generator"), 12),
    "estimator": (estimator, 17),
    "sampler": (sampler, 17),
}


def status(key: str) -> int:
    text = Path("/proc/self/status").read_text("ascii")
    return 1024 * int(next(line for line in text.splitlines() if line.startswith(key)).split()[1])


def measure(case: Case, num_qubits: int, memory: int) -> int | str:
    """Return the peak above the memory before the run [bytes], or the refusal."""
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5", "ascii")  # resets the peak
    before = status("VmRSS")
    try:
        case(num_qubits, memory)
    except ResourceError as error:
        return str(error)
    return status("VmHWM") - before


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    for name, (case, num_qubits) in CASES.items():
        if len(sys.argv) > 1 and name not in sys.argv[1:]:
            continue
        small = 8 if name.startswith("memory") else 4
        case(small, 1 << 30)  # imports, caches and code
        gc.collect()
        gc.freeze()  # a collection before each attempt is fast
        memory, refused = 8 << num_qubits, ""
        while isinstance(found := measure(case, num_qubits, memory), str):
            refused = found
            memory = int(1.3 * memory)
        sys.stdout.write(json.dumps([name, num_qubits, memory, found, refused]) + "\n")
        sys.stdout.flush()
