"""Execution on the Qiskit Aer simulator."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from jaxtyping import Float64
from qiskit import QuantumCircuit
from qiskit_aer import AerSimulator
from qiskit_aer.backends.aerbackend import AerBackend

from hybridopt import checks
from hybridopt.circuits.program import Program
from hybridopt.errors import DeviceError, ExecutionError, ResourceError, UnsupportedError
from hybridopt.execution.cost import Cost
from hybridopt.execution.job import Job, Readout, Stream
from hybridopt.execution.sampling import frequencies

DEVICES = ("CPU", "GPU", "auto")
METHODS = ("automatic", "statevector", "density_matrix", "matrix_product_state")
PRECISIONS = ("double", "single")
MAX_SHOTS = 2**63 - 1  # numpy counts to there
MAX_CIRCUITS_PER_CALL = 64  # more in one call gain nothing once the call overhead is shared
GPU_HINT = (
    'Use device="CPU", or replace qiskit-aer by its GPU build: `pip uninstall qiskit-aer`, then '
    "`pip install qiskit-aer-gpu` (the two packages hold the same files)."
)


def available_devices() -> tuple[str, ...]:
    """The devices that the installed build of Aer can use on this machine."""
    return tuple(AerSimulator().available_devices())


class AerExecutor:
    """Runs circuits on Aer: exact, or with the statistical noise of a number of shots.

    Without a noise model, shots are drawn from the exact probabilities by a multinomial law: the
    same distribution as measuring shot by shot. Copies (`copy.deepcopy`) are the same executor,
    as it stands for one simulator with one account.

    Args:
        device: ``"CPU"``, ``"GPU"``, or ``"auto"`` (the GPU where there is one).
        shots: Shots a setting; None is exact.
        noise_model: Not available yet; must be None.
        method: ``"automatic"`` or ``"statevector"``; Aer's others are not available yet.
        precision: ``"double"`` or ``"single"``, of the simulated amplitudes.
        seed: Of the sampling streams; None draws fresh entropy. The stream of a setting follows
            from (seed, number of the call, row), so no two calls share their noise.
        max_memory: Bytes that circuits and states may take at one time; None is half of the
            machine's memory.

    Raises:
        ArgumentTypeError: If an argument has the wrong type (``shots=True`` and ``1e3`` have).
        ArgumentError: If a number is out of range or a name unknown.
        DeviceError: If the GPU was asked for and is not there.
        UnsupportedError: If a setting is not available yet.
    """

    def __init__(
        self,
        device: str = "CPU",
        *,
        shots: int | None = None,
        noise_model: object | None = None,
        method: str = "automatic",
        precision: str = "double",
        seed: int | None = None,
        max_memory: int | None = None,
    ) -> None:
        self.device = _checked_device(device)
        self.shots = checks.optional_integer("shots", shots, minimum=1, maximum=MAX_SHOTS)
        self.method = _checked_method(method)
        self.precision = checks.choice("precision", precision, PRECISIONS)
        self.seed = checks.optional_integer("seed", seed, minimum=0)
        limit = checks.optional_integer("max_memory", max_memory, minimum=1)
        self.max_memory = _physical_memory() // 2 if limit is None else limit
        if noise_model is not None:
            raise UnsupportedError(
                "Argument `noise_model` must be None: noisy execution is not available yet. "
                "Statistical noise alone comes with `shots`."
            )
        self._entropy = _fresh_entropy() if self.seed is None else self.seed
        self._calls = 0
        self._usage = Cost()
        self._backend: AerBackend | None = None

    @property
    def usage(self) -> Cost:
        """Settings, shots and runs since construction, counted where jobs reach Aer."""
        return self._usage

    def check(self, program: Program, readout: Readout) -> None:
        """Refuse a program that does not fit into `max_memory`; nothing is run.

        Raises:
            ResourceError: With the number of bytes that are needed.
        """
        needed = program.working_memory()
        if needed > self.max_memory:
            raise ResourceError(
                f"A circuit of {program.num_qubits} qubits needs about {needed / 1e9:.3g} GB, but "
                f"`max_memory` allows {self.max_memory / 1e9:.3g} GB. Raise it, or use a smaller "
                "network."
            )

    def run(self, job: Job) -> Float64[np.ndarray, "S B K"]:
        """Run every combination of shared angles and rows.

        Returns:
            Shape ``(S, B, K)``: probabilities, or relative frequencies if there are shots.

        Raises:
            ResourceError: If one circuit does not fit into `max_memory`.
            ArgumentError: If the tables have the wrong width, or an angle is not finite.
            ExecutionError: If Aer reports a failure.
        """
        self.check(job.program, job.readout)
        job.check()
        stream = job.stream or self._next_stream()
        cells = [(s, b) for s in range(len(job.shared)) for b in range(len(job.rows))]
        result = np.empty((*map(len, (job.shared, job.rows)), job.readout.num_outputs(job.program)))
        piece = self._circuits_per_call(job)
        for start in range(0, len(cells), piece):
            part = cells[start : start + piece]
            for cell, probabilities in zip(part, self._probabilities(job, part), strict=True):
                result[cell] = self._sample(probabilities, stream, cell)
        return result

    def explain(self, job: Job) -> str:
        """Which strategy runs the job, in words."""
        count = len(job.shared) * len(job.rows)
        sampling = (
            "exact probabilities"
            if self.shots is None
            else f"{self.shots} shots a setting, drawn from the exact probabilities"
        )
        return (
            f"{count} settings of {job.program.num_qubits} qubits on Aer statevector "
            f"({self.device}, {self.precision} precision), {self._circuits_per_call(job)} circuits "
            f"or fewer a call, {sampling}"
        )

    def state_dict(self) -> dict[str, Any]:
        """Position in the sampling stream; plain types only."""
        return {"entropy": hex(self._entropy), "calls": self._calls}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on sampling where `state_dict` was taken."""
        self._entropy = int(state["entropy"], 16)
        self._calls = int(state["calls"])

    def __repr__(self) -> str:
        return (
            f"AerExecutor(device={self.device!r}, shots={self.shots}, method={self.method!r}, "
            f"precision={self.precision!r}, seed={self.seed})"
        )

    def __deepcopy__(self, memo: dict[int, Any]) -> AerExecutor:
        return self

    def __getstate__(self) -> dict[str, Any]:
        return {
            **self.__dict__,
            "_backend": None,
        }  # a simulator is cheap to make, and heavy to send

    def _next_stream(self) -> Stream:
        self._calls += 1
        return Stream(self._calls - 1)

    def _circuits_per_call(self, job: Job) -> int:
        return min(MAX_CIRCUITS_PER_CALL, max(1, self.max_memory // job.program.working_memory()))

    def _probabilities(
        self, job: Job, cells: list[tuple[int, int]]
    ) -> list[Float64[np.ndarray, " K"]]:
        circuits = []
        for s, b in cells:
            circuit = job.program.simulator_circuit(job.rows[b], job.shared[s])
            circuit.save_statevector()
            circuits.append(circuit)
        return [np.abs(state) ** 2 for state in self._submit(circuits)]

    def _submit(self, circuits: list[QuantumCircuit]) -> list[np.ndarray]:
        """The one place where circuits reach Aer, and where they are counted."""
        result = self._simulator().run(circuits).result()
        if not result.success:
            raise ExecutionError(f"Aer could not run the circuits: {result.status}")
        settings = len(circuits)
        self._usage += Cost(settings, settings * (self.shots or 0), len(result.results))
        return [
            np.asarray(result.data(i)["statevector"], dtype=np.complex128)
            for i in range(len(circuits))
        ]

    def _sample(
        self, probabilities: Float64[np.ndarray, " K"], stream: Stream, cell: tuple[int, int]
    ) -> Float64[np.ndarray, " K"]:
        if self.shots is None:
            return probabilities
        key = (stream.call, stream.first_shared + cell[0], stream.first_row + cell[1])
        return frequencies(probabilities, self.shots, entropy=self._entropy, key=key)

    def _simulator(self) -> AerBackend:
        if self._backend is None:
            self._backend = AerSimulator(
                method="statevector", device=self.device, precision=self.precision
            )
        return self._backend


def _checked_device(device: object) -> str:
    name = device.upper() if isinstance(device, str) and device.lower() != "auto" else device
    known = checks.choice("device", "auto" if str(name).lower() == "auto" else name, DEVICES)
    if known == "CPU":
        return known
    has_gpu = "GPU" in available_devices()
    if known == "auto":
        return "GPU" if has_gpu else "CPU"
    if not has_gpu:
        raise DeviceError(f'device="GPU", but this build of Aer finds no GPU. {GPU_HINT}')
    return known


def _checked_method(method: object) -> str:
    name = checks.choice("method", method, METHODS)
    if name not in {"automatic", "statevector"}:
        raise UnsupportedError(
            f'method="{name}" is not available yet. Use "automatic" or "statevector".'
        )
    return name


def _physical_memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _fresh_entropy() -> int:
    entropy = np.random.SeedSequence().entropy
    assert isinstance(entropy, int)
    return entropy
