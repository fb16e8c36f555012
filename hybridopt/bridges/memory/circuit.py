r"""Memory circuit: N cosines of angles in log2(N) + 1 qubits.

``m`` index qubits in uniform superposition select the rotation of the data qubit:

.. math::
    \frac{1}{\sqrt N} \sum_{k=0}^{N-1} |k\rangle \, R_Y(\theta_k) |0\rangle
    \quad\Rightarrow\quad
    \langle Z_{data} \otimes |k\rangle\langle k| \rangle = \cos(\theta_k) / N .

References:
    Mottonen et al., arXiv:quant-ph/0404089 (`hybridopt.circuits.multiplexer`);
    Camps and Van Beeumen, arXiv:2205.00081 (FABLE).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from functools import cached_property, lru_cache

import numpy as np
from jaxtyping import Float64
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter, ParameterVector
from qiskit.circuit.library import UCRYGate

from hybridopt.circuits.counts import GateCount
from hybridopt.circuits.fingerprint import digest
from hybridopt.circuits.lowering import lower
from hybridopt.circuits.multiplexer import append_chain, chain_steps, walsh_hadamard
from hybridopt.circuits.program import CircuitProgram, Template
from hybridopt.circuits.ry_multiplexer import MultiplexerProgram, multiplexer_circuit
from hybridopt.errors import ArgumentError

Theta = Float64[np.ndarray, " N"]  # [rad]
SYNTHESES = ("multiplexer", "gates")
FORMER_NAMES: Mapping[str, str] = {"diagonal": "multiplexer"}  # in files and older programs

# measured, of one circuit: gates as objects of Python, the state and its copies
BYTES_PER_AMPLITUDE_OF_GATES = 440
# measured, of blocks of the index: angles, probabilities and outputs, without drawn shots
BYTES_PER_OUTCOME = 48
LARGEST_LOST_ANGLE = 1e-9  # [rad]; rounding of sums is far below, a reduction by 4 pi above


def current_synthesis(name: str) -> str:
    """Return the present name of a synthesis, which may be a former one."""
    return FORMER_NAMES.get(name, name)


def index_qubits(num_values: int) -> int:
    """Return the number m of index qubits: the smallest with 2^m >= max(num_values, 2)."""
    return max(1, (num_values - 1).bit_length())


@lru_cache(maxsize=4)  # executors cache per program, so programs must be reused
def chain_program(
    num_index_qubits: int, columns: tuple[int, ...] | None = None
) -> tuple[CircuitProgram, tuple[int, ...]]:
    """Return the gate chain and the Walsh columns of its free angles; angle 0 is free or pi/2."""
    order = [column for column, _ in chain_steps(num_index_qubits, columns)]
    wanted = set(order if columns is None else columns)
    free = {column: Parameter(f"angle {column}") for column in order if column in wanted}
    circuit = _chain(num_index_qubits, columns, lambda column: free.get(column, np.pi / 2))
    return lower(circuit, (), tuple(free.values()), whole=False), tuple(free)


def chain_count(num_index_qubits: int, columns: tuple[int, ...] | None = None) -> GateCount:
    """Return depth and CX of the chain; all gates but the first H act on the data qubit."""
    if columns is None:
        return GateCount(2 << num_index_qubits, 1 << num_index_qubits)
    steps = chain_steps(num_index_qubits, columns)
    flips = sum(len(targets) for _, targets in steps)
    return GateCount(len(steps) + flips, flips)


@dataclass(frozen=True)
class MemoryProgram(MultiplexerProgram):
    """Family of memory circuits with ``2**num_index_qubits`` angles.

    Qubits ``0 .. m - 1`` are the index (qubit 0 the least significant bit of ``k``). Qubit ``m`` is
    the data qubit. The synthesis ``"multiplexer"`` is one instruction with ``2^m`` RY gates that
    the index selects. ``"gates"`` is the same unitary as a chain of ``2^m`` RY and ``2^m`` CX for
    hardware. ``"diagonal"`` is a former name of ``"multiplexer"``.
    """

    num_index_qubits: int  # m
    synthesis: str = "multiplexer"
    columns: tuple[int, ...] | None = None  # sparse form: Walsh columns of the free angles

    def __post_init__(self) -> None:
        object.__setattr__(self, "synthesis", current_synthesis(self.synthesis))

    @property
    def num_qubits(self) -> int:  # type: ignore[override]
        """Number of qubits, m + 1."""
        return self.num_index_qubits + 1

    @property
    def needs_statevector(self) -> bool:
        """Whether a statevector method is needed, as for a multiplexer."""
        return self.is_multiplexer

    @property
    def is_multiplexer(self) -> bool:
        """Whether the circuit is H on the index and one multiplexer, not its gate chain."""
        return self.synthesis == "multiplexer"

    @property
    def num_row_angles(self) -> int:
        """Number of row angles; 0, as no sample enters the circuit."""
        return 0

    @property
    def num_shared_angles(self) -> int:
        """Number of angles, N = 2^m."""
        return 1 << self.num_index_qubits

    @cached_property
    def fingerprint(self) -> str:
        """Digest in hex; equal for equal sizes, syntheses and columns, in all processes."""
        return digest("memory", self.num_index_qubits, self.synthesis, self.columns)

    def bind(self, row: Float64[np.ndarray, " R"], shared: Theta) -> QuantumCircuit:
        """Return the circuit at the angles ``shared`` [rad], to draw, transpile or export."""
        data, size = self.num_index_qubits, shared.size
        if self.is_multiplexer:
            circuit = QuantumCircuit(data + 1, name="memory")
            circuit.h(range(data))
            circuit.append(UCRYGate(shared.tolist()), [data, *range(data)])
            return circuit
        angles = walsh_hadamard(shared) / size
        # angles beyond 4 pi are reduced one by one, and are then no sum of few columns
        columns = self.columns if self._holds(angles) else None
        return _chain(data, columns, lambda column: float(angles[column]))

    def simulator_circuit(self, row: Float64[np.ndarray, " R"], shared: Theta) -> QuantumCircuit:
        """Return the same circuit with the multiplexer of Aer, fed with an array."""
        return multiplexer_circuit(shared) if self.is_multiplexer else self.bind(row, shared)

    @cached_property
    def template(self) -> Template:
        """Gate chain of both syntheses; one parameter per rotation, in the order of the chain."""
        order = self._chain_columns
        shared = ParameterVector("shared", len(order))
        angles = dict(zip(order, shared, strict=True))
        circuit = _chain(self.num_index_qubits, self.columns, angles.__getitem__)
        return Template(circuit, ParameterVector("row", 0), shared)

    def template_angles(
        self, rows: Float64[np.ndarray, "B R"], shared: Float64[np.ndarray, "S N"]
    ) -> tuple[Float64[np.ndarray, "B R"], Float64[np.ndarray, "S rotations"]]:
        """Return the angles of the chain [rad]: Walsh coefficients of each row of angles.

        Raises:
            ArgumentError: If angles of the sparse form are not sums of its Walsh columns.
        """
        angles = walsh_hadamard(shared) / self.num_shared_angles
        if not self._holds(angles):
            raise ArgumentError(
                "Angles of a sparse memory must be pi/2 plus a sum of its Walsh columns (got other "
                "ones, or angles beyond 4 pi, which are reduced one by one). Lower the learning "
                "rate or `scale`, or use num_angles=None."
            )
        return rows, angles[:, self._chain_columns]

    def working_memory(self) -> int:
        """Return the bytes for all outcomes of one circuit, which runs in blocks if it is large."""
        each = BYTES_PER_OUTCOME if self.is_multiplexer else BYTES_PER_AMPLITUDE_OF_GATES
        return each << self.num_qubits

    def __getstate__(self) -> dict[str, object]:
        return {one.name: getattr(self, one.name) for one in fields(self)}  # without cached values

    @property
    def _chain_columns(self) -> list[int]:
        return [column for column, _ in chain_steps(self.num_index_qubits, self.columns)]

    def _holds(self, coefficients: Float64[np.ndarray, "*rows N"]) -> bool:
        """Return whether the columns of the chain hold all Walsh coefficients."""
        if self.columns is None:
            return True
        lost = np.delete(coefficients, self._chain_columns, axis=-1)
        return bool(np.abs(lost).max(initial=0) <= LARGEST_LOST_ANGLE)


def _chain(
    num_index_qubits: int, columns: Iterable[int] | None, angle: Callable[[int], float | Parameter]
) -> QuantumCircuit:
    """Return the circuit of `chain_steps`; ``angle`` maps a column to its angle."""
    data = num_index_qubits
    circuit = QuantumCircuit(data + 1, name="memory")
    circuit.h(range(data))
    append_chain(circuit, angle, range(data), data, columns)
    return circuit


def split_probabilities(probabilities: Float64[np.ndarray, " outcomes"]) -> Theta:
    r"""Return estimates :math:`(p_{k0} - p_{k1}) / (p_{k0} + p_{k1})`, 0 if unmeasured.

    They estimate :math:`\cos\theta_k`. With S shots and :math:`p_0 = (1 - 1/N)^S`, the mean is
    :math:`(1 - p_0) \cos\theta_k` and the variance
    :math:`\sin^2\theta_k E[1/n; n > 0] + \cos^2\theta_k \, p_0 (1 - p_0)`, ``n`` binomial.
    Corrected probabilities can be negative. Their ratios are limited to those of probabilities.
    """
    zero, one = probabilities.reshape(2, -1)
    total = zero + one
    cosines: Theta = np.subtract(zero, one, where=total > 0, out=np.zeros_like(total))
    np.divide(cosines, total, out=cosines, where=total > 0)
    return np.clip(cosines, -1.0, 1.0, out=cosines)
