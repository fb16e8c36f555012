r"""Stacking: samples, and rows of shared angles, as blocks of one larger state.

Index qubits above those of the circuit, in uniform superposition, number the samples. A gate on
the low qubits acts on all samples. A rotation whose angle differs between samples is, in its frame,
one diagonal on its qubits and the index, with entry :math:`e^{-i \theta_b d_k}` for sample b.

A stack is built once and filled with angles before each run, because building a small circuit takes
longer than simulating it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Complex128, Float64, Int
from qiskit import QuantumCircuit
from qiskit.circuit import Instruction, Parameter

from hybridopt.circuits.gates import AerDiagonal
from hybridopt.circuits.program import CircuitProgram
from hybridopt.circuits.steps import FixedGate, Layer, Rotation, frame_changes
from hybridopt.execution.aer.simulator import save_settings
from hybridopt.execution.job import Rows, Shared
from hybridopt.execution.readout import Readout, Setting

# An entry, a Python number, takes 60 ns; a gate takes 10 us to transfer to Aer, and its simulation.
QUBITS_OF_A_DIAGONAL = 10


class _Diagonal:
    """Instruction for rotations, in their frames, whose angles depend on the index."""

    def __init__(self, rotations: list[Rotation], index_bits: int, sign: int) -> None:
        self.qubits = _union(rotations)
        self.angles = [rotation.angle for rotation in rotations]
        self.per_sample = rotations[0].per_sample
        states = np.arange(1 << len(self.qubits))
        self.instruction = AerDiagonal([1.0] * (len(states) << index_bits))
        rows = []
        for rotation in rotations:
            bits = [(states >> self.qubits.index(qubit)) & 1 for qubit in rotation.qubits]
            local = sum(bit << place for place, bit in enumerate(bits))
            rows.append(sign * rotation.family.eigenvalues[local])
        self.eigenvalues = np.array(rows)

    def fill(self, table: Float64[np.ndarray, "N A"]) -> None:
        """Set the angles of the lowest index values to the rows of a table."""
        phases = np.exp(-1j * (table[:, self.angles] @ self.eigenvalues))
        self.instruction.set_first_phases(phases.ravel().tolist())


def _union(rotations: Sequence[Rotation]) -> list[int]:
    return sorted({qubit for rotation in rotations for qubit in rotation.qubits})


class Stack:
    """Circuit for ``2**sample_bits`` samples and ``2**table_bits`` rows of shared angles."""

    def __init__(
        self,
        program: CircuitProgram,
        sample_bits: int,
        table_bits: int = 0,
        *,
        from_state: bool = False,
    ) -> None:
        self.program = program
        self.sample_bits = sample_bits
        self.table_bits = table_bits
        self.num_qubits = program.num_qubits + sample_bits + table_bits
        self.circuit = QuantumCircuit(self.num_qubits)
        self.labels: list[str] = []
        self._diagonals: list[_Diagonal] = []
        self._bound: dict[Parameter, tuple[Rotation, int, float]] = {}  # sign, offset
        from_state = from_state or program.amplitudes is not None
        self._start = _StartState("set_statevector", self.num_qubits, 0, []) if from_state else None
        if self._start is not None:
            self.circuit.append(self._start, self.circuit.qubits, copy=False)
        elif self.index:
            self.circuit.h(self.index)

    @staticmethod
    def bits_for(count: int) -> int:
        """Return the number of index qubits for a number of samples or rows."""
        return (count - 1).bit_length()

    @property
    def index(self) -> range:
        """Index qubits, those of the samples first."""
        return range(self.program.num_qubits, self.num_qubits)

    def add(self, gates: Sequence[FixedGate]) -> None:
        """Append gates that are the same for all samples."""
        for item in gates:
            self.circuit.append(item.gate, item.qubits, copy=False)

    def add_rotations(self, layer: Layer) -> None:
        """Append the rotations of a layer."""
        spread = [rotation for rotation in layer.rotations if self._index_of(rotation)]
        into_frame, out_of_frame = frame_changes(spread)
        self.add(into_frame)
        self.add_phases(spread)
        self.add(out_of_frame)
        for rotation in layer.rotations:
            if not self._index_of(rotation):
                self.add(rotation.gates(self.parameter(rotation)))

    def add_phases(self, rotations: Sequence[Rotation], sign: int = 1) -> None:
        """Append rotations of one layer in their frames, or (``sign = -1``) their inverses."""
        groups: dict[range, list[list[Rotation]]] = {}
        for rotation in rotations:
            index = self._index_of(rotation)
            if not index:
                self.add([rotation.phases(self.parameter(rotation, sign))])
                continue
            joined = groups.setdefault(index, [[]])
            if len(_union([*joined[-1], rotation])) + len(index) > QUBITS_OF_A_DIAGONAL:
                joined.append([])
            joined[-1].append(rotation)
        for index, joined in groups.items():
            for group in filter(None, joined):
                diagonal = _Diagonal(group, len(index), sign)
                self._diagonals.append(diagonal)
                qubits = [*diagonal.qubits, *index]
                self.circuit.append(diagonal.instruction, qubits, copy=False)

    def parameter(self, rotation: Rotation, sign: int = 1, offset: float = 0.0) -> Parameter:
        """Return a new parameter of the circuit for the angle of a rotation [rad]."""
        parameter = Parameter(f"angle {len(self._bound)}")
        self._bound[parameter] = rotation, sign, offset
        return parameter

    def add_readout(self, settings: Sequence[Setting], *, states: bool = False) -> None:
        """Append instructions that save the probabilities of every sample, under `labels`.

        With ``states``, they save the state in the basis of each setting instead.
        """
        self.labels = save_settings(self.circuit, settings, self.index, states=states)

    def fill(
        self, rows: Rows, shared: Shared, state: Complex128[np.ndarray, " amplitudes"] | None = None
    ) -> dict[Parameter, list[float]]:
        """Set the first state and the angles [rad] that differ within a run; return all others."""
        for diagonal in self._diagonals:
            diagonal.fill(rows if diagonal.per_sample else shared)
        if self._start is not None:
            self._start._params = [self._first_state(rows) if state is None else state]
        sources = self._sources
        table = np.empty((len(shared), len(self._bound)))
        table[:, ~sources.per_sample] = shared[:, sources.angles[~sources.per_sample]]
        if sources.per_sample.any():  # the sample is alone in its run
            table[:, sources.per_sample] = rows[0, sources.angles[sources.per_sample]]
        values = (sources.signs * table + sources.offsets).T.tolist()
        return dict(zip(self._bound, values, strict=True))

    @cached_property
    def _sources(self) -> _Sources:
        found = [(r.angle, r.per_sample, sign, offset) for r, sign, offset in self._bound.values()]
        angles, per_sample, signs, offsets = np.array(found, dtype=float).reshape(-1, 4).T
        return _Sources(angles.astype(int), per_sample.astype(bool), signs, offsets)

    def _first_state(self, rows: Rows) -> Complex128[np.ndarray, " amplitudes"]:
        """Return the amplitudes that samples bring, as blocks of one state."""
        program = self.program
        assert program.amplitudes is not None
        blocks = np.zeros((1 << self.sample_bits, 1 << program.num_qubits), dtype=np.complex128)
        blocks[: len(rows)] = program.amplitudes.states(rows, program.num_qubits)
        blocks[len(rows) :, 0] = 1
        state = np.tile(blocks.ravel(), 1 << self.table_bits)
        return np.asarray(state / np.sqrt(1 << len(self.index)))

    def split(
        self, saved: Float64[np.ndarray, " outcomes"], samples: int, tables: int = 1
    ) -> Float64[np.ndarray, "S B ..."]:
        """Return the probabilities of each row and sample from those of the stack."""
        blocks = (1 << self.table_bits, 1 << self.sample_bits)
        return np.asarray(blocks[0] * blocks[1] * saved.reshape(*blocks, -1)[:tables, :samples])

    def _index_of(self, rotation: Rotation) -> range:
        """Return the index qubits on which the angle of a rotation depends."""
        bits = self.sample_bits
        return self.index[:bits] if rotation.per_sample else self.index[bits:]


@dataclass(frozen=True, eq=False)
class _Sources:
    """Source of the value of each parameter of a stack: sign * angle + offset [rad]."""

    angles: Int[np.ndarray, " P"]  # columns of the rows or of the shared angles
    per_sample: Bool[np.ndarray, " P"]
    signs: Float64[np.ndarray, " P"]
    offsets: Float64[np.ndarray, " P"]


@dataclass(frozen=True, eq=False)
class StackRun:
    """Run of a stack, with its angles; each run of a call needs a different stack."""

    stack: Stack
    rows: Rows
    shared: Float64[np.ndarray, " O"]
    state: Complex128[np.ndarray, " amplitudes"] | None = None  # normalized first state, if any
    settings: int = 0  # settings of the run, for the cost
    readout: Readout | None = None  # as in `RunRequest`


class _StartState(Instruction):  # type: ignore[misc]
    """Aer's instruction to set a state, without the checks of `SetStatevector`."""

    _directive = True
