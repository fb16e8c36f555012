"""Qiskit's sampler primitive on an executor of hybridopt."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Float64
from qiskit import ClassicalRegister, QuantumCircuit
from qiskit.primitives import BaseSamplerV2, DataBin, PrimitiveJob, PrimitiveResult
from qiskit.primitives.containers import SamplerPubResult
from qiskit.primitives.containers.sampler_pub import SamplerPub
from qiskit.providers import Options

from hybridopt import _validation
from hybridopt._suggestions import explain_arguments
from hybridopt.circuits.errors import CircuitError
from hybridopt.circuits.physical import PhysicalCircuit
from hybridopt.errors import ArgumentError, UnsupportedError
from hybridopt.execution import AerExecutor, Executor, check_executor
from hybridopt.qiskit_ml.compiled_circuits import CompiledCircuits, refuse_padding, table_of
from hybridopt.qiskit_ml.outcomes import check_width
from hybridopt.qiskit_ml.registers import (
    Distributions,
    ExactResult,
    Registers,
    ShotOrder,
    check_shots_fit,
)
from hybridopt.qiskit_ml.requests import PubLike, Request, start_job

DEFAULT_SHOTS = 1024  # as in Qiskit's samplers


class AerSampler(BaseSamplerV2):  # type: ignore[misc]
    """Sampler that runs all parameter sets of a circuit as one job.

    The forward pass of ``SamplerQNN(sampler=AerSampler())`` and of ``VQC(sampler=...)`` is one job
    per batch. Results hold a `BitArray` per classical register, as those of Qiskit's samplers.
    Unmeasured bits are 0. The shots of a pub take the place of those of `run`, and these those of
    ``default_shots``. No two calls share shot noise, also with a seed.

    With ``exact=True``, results hold exact probabilities instead, as those of `QMLSampler`: see
    `Distributions`. Training without shot noise needs this mode.

    Args:
        executor: Executor of the circuits; None for `AerExecutor()`. Without shots of its own, it
            computes exact probabilities, and the shots are drawn from them.
        default_shots: Number of shots of calls and pubs without one. If None, it is that of the
            executor, or 1024.
        exact: Whether results are exact probabilities.
        normalize: True divides amplitudes by their norm; False refuses another norm than 1.
        pad_with: Must be None, because a pub has a value for every amplitude.

    Raises:
        ArgumentTypeError: If an argument has the wrong type.
        ArgumentError: If ``exact`` is True for an executor with shots or with ``default_shots``.
        UnsupportedError: If the executor corrects readout errors.

    Example:
        >>> from hybridopt.qiskit_ml import AerSampler
        >>> from qiskit import QuantumCircuit
        >>> circuit = QuantumCircuit(3)
        >>> _ = circuit.h(0), circuit.cx(0, 1), circuit.measure_all()
        >>> result = AerSampler().run([circuit], shots=100).result()[0]
        >>> sorted(result.data.meas.get_counts()), result.data.meas.num_shots
        (['000', '011'], 100)
        >>> exact = AerSampler(exact=True).run([circuit]).result()[0]
        >>> {key: round(value, 12) for key, value in exact.data.meas.get_probabilities().items()}
        {'000': 0.5, '011': 0.5}
    """

    @explain_arguments
    def __init__(
        self,
        executor: Executor | None = None,
        *,
        default_shots: int | None = None,
        exact: bool = False,
        normalize: bool = False,
        pad_with: float | None = None,
    ) -> None:
        self.executor = AerExecutor() if executor is None else check_executor(executor)
        mitigation = getattr(self.executor, "readout_mitigation", None)
        if mitigation is not None:
            raise UnsupportedError(
                f"`readout_mitigation` of `executor` must be None (got {mitigation!r}), because a "
                "sampler returns outcomes, and corrected probabilities can be negative. Use "
                "`AerEstimator`, or leave it out."
            )
        self.exact = _validation.boolean("exact", exact)
        given = _validation.optional_integer("default_shots", default_shots, minimum=1)
        own = self.executor.shots
        if exact and (given or own) is not None:
            name = "`default_shots`" if given else "The shots of `executor`"
            raise ArgumentError(
                f"{name} must be None for exact=True (got {given or own}). Leave out `exact` for "
                "counts."
            )
        self.default_shots = None if exact else given or own or DEFAULT_SHOTS
        self.options = Options(shots=self.default_shots, default_shots=self.default_shots)
        self.normalize = _validation.boolean("normalize", normalize)
        refuse_padding(pad_with)
        self._circuits = CompiledCircuits(measured=True, normalize=normalize)

    def run(
        self, pubs: Iterable[PubLike], *, shots: int | None = None
    ) -> PrimitiveJob[PrimitiveResult[SamplerPubResult]]:
        """Start a job.

        A circuit without classical registers gives an empty result and a warning.

        Args:
            pubs: Circuits, parameter values and numbers of shots.
            shots: Number of shots of pubs without one; None for ``default_shots``.

        Raises:
            CircuitError: If a circuit cannot be lowered, or has mid-circuit measurements.
            ArgumentError: If there are shots in exact mode.
            ResourceError: If the bits of all shots do not fit into memory.
        """
        wanted = _validation.optional_integer("shots", shots, minimum=1)
        wanted = self.default_shots if wanted is None else wanted
        coerced = [SamplerPub.coerce(pub, wanted) for pub in pubs]
        for number, pub in enumerate(coerced):
            if self.exact and pub.shots is not None:
                raise ArgumentError(
                    f"`shots` must be None for exact=True (got {pub.shots}). Use `AerSampler()` "
                    "for counts."
                )
            if not pub.circuit.cregs:
                warnings.warn(
                    f"The circuit of pub {number} has no classical register, so its result is "
                    "empty. Add measurements with `circuit.measure_all()`.",
                    stacklevel=2,
                )
            _check_names(pub.circuit)
            check_shots_fit(pub, self.executor)
        requests = []
        for pub in coerced:
            compiled = self._circuits.of(pub.circuit, self.executor)
            check_width(len(_read_qubits(compiled.physical)))
            requests.append(Request(pub, compiled, pub.shots))
        return start_job(requests, self._together)

    def _together(self, requests: Sequence[Request[SamplerPub]]) -> list[SamplerPubResult]:
        """Run requests of one circuit with equal shots."""
        pubs = [request.pub for request in requests]
        circuit, compiled, shots = pubs[0].circuit, requests[0].compiled, requests[0].shots
        values = np.concatenate([table_of(pub.parameter_values, circuit) for pub in pubs])
        qubits = _read_qubits(compiled.physical)
        order = ShotOrder(self.executor)  # before the run, which is the next call of the executor
        probabilities = np.zeros((0, 1 << len(qubits)))
        if len(values):
            probabilities = compiled.run(compiled.probabilities(qubits), values, shots).values[0]
        ends = np.cumsum([math.prod(pub.shape) for pub in pubs])[:-1]
        place: dict[int | None, int] = {qubit: number for number, qubit in enumerate(qubits)}
        sources = {  # bit of the outcome for each bit of a register; None for 0
            register.name: tuple(
                place.get(compiled.physical.measured.get(bit)) for bit in _bits(circuit, register)
            )
            for register in circuit.cregs
        }
        parts = np.split(probabilities, ends)
        return [_result(pub, sources, part, order) for pub, part in zip(pubs, parts, strict=True)]


def _result(
    pub: SamplerPub,
    sources: dict[str, tuple[int | None, ...]],
    probabilities: Float64[np.ndarray, "n outcomes"],
    order: ShotOrder,
) -> SamplerPubResult:
    metadata = {"shots": pub.shots, "circuit_metadata": pub.circuit.metadata}
    if pub.shots is None:
        shaped = probabilities.reshape(*pub.shape, probabilities.shape[-1])
        registers = {name: Distributions(shaped, places) for name, places in sources.items()}
        return ExactResult(Registers(**registers, shape=pub.shape), metadata=metadata)
    drawn = order.draw(probabilities, pub.shots)
    bits = {name: drawn.bit_array(places, pub.shape) for name, places in sources.items()}
    return SamplerPubResult(Registers(**bits, shape=pub.shape), metadata=metadata)


def _check_names(circuit: QuantumCircuit) -> None:
    """Raise CircuitError for a circuit without qubits, or a register named as a part of results."""
    if not circuit.num_qubits:
        raise CircuitError("The circuit of a sampler must have at least one qubit (got none).")
    for register in circuit.cregs:
        if hasattr(DataBin, register.name):
            raise CircuitError(
                f"Register `{register.name}` must have another name: results of Qiskit have an "
                "attribute of this name."
            )


def _bits(circuit: QuantumCircuit, register: ClassicalRegister) -> list[int]:
    return [circuit.find_bit(bit).index for bit in register]


def _read_qubits(physical: PhysicalCircuit) -> tuple[int, ...]:
    """Return the measured qubits; without noise, idle ones are 0 and not simulated."""
    found = set(physical.measured.values())
    if physical.on_device and physical.native is None:
        found &= physical.used
    return tuple(sorted(found)) or physical.qubits_for(())[:1]
