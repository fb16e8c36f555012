"""Errors of expectation values on fake devices: shots, readout mitigation, optimization levels.

Circuits of four qubits with random angles run with the noise of fake devices, and their expectation
values are compared with exact ones. A chain of CX needs few gates; with CX on all pairs, the
transpiler must add swaps. Readout errors stay, or are corrected by `readout_mitigation="inverse"`.
In the limit of many shots, only the error of the noise remains.

The second table has the primitives of IBM on one device, at level 1: the sampler in a
`PrimitiveExecutor`, and the estimator with twirled readout (TREX), dynamical decoupling (DD),
twirled gates and extrapolation to zero noise (ZNE).

    python examples/device_levels.py            # about 8 minutes on one core
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import torch
from many_runs import markdown, spread, write
from matplotlib.figure import Figure
from qiskit import QuantumCircuit
from qiskit.circuit.library import real_amplitudes
from qiskit.providers import BackendV2
from qiskit.quantum_info import SparsePauliOp
from qiskit.transpiler import generate_preset_pass_manager
from qiskit_ibm_runtime import fake_provider
from qiskit_ibm_runtime.executor_estimator import EstimatorV2
from qiskit_ibm_runtime.executor_sampler import SamplerV2
from rich.progress import track

import hybridopt as ho
from hybridopt.execution import Executor

NUM_QUBITS = 4
OBSERVABLES = ["IIIZ", "IIZI", "IZII", "ZIII", "IIZZ", "IZZI", "ZZII", "IIXX", "IXXI", "XXII"]
ENTANGLEMENT = {"chain": "linear", "all pairs": "full"}
LEVELS = (0, 1, 2, 3)
CORRECTIONS = (None, "inverse")
INK, COLORS = "#1f2933", {None: "#b45309", "inverse": "#2563eb"}
OPTIONS: dict[str, tuple[str, ...]] = {
    "sampler, not corrected": (),
    "sampler, inverse": ("inverse",),
    "estimator, not corrected": (),
    "TREX": ("TREX",),
    "DD": ("DD",),
    "twirled gates": ("twirled gates",),
    "ZNE, twirled gates": ("ZNE", "twirled gates"),
    "TREX, ZNE, twirled gates": ("TREX", "ZNE", "twirled gates"),
}


@dataclass(frozen=True)
class Plan:
    """Size of the experiment."""

    devices: tuple[str, ...] = ("FakeManilaV2", "FakeLagosV2", "FakeBrisbane")
    circuits: tuple[str, ...] = tuple(ENTANGLEMENT)
    levels: tuple[int, ...] = LEVELS
    shots: tuple[int | None, ...] = (250, 4000, None)
    options: tuple[str, ...] = tuple(OPTIONS)
    option_shots: int = 4096
    seeds: int = 3
    samples: int = 4  # sets of angles per seed


QUICK = Plan(
    ("FakeManilaV2",),
    ("chain",),
    (0, 3),
    (100, None),
    ("sampler, inverse", "TREX"),
    128,
    seeds=1,
    samples=2,
)


@dataclass(frozen=True)
class Row:
    """Error of one configuration.

    Attributes:
        device: Name of the fake device.
        circuit: ``"chain"`` or ``"all pairs"``.
        level: Optimization level of the transpiler.
        correction: Correction of readout errors, or options of IBM's primitives.
        shots: Number of shots per setting; None for the limit of many shots.
        seed: Seed for angles, transpiler and shots.
        error: Root mean square error over angles and observables.
        two_qubit_gates: Number of two-qubit gates after transpilation.
        depth: Number of layers of gates after transpilation.
        seconds: CPU time of transpilation and runs [s].
    """

    device: str
    circuit: str
    level: int
    correction: str | None
    shots: int | None
    seed: int
    error: float
    two_qubit_gates: int
    depth: int
    seconds: float


def circuit_of(name: str) -> QuantumCircuit:
    """Return a circuit with free angles."""
    return real_amplitudes(NUM_QUBITS, ENTANGLEMENT[name], reps=2)


def angles_of(circuit: QuantumCircuit, samples: int, seed: int) -> torch.Tensor:
    """Return random sets of angles [rad]."""
    generator = np.random.default_rng(seed)
    return torch.from_numpy(generator.uniform(-np.pi, np.pi, (samples, circuit.num_parameters)))


def values_of(circuit: QuantumCircuit, angles: torch.Tensor, executor: Executor) -> torch.Tensor:
    """Return the expectation values, shape (samples, observables)."""
    parameters = list(circuit.parameters)
    with torch.no_grad():
        return ho.CircuitLayer(circuit, parameters, [], OBSERVABLES, executor)(angles)


def two_qubit_gates(circuit: QuantumCircuit) -> int:
    """Return the number of two-qubit gates."""
    return sum(len(item.qubits) == 2 for item in circuit.data if item.operation.name != "barrier")


def run(plan: Plan, device: BackendV2, name: str, level: int, seed: int) -> Iterator[Row]:
    """Yield one row per correction and number of shots."""
    circuit = circuit_of(name)
    angles = angles_of(circuit, plan.samples, seed)
    exact = values_of(circuit, angles, ho.AerExecutor())
    for correction, shots in product(CORRECTIONS, plan.shots):
        executor = ho.AerExecutor(
            shots=shots, noise_model=device, seed=seed, readout_mitigation=correction,
            optimization_level=level, seed_transpiler=seed,
        )  # fmt: skip
        started = time.process_time()
        values = values_of(circuit, angles, executor)
        seconds = time.process_time() - started
        placed = executor.place(circuit).circuit
        error = (values - exact).square().mean().sqrt().item()
        yield Row(
            type(device).__name__, name, level, correction, shots, seed, error,
            two_qubit_gates(placed), placed.depth(), seconds,
        )  # fmt: skip


def estimator_of(device: BackendV2, options: Sequence[str]) -> EstimatorV2:
    """Return IBM's estimator with only these options switched on."""
    estimator = EstimatorV2(mode=device)
    own = estimator.options
    own.resilience.measure_mitigation = own.twirling.enable_measure = "TREX" in options
    own.resilience.zne_mitigation = "ZNE" in options
    own.twirling.enable_gates = "twirled gates" in options
    own.dynamical_decoupling.enable = "DD" in options
    return estimator


