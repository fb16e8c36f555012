"""Qiskit's sampler primitive on an executor of hybridopt."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float64
from qiskit import ClassicalRegister, QuantumCircuit
from qiskit.primitives import BaseSamplerV2, BitArray, DataBin, PrimitiveJob, PrimitiveResult
from qiskit.primitives.containers import SamplerPubResult
from qiskit.primitives.containers.sampler_pub import SamplerPub
from qiskit.providers import Options

from hybridopt import _validation
from hybridopt.circuits.errors import CircuitError
from hybridopt.circuits.instructions import without_measurements
from hybridopt.circuits.physical import PhysicalCircuit
from hybridopt.errors import ArgumentError
from hybridopt.execution import AerExecutor, Executor, check_executor
from hybridopt.qiskit_ml.compiled_circuits import CompiledCircuits, refuse_padding, table_of
from hybridopt.qiskit_ml.outcomes import NOT_MEASURED, check_width
from hybridopt.qiskit_ml.requests import PubLike, start_job


class AerSampler(BaseSamplerV2):  # type: ignore[misc]
    """Sampler that runs all parameter sets of a circuit as one job.

    The forward pass of ``SamplerQNN(sampler=AerSampler())`` and of ``VQC(sampler=...)`` is one job
    per batch. Without shots, ``get_counts`` and ``get_probabilities`` return exact probabilities,
    as with `QMLSampler`. With shots, results hold a `BitArray`, sorted by outcome. Unmeasured bits
    are 0.

    Args:
        executor: Executor of the circuits; None for `AerExecutor()`, which is exact.
        normalize: True divides amplitudes by their norm; False refuses another norm than 1.
        pad_with: Must be None, because a pub has a value for every amplitude.

    Raises:
        ArgumentTypeError: If ``executor`` is of another type.

    Example:
        >>> from hybridopt.qiskit_ml import AerSampler
        >>> from qiskit import QuantumCircuit
        >>> circuit = QuantumCircuit(3)
        >>> _ = circuit.h(0), circuit.cx(0, 1), circuit.measure_all()
        >>> result = AerSampler().run([circuit]).result()[0]
        >>> {key: round(value, 12) for key, value in result.data.meas.get_probabilities().items()}
        {'000': 0.5, '011': 0.5}
    """

    def __init__(
        self,
        executor: Executor | None = None,
        *,
        normalize: bool = False,
        pad_with: float | None = None,
    ) -> None:
        self.executor = AerExecutor() if executor is None else check_executor(executor)
        self.options = Options(shots=self.executor.shots)
        self.normalize = _validation.boolean("normalize", normalize)
        refuse_padding(pad_with)
        self._circuits = CompiledCircuits(measured=True, normalize=normalize)

    def run(
        self, pubs: Iterable[PubLike], *, shots: int | None = None
    ) -> PrimitiveJob[PrimitiveResult[SamplerPubResult]]:
        """Start a job.

        Args:
            pubs: Circuits and parameter values.
            shots: Number of shots of the executor, or None.

        Raises:
            CircuitError: If a circuit cannot be lowered, measures nothing, or has mid-circuit
                measurements.
            ArgumentError: If ``shots`` is not the number of shots of the executor.
        """
        _validation.optional_integer("shots", shots, minimum=1)
        given, own = list(pubs), self.executor.shots
        for wanted in (shots, *map(_shots_of, given)):
            if wanted is not None and wanted != own:
                raise ArgumentError(
                    f"`shots` must equal the shots of the executor, {own} (got {wanted}). Use "
                    f"`AerSampler(AerExecutor(shots={wanted}))`, or omit `shots`."
                )
        coerced = [SamplerPub.coerce(pub, own or 1) for pub in given]
        for circuit in (pub.circuit for pub in coerced):
            if without_measurements(circuit)[1].keys().isdisjoint(_bits(circuit, *circuit.cregs)):
                raise CircuitError(NOT_MEASURED)
            check_width(len(_read_qubits(self._circuits.of(circuit, self.executor).physical)))
        return start_job(coerced, self._same_circuit)

    def _same_circuit(self, pubs: Sequence[SamplerPub]) -> list[SamplerPubResult]:
        circuit = pubs[0].circuit
        compiled = self._circuits.of(circuit, self.executor)
        values = np.concatenate([table_of(pub.parameter_values, circuit) for pub in pubs])
        qubits = _read_qubits(compiled.physical)
        probabilities = np.zeros((0, 1 << len(qubits)))
        if len(values):
            probabilities = compiled.run(compiled.probabilities(qubits), values)
        ends = np.cumsum([math.prod(pub.shape) for pub in pubs])[:-1]
        place: dict[int | None, int] = {qubit: number for number, qubit in enumerate(qubits)}
        sources = {  # bit of the outcome for each bit of a register; None for 0
            register.name: tuple(
                place.get(compiled.physical.measured.get(bit)) for bit in _bits(circuit, register)
            )
            for register in circuit.cregs
        }
        parts = np.split(probabilities, ends)
        return [self._result(pub, sources, part) for pub, part in zip(pubs, parts, strict=True)]

    def _result(
        self,
        pub: SamplerPub,
        sources: dict[str, tuple[int | None, ...]],
        probabilities: Float64[np.ndarray, "n outcomes"],
    ) -> SamplerPubResult:
        shots = self.executor.shots
        metadata = {"shots": shots, "circuit_metadata": pub.circuit.metadata}
        if shots is None:
            shaped = probabilities.reshape(*pub.shape, probabilities.shape[-1])
            registers = {n: Distributions(shaped, places) for n, places in sources.items()}
            return ExactResult(Registers(**registers, shape=pub.shape), metadata=metadata)
        counts = np.rint(probabilities * shots).astype(np.int64)
        outcomes = np.stack([np.repeat(np.arange(row.size), row) for row in counts])
        bits = {n: _bit_array(outcomes, places, pub.shape) for n, places in sources.items()}
        return SamplerPubResult(Registers(**bits, shape=pub.shape), metadata=metadata)


@dataclass(frozen=True, eq=False)
class Distributions:
    """Exact probabilities of a register for an array of parameter sets, in place of `BitArray`."""

    joint: Float64[np.ndarray, "*shape outcomes"]  # probabilities of all outcomes of a run
    # bit of the outcome for each bit of the register, least significant first; None for 0
    sources: tuple[int | None, ...]
    num_shots: ClassVar[None] = None  # the probabilities are exact

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array of parameter sets."""
        return self.joint.shape[:-1]

    @property
    def num_bits(self) -> int:
        """Number of bits of the register."""
        return len(self.sources)

    def get_probabilities(self, loc: int | tuple[int, ...] | None = None) -> dict[str, float]:
        """Return the probability of every possible bit string, as a mean over sets without loc."""
        chosen = self.joint if loc is None or not self.shape else self.joint[loc]
        mean = chosen.reshape(-1, self.joint.shape[-1]).mean(axis=0)
        found: dict[str, float] = {}
        for outcome in np.flatnonzero(mean).tolist():
            bits = ["0" if s is None else str((outcome >> s) & 1) for s in self.sources]
            name = "".join(reversed(bits))
            found[name] = found.get(name, 0.0) + float(mean[outcome])
        return found

    get_counts = get_probabilities  # counts relative to their total

    @staticmethod
    def concatenate_bits(registers: Sequence[Distributions]) -> Distributions:
        """Join registers of one run, the first the least significant."""
        sources = tuple(source for register in registers for source in register.sources)
        return Distributions(registers[0].joint, sources)

    def __getitem__(self, index: Any) -> Distributions:
        chosen = index if isinstance(index, tuple) else (index,)
        return Distributions(self.joint[(*chosen, ..., slice(None))], self.sources)


