"""Main job: train a network classically, as a circuit, and again classically; run controls."""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

import torch
from qiskit import QuantumCircuit
from torch import nn

from hybridopt import _validation
from hybridopt._environment import torch_threads
from hybridopt.bridges import Memory, QuantumNetwork, WeightNetwork, to_classical, to_quantum
from hybridopt.bridges.memory.circuit import index_qubits
from hybridopt.bridges.readout_cache import without_readouts
from hybridopt.data import Dataset, load_dataset
from hybridopt.demo.executors import executor_from_text
from hybridopt.errors import ArgumentError, LimitError
from hybridopt.execution import AerExecutor, Cost, Executor
from hybridopt.execution.aer.devices import checked_device
from hybridopt.nn.network_spec import build_network
from hybridopt.optim import OPTIMIZERS
from hybridopt.training import History, fit
from hybridopt.training.batches import MINIBATCH

INFERENCE_REPETITIONS = 5
CLASSICAL_LR = 0.01
# A step changes a weight by about scale * lr. With a scale of 0.1 this is half of CLASSICAL_LR.
ANGLE_LR = 0.05
FINE_TUNING_LR = 0.003
MOVING_LR = 0.005  # controls without angles: SCALE * ANGLE_LR, the same step of a weight
SCALE = 0.1


@dataclass(frozen=True)
class RunSettings:
    """Settings of `hybridopt run`."""

    data: str = "digits"  # name of a dataset
    network: str = "auto"  # text for `build_network`
    optimizer: str = "adam"  # optimizer of all stages
    start_epochs: int = 1  # classical epochs before the circuit
    epochs: int = 5  # epochs on the circuit
    fine_tuning_epochs: int = 5  # classical epochs after the circuit
    shots: int | None = None  # shots per setting; None is exact
    shots_per_weight: int | None = None  # shots in multiples of the basis states of the index
    seed: int = 0  # seed of all random numbers
    executor: str | None = None  # text for `executor_from_text`; None is Aer
    device: str | None = None  # device of Aer; None is the CPU

    def __post_init__(self) -> None:
        _validation.choice("optimizer", self.optimizer, OPTIMIZERS)
        for name in ("start_epochs", "epochs", "fine_tuning_epochs"):
            _validation.integer(name, getattr(self, name), minimum=1)
        for name in ("shots", "shots_per_weight"):
            _validation.optional_integer(name, getattr(self, name), minimum=1)
        _validation.integer("seed", self.seed, minimum=0, maximum=2**63 - 1)  # the limit of torch
        if self.device is not None:
            checked_device(self.device)
            if self.executor is not None:
                raise ArgumentError(
                    f"`device` must be None for another executor (got {self.device!r}). Set the "
                    "device of an `AerExecutor` in your function."
                )
        if self.executor is not None and self.shots_per_weight is not None:
            raise ArgumentError(
                f"`shots_per_weight` must be None for another executor (got "
                f"{self.shots_per_weight}). Pass `shots`."
            )
        if self.shots is not None and self.shots_per_weight is not None:
            raise ArgumentError(
                f"`shots` or `shots_per_weight` must be None (got {self.shots} and "
                f"{self.shots_per_weight}). Pass one of them."
            )


@dataclass(frozen=True)
class Result:
    """Results of one stage or one control."""

    name: str  # name in results.json
    history: History
    test_metric: float  # accuracy or R^2 on the test part
    inference_seconds: float  # wall time for the test part; a circuit is evaluated once
    trainable: int  # number of trained parameters
    steps: int  # number of optimizer steps
    conversion_change: float | None = None  # largest change of a weight read from the circuit
    test_metric_before_fine_tuning: float | None = None  # only controls that replace the circuit

    @property
    def training_seconds(self) -> float:
        """Wall time of the training steps."""
        return sum(self.history.seconds)

    @property
    def cost(self) -> Cost:
        """Number of settings, shots and runs of training and evaluation."""
        return self.history.cost


@dataclass(frozen=True)
class RunOutcome:
    """Results of a main job, for its report."""

    settings: RunSettings
    data: Dataset
    metric_name: str  # "accuracy" or "r2"
    stages: list[Result]  # classical-start, quantum, fine-tuned
    controls: list[Result]  # classical, random-subspace, twin
    weights: dict[str, torch.Tensor]  # weight vectors after the stages, by name
    network: nn.Module  # fine-tuned network
    circuit: QuantumCircuit  # gates of the full form, with the weights after the quantum stage
    circuit_scales: dict[str, float]  # scales of the weight tensors in the circuit
    summary: str  # summary of the quantum network
    seconds: float  # wall time of the whole job


@torch_threads(1)
def run_main_job(settings: RunSettings, *, progress: bool = False) -> RunOutcome:
    """Run the stages and the controls without writing files; ``progress`` shows progress bars.

    Raises:
        KeyboardInterrupt: On Ctrl-C.
        HybridOptError: If data, network and settings do not match.
    """
    began = time.perf_counter()
    data = load_dataset(settings.data, seed=settings.seed)
    network = build_network(settings.network, data, seed=settings.seed)
    untrained = copy.deepcopy(network)
    job = _Job(settings, data, progress)
    job.executor(network)  # checks the number of shots before training
    device = job.device()
    start = job.stage("classical-start", network, settings.start_epochs, CLASSICAL_LR)
    quantum = job.converted("memory", network, device)
    on_circuit = job.stage("quantum", quantum, settings.epochs, ANGLE_LR, before=network)
    back = to_classical(quantum)
    carried_back = copy.deepcopy(back)
    reread, epochs = to_classical(quantum, readout="circuit"), settings.fine_tuning_epochs
    tuned = job.stage("fine-tuned", back, epochs, FINE_TUNING_LR, before=reread)
    replaced = [job.substitute(bridge, network) for bridge in ("random-subspace", "twin")]
    controls = [job.classical(untrained), *replaced]
    full = to_quantum(carried_back, Memory(form="full", synthesis="gates"))
    assert isinstance(full, WeightNetwork)
    names = ("classical start", "quantum", "fine-tuned")
    return RunOutcome(
        settings=settings,
        data=data,
        metric_name=start.history.metric_name,
        stages=[start, on_circuit, tuned],
        controls=controls,
        weights=dict(zip(names, map(_vector, (network, carried_back, back)), strict=True)),
        network=back,
        circuit=full.circuit(),
        circuit_scales={
            slot.name: float(scale)
            for slot, scale in zip(full.layout.slots, full.scales, strict=True)
        },
        summary=quantum.summary(),
        seconds=time.perf_counter() - began,
    )