def run_options(plan: Plan, device: BackendV2, name: str, seed: int) -> Iterator[Row]:
    """Yield one row per set of options of IBM's primitives, at optimization level 1."""
    circuit = circuit_of(name)
    angles = angles_of(circuit, plan.samples, seed)
    exact = values_of(circuit, angles, ho.AerExecutor()).numpy()
    manager = generate_preset_pass_manager(1, backend=device, seed_transpiler=seed)
    isa = manager.run(circuit)
    observables = [[SparsePauliOp(label).apply_layout(isa.layout)] for label in OBSERVABLES]
    for options in plan.options:
        started = time.process_time()
        if options.startswith("sampler"):
            executor = ho.PrimitiveExecutor(
                SamplerV2(mode=device), pass_manager=manager, shots=plan.option_shots,
                readout_mitigation="inverse" if "inverse" in OPTIONS[options] else None,
            )  # fmt: skip
            values = values_of(circuit, angles, executor).numpy()
        else:
            estimator = estimator_of(device, OPTIONS[options])
            pub = (isa, observables, angles.numpy())
            (result,) = estimator.run([pub], precision=plan.option_shots**-0.5).result()
            values = result.data.evs.T
        seconds = time.process_time() - started
        error = float(np.sqrt(np.mean((values - exact) ** 2)))
        yield Row(
            type(device).__name__, name, 1, options, plan.option_shots, seed, error,
            two_qubit_gates(isa), isa.depth(), seconds,
        )  # fmt: skip


def experiment(plan: Plan) -> list[Row]:
    """Run all configurations with every seed."""
    devices = [getattr(fake_provider, name)() for name in plan.devices]
    seeds = range(plan.seeds)
    tasks = list(product(devices, plan.circuits, plan.levels, seeds))
    rows = [row for task in track(tasks, "levels") for row in run(plan, *task)]
    own = list(product(devices[:1], plan.circuits, seeds))
    return rows + [row for task in track(own, "options") for row in run_options(plan, *task)]


