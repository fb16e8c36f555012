"""What simulators are given: one circuit with its inputs, weights, observables, batch and shots."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter, ParameterVector
from qiskit.quantum_info import SparsePauliOp

from hybridopt import _validation
from hybridopt.errors import ArgumentError, CircuitError

BATCH = 16  # where a problem does not say
SHAPE = re.compile(r"(\d+)-(\d+)(?:-(\d+))?")


@dataclass(frozen=True, eq=False)
class Problem:
    """One circuit to be differentiated by its weights.

    Every simulator is asked for the same: from angles it has not seen, the outputs of all samples
    and the gradient by all weights of the mean over the samples of the sum of the outputs.

    Attributes:
        family: Problems of one family differ in size only.
        circuit: Without measurements.
        inputs: I parameters that samples bring.
        weights: P parameters that are trained.
        observables: K Hermitian observables on all qubits.
        batch: Samples, B.
        shots: A setting; None is exact.
    """

    family: str
    circuit: QuantumCircuit
    inputs: tuple[Parameter, ...]
    weights: tuple[Parameter, ...]
    observables: tuple[SparsePauliOp, ...]
    batch: int = BATCH
    shots: int | None = None

    def __post_init__(self) -> None:
        _validation.integer("batch", self.batch, minimum=1)
        _validation.optional_integer("shots", self.shots, minimum=1)
        if not self.weights:
            raise CircuitError(
                f"The circuit of {self.family} has no weights, so there is no gradient to measure."
            )
        if not self.observables:
            raise CircuitError(f"The circuit of {self.family} has no observables to read.")

    @property
    def num_qubits(self) -> int:
        """Number of qubits of the circuit."""
        return int(self.circuit.num_qubits)

    @property
    def name(self) -> str:
        """Family, qubits, weights and batch; shots where there are any."""
        shots = "" if self.shots is None else f", {self.shots} shots"
        return f"{self.family}:{self.num_qubits}-{len(self.weights)}-{self.batch}{shots}"

    @property
    def scale(self) -> float:
        """The largest value that the sum of the outputs can take."""
        return float(sum(np.abs(operator.coeffs).sum() for operator in self.observables))

    def angles(
        self, generator: np.random.Generator
    ) -> tuple[Float64[np.ndarray, "B I"], Float64[np.ndarray, " P"]]:
        """Draw inputs and weights, uniform in [-pi, pi)."""
        x = generator.uniform(-np.pi, np.pi, (self.batch, len(self.inputs)))
        return x, generator.uniform(-np.pi, np.pi, len(self.weights))

    def resized(self, *, batch: int | None, shots: int | None) -> Problem:
        """Return the same circuit for another batch (None keeps it) and shots (None is exact)."""
        return replace(self, batch=self.batch if batch is None else batch, shots=shots)


def ladder(num_qubits: int, num_weights: int, batch: int = BATCH) -> Problem:
    """Return RY encoding, then layers of RY on every qubit and a ladder of CX, observable Z...Z.

    Args:
        num_qubits: Two or more.
        num_weights: Whole layers: a multiple of ``num_qubits``.
        batch: Samples.

    Raises:
        ArgumentError: If the numbers do not make whole layers.

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
    """Return layers of RZ(w x + w'), RY(w''), RZ(w''') and a ring of CZ, one Z per qubit.

    The inputs enter every layer anew, each by a weight of its own
    (Perez-Salinas et al., Quantum 4, 226 (2020), arXiv:1907.02085).

    Args:
        num_qubits: Two or more.
        num_weights: A multiple of four times ``num_qubits``.
        batch: Samples.

    Raises:
        ArgumentError: If the numbers do not make whole layers.

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
    """Return a problem by its name, such as ``ladder:4-16-16``: family, qubits, weights and batch.

    Example:
        >>> parse_problem("ladder:4-16").name
        'ladder:4-16-16'
    """
    family, _, shape = text.partition(":")
    builder = BUILDERS[_validation.choice("problem", family, BUILDERS)]
    found = SHAPE.fullmatch(shape)
    if found is None:
        example = f"family:qubits-weights-batch, such as {family}:4-16-16"
        raise ArgumentError(f"Problem {text!r} must be written {example}.")
    qubits, weights, batch = found.groups(default=str(BATCH))
    return builder(int(qubits), int(weights), int(batch))


def z_of_each(num_qubits: int) -> tuple[SparsePauliOp, ...]:
    """Return the observable Z of every qubit."""
    single = ([("Z", [qubit], 1)] for qubit in range(num_qubits))
    return tuple(SparsePauliOp.from_sparse_list(terms, num_qubits) for terms in single)


def _layers(family: str, num_qubits: int, num_weights: int, per_layer: int) -> int:
    _validation.integer("qubits", num_qubits, minimum=2)
    _validation.integer("weights", num_weights, minimum=1)
    layers, rest = divmod(num_weights, per_layer)
    if rest:
        raise ArgumentError(
            f"Problem {family} on {num_qubits} qubits has {per_layer} weights a layer, so "
            f"`weights` must be a multiple of {per_layer}, but is {num_weights}."
        )
    return layers