@dataclass(frozen=True)
class _Job:
    """Settings and functions that stages and controls share."""

    settings: RunSettings
    data: Dataset
    progress: bool

    def stage(
        self, name: str, network: nn.Module, epochs: int, lr: float, before: nn.Module | None = None
    ) -> Result:
        """Train a network, which was converted from ``before``, and return its results."""
        change = None if before is None else _largest_change(before, network)
        history = self.fit(name, network, epochs, lr)
        return self.result(name, network, history, conversion_change=change)

    def classical(self, network: nn.Module) -> Result:
        """Train the untrained network classically, with the steps of all stages."""
        plan = {CLASSICAL_LR: self.settings.start_epochs, MOVING_LR: self.settings.epochs}
        plan[FINE_TUNING_LR] = self.settings.fine_tuning_epochs
        parts = [self.fit("control: classical", network, count, lr) for lr, count in plan.items()]
        return self.result("classical", network, *parts)

    def substitute(self, bridge: str, start: nn.Module) -> Result:
        """Train a control instead of the circuit, then fine-tune in the same way."""
        control, label = self.converted(bridge, start), f"control: {bridge}"
        lr = MOVING_LR if bridge == "random-subspace" else ANGLE_LR
        first = self.fit(label, control, self.settings.epochs, lr)
        network = to_classical(control)
        second = self.fit(label, network, self.settings.fine_tuning_epochs, FINE_TUNING_LR)
        found = self.result(bridge, network, first, second, trainable=control.num_trainable)
        return replace(found, test_metric_before_fine_tuning=first.metric[-1])

    def executor(self, network: nn.Module) -> AerExecutor:
        """Return an executor with the shots of the settings."""
        shots = self.settings.shots
        if self.settings.shots_per_weight is not None:
            weights = sum(p.numel() for p in network.parameters() if p.requires_grad)
            shots = self.settings.shots_per_weight << index_qubits(weights)
        return AerExecutor(self.settings.device or "CPU", shots=shots, seed=self.settings.seed)

    def device(self) -> Executor | None:
        """Return the executor that the settings name; None for Aer."""
        if self.settings.executor is None:
            return None
        shots, seed = self.settings.shots, self.settings.seed
        return executor_from_text(self.settings.executor, shots=shots, seed=seed)

    def converted(
        self, bridge: str, network: nn.Module, executor: Executor | None = None
    ) -> QuantumNetwork:
        options: dict[str, Any] = {"scale": SCALE, "merge": "epoch"}
        if bridge == "random-subspace":
            options = {"seed": self.settings.seed}
        if executor is not None:
            options["synthesis"] = "gates"  # a device, and noise, need them
        return to_quantum(network, bridge, executor=executor or self.executor(network), **options)

    def fit(self, label: str, network: nn.Module, epochs: int, lr: float) -> History:
        history = fit(
            network,
            self.data,
            optimizer=self.settings.optimizer,
            lr=lr if self.settings.optimizer == "adam" else None,  # the constants are for adam
            epochs=epochs,
            seed=self.settings.seed,
            progress=label if self.progress else False,
        )
        if history.status == "interrupted":
            raise KeyboardInterrupt
        if history.status == "limit":
            raise LimitError(history.detail)
        return history

    def result(self, name: str, network: nn.Module, *parts: History, **known: Any) -> Result:
        records = [record for part in parts for record in part]
        history = History(parts[0].metric_name, records, parts[-1].status)
        score = history.metric[-1]
        assert score is not None
        full_batch = OPTIMIZERS[self.settings.optimizer].full_batch
        steps = 1 if full_batch else -(-len(self.data.train) // MINIBATCH)
        known.setdefault("trainable", len(_vector(network)))
        seconds = self.inference_seconds(network)
        return Result(name, history, score, seconds, steps=steps * len(history), **known)

    @torch.no_grad()
    def inference_seconds(self, network: nn.Module) -> float:
        assert self.data.test is not None
        remote = getattr(getattr(network, "executor", None), "is_remote", False)
        seconds = []
        for _ in range(1 if remote else INFERENCE_REPETITIONS):  # jobs on a device have a price
            fresh = without_readouts(copy.deepcopy(network)).eval()
            began = time.perf_counter()
            fresh(self.data.test.x)
            seconds.append(time.perf_counter() - began)
        return median(seconds)


def _vector(network: nn.Module) -> torch.Tensor:
    trainable = [p for p in network.parameters() if p.requires_grad]
    return torch.cat([p.detach().reshape(-1).double().cpu() for p in trainable])


def _largest_change(before: nn.Module, after: nn.Module) -> float:
    """Return the largest difference of weights; those of a circuit are read from it."""
    plain = to_classical(after, readout="circuit") if isinstance(after, QuantumNetwork) else after
    return float((_vector(before) - _vector(plain)).abs().max())