class Registers(DataBin):  # type: ignore[misc]
    """Registers of one circuit, also as one register for a SamplerQNN."""

    # otherwise a SamplerQNN whose register is not named ``meas`` averages over the batch

    def get_counts(self, loc: int | tuple[int, ...] | None = None) -> dict[str, float]:
        """Return the counts of the register ``meas`` if it exists, else of all registers joined."""
        registers = dict(self.items())
        chosen = [registers["meas"]] if "meas" in registers else list(registers.values())
        counts: dict[str, float] = type(chosen[0]).concatenate_bits(chosen).get_counts(loc)
        return counts


class ExactResult(SamplerPubResult):  # type: ignore[misc]
    """Result of one circuit without shots."""

    def join_data(self, names: Iterable[str] | None = None) -> Distributions:
        """Join the registers, the first the least significant.

        Raises:
            ArgumentError: If a name is unknown.
        """
        registers = dict(self.data.items())
        chosen = list(registers if names is None else names)
        unknown = ", ".join(name for name in chosen if name not in registers)
        if unknown or not chosen:
            raise ArgumentError(f"Unknown register {unknown}. Available: {', '.join(registers)}.")
        return Distributions.concatenate_bits([registers[name] for name in chosen])


def _shots_of(pub: PubLike) -> int | None:
    if isinstance(pub, SamplerPub):
        return int(pub.shots)
    return pub[2] if isinstance(pub, tuple) and len(pub) > 2 else None


def _bits(circuit: QuantumCircuit, *registers: ClassicalRegister) -> list[int]:
    return [circuit.find_bit(bit).index for register in registers for bit in register]


def _read_qubits(physical: PhysicalCircuit) -> tuple[int, ...]:
    """Return the measured qubits; without noise, idle ones are 0 and not simulated."""
    found = set(physical.measured.values())
    if physical.on_device and physical.native is None:
        found &= physical.used
    return tuple(sorted(found)) or physical.qubits_for(())[:1]


def _bit_array(
    outcomes: np.ndarray, sources: tuple[int | None, ...], shape: tuple[int, ...]
) -> BitArray:
    zero = np.zeros_like(outcomes)
    columns = [zero if source is None else (outcomes >> source) & 1 for source in sources]
    bits = np.stack(columns[::-1], axis=-1).astype(bool)  # the least significant bit is last
    return BitArray.from_bool_array(bits.reshape(*shape, *bits.shape[1:]))