def cell(rows: Sequence[Row]) -> str:
    """Return mean and standard deviation of the errors over seeds."""
    return "{:.3f} ± {:.3f}".format(*spread(row.error for row in rows))


def table_of(rows: Sequence[Row], plan: Plan) -> str:
    """Return two tables: of levels and shots, and of the options of IBM's estimator."""
    lines = []
    for device, circuit, level, correction in product(
        plan.devices, plan.circuits, plan.levels, CORRECTIONS
    ):
        own = [
            row
            for row in rows
            if (row.device, row.circuit, row.level, row.correction)
            == (device, circuit, level, correction)
        ]
        gates = statistics.fmean(row.two_qubit_gates for row in own)
        cells = [cell([row for row in own if row.shots == shots]) for shots in plan.shots]
        lines.append([device, circuit, f"{level}", correction or "none", f"{gates:.1f}", *cells])
    shots = ["many shots" if number is None else f"{number:,} shots" for number in plan.shots]
    first = markdown(["device", "circuit", "level", "correction", "2-qubit gates", *shots], lines)
    lines = []
    for circuit, options in product(plan.circuits, plan.options):
        own = [row for row in rows if (row.circuit, row.correction) == (circuit, options)]
        seconds = statistics.fmean(row.seconds for row in own)
        lines.append([options, circuit, cell(own), f"{seconds:.2f}"])
    return first + "\n" + markdown(["options", "circuit", "error", "CPU seconds"], lines)


def draw(rows: Sequence[Row], plan: Plan) -> Figure:
    """Plot the error against the level, one panel per device and circuit, for the most shots."""
    figure = Figure(figsize=(3.4 * len(plan.devices), 2.7 * len(plan.circuits)))
    figure.set_layout_engine("constrained")
    panels = figure.subplots(len(plan.circuits), len(plan.devices), sharey=True, squeeze=False)
    drawn = plan.shots[-2:]
    styles = dict(zip(drawn, ["--", "-"][-len(drawn) :], strict=True))
    for (i, circuit), (j, device) in product(enumerate(plan.circuits), enumerate(plan.devices)):
        axes = panels[i, j]
        for correction, shots in product(CORRECTIONS, drawn):
            key = (device, circuit, correction, shots)
            own = [r for r in rows if (r.device, r.circuit, r.correction, r.shots) == key]
            means, deviations = zip(
                *(spread(r.error for r in own if r.level == level) for level in plan.levels),
                strict=True,
            )
            label = "many shots" if shots is None else f"{shots:,} shots"
            axes.errorbar(
                plan.levels, means, deviations, color=COLORS[correction], linestyle=styles[shots],
                marker="o", markersize=3, linewidth=1.3, elinewidth=0.7,
                label=f"{correction or 'not corrected'}, {label}",
            )  # fmt: skip
        axes.set_title(f"{device}, {circuit}", loc="left", fontsize=9, color=INK)
        axes.set_xticks(plan.levels)
        axes.set_yscale("log")
        axes.set_yticks([0.02, 0.05, 0.1, 0.2, 0.5], ["0.02", "0.05", "0.1", "0.2", "0.5"])
        axes.minorticks_off()
        axes.spines[["top", "right"]].set_visible(False)
    for axes in panels[-1]:
        axes.set_xlabel("optimization level", fontsize=9, color=INK)
    figure.supylabel("rms error of expectation values", fontsize=9, color=INK)
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False, fontsize=8)
    return figure


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--output", type=Path, default=Path("results/device_levels"))
    parser.add_argument("--quick", action="store_true", help="one device, as a test of the script")
    given = parser.parse_args(arguments)
    plan = QUICK if given.quick else Plan()
    given.output.mkdir(parents=True, exist_ok=True)
    rows = experiment(plan)
    table = table_of(rows, plan)
    write(rows, table, given.output)
    print(table)
    draw(rows, plan).savefig(given.output / "device_levels.png", dpi=110)
    print(f"Written: {given.output}/runs.csv, table.md, device_levels.png")


if __name__ == "__main__":
    main()
