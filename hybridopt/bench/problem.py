"""Problems of the benchmark: a circuit with inputs, weights, observables, batch and shots."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter, ParameterVector
from qiskit.quantum_info import SparsePauliOp

from hybridopt import _validation
from hybridopt.circuits.errors import CircuitError
from hybridopt.circuits.observable_lines import format_observable
from hybridopt.errors import ArgumentError, ResourceError

BATCH = 16  # default number of samples
NOISY_QUBITS = 10  # the dense twin stores a density matrix per gate
SHOWN = 8  # observables that tables name
SHAPE = re.compile(r"(\d+)-(\d+)(?:-(\d+))?")


@dataclass(frozen=True, eq=False)
class Problem:
    """Circuit to be differentiated with respect to its weights.

    Every simulator computes the outputs of all samples from new angles. It also computes the
    gradient of the sum of the outputs, averaged over the samples, with respect to all weights.

    Attributes:
        family: Name that problems of different sizes share.
        circuit: Circuit without measurements.
        inputs: Parameters whose values come from the samples; their number is I.
        weights: Parameters that are trained; their number is P.
        observables: Hermitian observables on all qubits; their number is K.
        batch: Number of samples, B.
        shots: Number of shots per setting; None for exact simulation.
        noise: Probability of depolarization after each gate, see `bench.noise`; None for no noise.
        origin: Origin of the observables, for tables; empty for the problems of this module.
    """

    family: str
    circuit: QuantumCircuit
    inputs: tuple[Parameter, ...]
    weights: tuple[Parameter, ...]
    observables: tuple[SparsePauliOp, ...]
    batch: int = BATCH
    shots: int | None = None
    noise: float | None = None
    origin: str = ""

    def __post_init__(self) -> None:
        _validation.integer("batch", self.batch, minimum=1)
        _validation.optional_integer("shots", self.shots, minimum=1)
        if self.noise is not None:
            _validation.real("noise", self.noise, minimum=0, below=1, strict=True)
            if self.num_qubits > NOISY_QUBITS:
                raise ResourceError(
                    f"Problems with noise must have at most {NOISY_QUBITS} qubits (got "
                    f"{self.num_qubits}), because the dense twin stores their density matrices."
                )
        if not self.weights:
            raise CircuitError(f"`weights` of problem {self.family} must not be empty.")
        if not self.observables:
            raise CircuitError(f"`observables` of problem {self.family} must not be empty.")

    @property
    def num_qubits(self) -> int:
        """Number of qubits of the circuit."""
        return int(self.circuit.num_qubits)

    @property
    def name(self) -> str:
        """Name of family, qubits, weights, batch, and shots and noise if there are any."""
        shots = "" if self.shots is None else f", {self.shots} shots"
        noise = "" if self.noise is None else f", noise {self.noise:g}"
        return f"{self.family}:{self.num_qubits}-{len(self.weights)}-{self.batch}{shots}{noise}"

    @property
    def observables_text(self) -> str:
        """Observables and their origin, for tables; at most `SHOWN` of them."""
        shown = [format_observable(one) for one in self.observables[:SHOWN]]
        more = len(self.observables) - len(shown)
        names = ", ".join(shown) + (f" and {more} more" if more else "")
        return f"{names} ({self.origin})" if self.origin else names

    @property
    def scale(self) -> float:
        """Largest possible value of the sum of the outputs."""
        return float(sum(np.abs(operator.coeffs).sum() for operator in self.observables))

    def angles(
        self, generator: np.random.Generator
    ) -> tuple[Float64[np.ndarray, "B I"], Float64[np.ndarray, " P"]]:
        """Draw inputs and weights, uniform in [-pi, pi) radians."""
        x = generator.uniform(-np.pi, np.pi, (self.batch, len(self.inputs)))
        return x, generator.uniform(-np.pi, np.pi, len(self.weights))

    def resized(
        self, *, batch: int | None = None, shots: int | None = None, noise: float | None = None
    ) -> Problem:
        """Return a copy with another batch (None keeps it), shots (None for exact) and noise."""
        own = self.batch if batch is None else batch
        return replace(self, batch=own, shots=shots, noise=noise)


def ladder(num_qubits: int, num_weights: int, batch: int = BATCH) -> Problem:
    """Return RY encoding, then layers of RY on every qubit and a ladder of CX; observable Z...Z.

    Args:
        num_qubits: Number of qubits, at least 2.
        num_weights: Number of weights, a multiple of ``num_qubits``.
        batch: Number of samples.

    Raises:
        ArgumentError: If a number is too small or ``num_weights`` is not such a multiple.

    Example:
        >>> ladder(4, 16).circuit.count_ops()["cx"]
        12
    """
    layers = _layers("ladder", num_qubits, num_weights, num_qubits)
    x, w = ParameterVector("x", num_qubits), ParameterVector("w", num_weights)
    circuit = QuantumCircuit(num_qubits)
    for qubit in range(num_qubits):
        circuit.ry(x[qubit], qubit)
    for layer in range(layers):
        for qubit in range(num_qubits):
            circuit.ry(w[layer * num_qubits + qubit], qubit)
        for qubit in range(num_qubits - 1):
            circuit.cx(qubit, qubit + 1)
    observable = SparsePauliOp("Z" * num_qubits)
    return Problem("ladder", circuit, tuple(x), tuple(w), (observable,), batch)


def reuploading(num_qubits: int, num_weights: int, batch: int = BATCH) -> Problem:
    """Return layers of RZ(w x + w'), RY(w''), RZ(w''') and a ring of CZ; observables Z.

    Every layer encodes all inputs again, each scaled by its own weight.

    Args:
        num_qubits: Number of qubits, at least 2; there is one observable per qubit.
        num_weights: Number of weights, a multiple of ``4 * num_qubits``.
        batch: Number of samples.

    Raises:
        ArgumentError: If a number is too small or ``num_weights`` is not such a multiple.

    References:
        Perez-Salinas et al., Quantum 4, 226 (2020), arXiv:1907.02085.

    Example:
        >>> reuploading(4, 32).circuit.count_ops()["rz"]
        16
    """
    layers = _layers("reuploading", num_qubits, num_weights, 4 * num_qubits)
    x, w = ParameterVector("x", num_qubits), ParameterVector("w", num_weights)
    circuit = QuantumCircuit(num_qubits)
    weights = iter(w)
    for _ in range(layers):
        for qubit in range(num_qubits):
            circuit.rz(next(weights) * x[qubit] + next(weights), qubit)
            circuit.ry(next(weights), qubit)
            circuit.rz(next(weights), qubit)
        for qubit in range(num_qubits if num_qubits > 2 else 1):
            circuit.cz(qubit, (qubit + 1) % num_qubits)
    return Problem("reuploading", circuit, tuple(x), tuple(w), z_of_each(num_qubits), batch)


BUILDERS = {"ladder": ladder, "reuploading": reuploading}


def parse_problem(text: str) -> Problem:
    """Return the problem of a name ``family:qubits-weights-batch``, such as ``ladder:4-16-16``.

    Example:
        >>> parse_problem("ladder:4-16").name
        'ladder:4-16-16'
    """
    family, _, shape = text.partition(":")
    builder = BUILDERS[_validation.choice("problem", family, BUILDERS)]
    found = SHAPE.fullmatch(shape)
    if found is None:
        raise ArgumentError(
            f"`problem` must have the form family:qubits-weights-batch (got {text!r}). "
            f"Write, for example, {family}:4-16-16."
        )
    qubits, weights, batch = found.groups(default=str(BATCH))
    return builder(int(qubits), int(weights), int(batch))


def z_of_each(num_qubits: int) -> tuple[SparsePauliOp, ...]:
    """Return one observable Z per qubit."""
    single = ([("Z", [qubit], 1)] for qubit in range(num_qubits))
    return tuple(SparsePauliOp.from_sparse_list(terms, num_qubits) for terms in single)


def _layers(family: str, num_qubits: int, num_weights: int, per_layer: int) -> int:
    _validation.integer("qubits", num_qubits, minimum=2)
    _validation.integer("weights", num_weights, minimum=1)
    layers, rest = divmod(num_weights, per_layer)
    if rest:
        raise ArgumentError(
            f"`weights` of problem {family} on {num_qubits} qubits must be a multiple of "
            f"{per_layer}, the number of weights per layer (got {num_weights})."
        )
    return layers
