"""Sources of noise: noise models, devices, and simulators of devices."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit import Delay
from qiskit.providers import BackendV2
from qiskit.providers.fake_provider import GenericBackendV2
from qiskit.transpiler import PassManager, generate_preset_pass_manager
from qiskit.transpiler.passes import Optimize1qGatesDecomposition
from qiskit_aer import AerSimulator
from qiskit_aer.noise import (
    NoiseModel,
    ReadoutError,
    RelaxationNoisePass,
    depolarizing_error,
    thermal_relaxation_error,
)
from qiskit_ibm_runtime.fake_provider import FakeBrisbane, FakeFractionalBackend, FakeManilaV2

NATIVE = ["rz", "sx", "x", "cx"]
LINE = [pair for k in range(4) for pair in ([k, k + 1], [k + 1, k])]


@dataclass(frozen=True)
class Source:
    """Source of noise."""

    name: str
    noise: object  # argument of `AerExecutor`
    model: NoiseModel  # of the whole device, from Aer
    device: BackendV2 | None  # target of the transpiler; None has gates but no couplings
    layouts: tuple[tuple[int, ...], ...]  # three places for five qubits

    def transpiled(
        self, circuit: QuantumCircuit, layout: Sequence[int] | None = None, seed: int = 0
    ) -> QuantumCircuit:
        """Return the circuit from Qiskit's transpiler, on its own layout or a given one."""
        where = None if layout is None else list(layout[: circuit.num_qubits])
        if self.device is not None:
            manager = generate_preset_pass_manager(
                1, backend=self.device, initial_layout=where, seed_transpiler=seed
            )
        elif layout is None:
            manager = generate_preset_pass_manager(0, basis_gates=[*NATIVE, "id", "delay"])
            manager.scheduling = None
        else:
            manager = generate_preset_pass_manager(
                1, basis_gates=NATIVE, coupling_map=LINE, initial_layout=where,
                seed_transpiler=seed, dt=1e-9,
            )  # fmt: skip
        return manager.run(circuit)

    def basis_change(self, letter: str, qubit: int, width: int) -> QuantumCircuit:
        """Return the change of basis of Qiskit's `BackendEstimatorV2`."""
        circuit = QuantumCircuit(width)
        if letter == "Y":
            circuit.sdg(qubit)
        circuit.h(qubit)
        rules = (
            Optimize1qGatesDecomposition(basis=NATIVE)
            if self.device is None
            else Optimize1qGatesDecomposition(target=self.device.target)
        )
        return PassManager([rules]).run(circuit)

    def confusion(self, qubit: int) -> np.ndarray:
        """Return the probabilities (true, read) of the readout."""
        errors = self.model._local_readout_errors
        error = errors.get((qubit,), self.model._default_readout_error)
        return np.eye(2) if error is None else np.asarray(error.probabilities)

    def model_of(self, qubits: set[int], names: set[str]) -> NoiseModel:
        """Return the errors of some qubits, because Aer takes a second for all qubits."""
        part = NoiseModel(self.model.basis_gates)
        for name in names & self.model._local_quantum_errors.keys():
            errors = self.model._local_quantum_errors[name]
            for where, error in errors.items():
                if qubits.issuperset(where):
                    part.add_quantum_error(error, name, list(where), warnings=False)
        part._custom_noise_passes = self.model._custom_noise_passes
        return part


def _model() -> NoiseModel:
    """Return a model with different errors on each qubit and each direction of a pair."""
    model = NoiseModel(basis_gates=[*NATIVE, "id"])
    for k in range(5):
        relaxation = thermal_relaxation_error(50e3, 40e3, 500 * (k + 1))
        model.add_quantum_error(relaxation, ["sx", "x"], [k])
        flip = 0.01 + 0.02 * k
        model.add_readout_error(ReadoutError([[1 - flip, flip], [2 * flip, 1 - 2 * flip]]), [k])
    for k, pair in enumerate(LINE):
        model.add_quantum_error(depolarizing_error(0.02 + 0.01 * k, 2), "cx", pair)
    model._custom_noise_passes.append(
        RelaxationNoisePass(
            t1s=[20e-6 + 5e-6 * k for k in range(5)],
            t2s=[15e-6 + 4e-6 * k for k in range(5)],
            dt=1e-9,
            op_types=Delay,
        )
    )
    return model


SMALL = ((0, 1, 2, 3, 4), (4, 3, 2, 1, 0), (2, 1, 3, 0, 4))
LARGE = ((0, 1, 2, 3, 4), (100, 99, 98, 91, 79), (62, 72, 81, 80, 79))
DEVICES = {
    "device": FakeManilaV2,
    "rzz": FakeFractionalBackend,
    "ecr": FakeBrisbane,
    "cp": lambda: GenericBackendV2(
        5, basis_gates=["id", "rz", "sx", "x", "cx", "cp"], seed=1,
        coupling_map=LINE,
    ),
}  # fmt: skip
SOURCES = ("model", "device", "simulator", "rzz", "ecr", "cp")


@cache
def source(name: str) -> Source:
    """Return the source of noise with this name, created once."""
    if name == "model":
        return Source(name, _model(), _model(), None, SMALL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        device = DEVICES.get(name, FakeManilaV2)()
        model = NoiseModel.from_backend(device)
        noise = AerSimulator.from_backend(device) if name == "simulator" else device
    where = LARGE if device.num_qubits > 5 else SMALL
    return Source(name, noise, model, device, where)
