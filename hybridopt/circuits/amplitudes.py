"""Amplitude encoding: a start state whose amplitudes are numbers that samples bring."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Complex128, Float64
from qiskit import QuantumCircuit
from qiskit.circuit import Instruction, Parameter, ParameterExpression, Reset
from qiskit.circuit.library import StatePreparation
from qiskit.exceptions import QiskitError

from hybridopt.circuits.errors import CircuitError
from hybridopt.circuits.instructions import NOT_GATES, qubits_of
from hybridopt.circuits.multiplexer import append_chain, chain_steps, walsh_hadamard

# the instruction of qiskit-machine-learning, known by its name, as the package is heavy to import
PARAMETERIZED = "ParameterizedInitialize"


class AmplitudeEncoding(Instruction):  # type: ignore[misc]
    """Instruction that sets amplitudes, which may contain parameters.

    qiskit-machine-learning's instruction of this name raises an error when it is compared or
    stored with free parameters; this one has no definition then.
    """

    def __init__(self, amplitudes: Sequence[object]) -> None:
        num_qubits = (len(amplitudes) - 1).bit_length()
        super().__init__(PARAMETERIZED, num_qubits, 0, list(amplitudes))

    def _define(self) -> None:
        if not _is_free(self):
            self.definition = QuantumCircuit(self.num_qubits)
            self.definition.append(_preparation(self), range(self.num_qubits))


def with_encodings(circuit: QuantumCircuit) -> QuantumCircuit:
    """Return the circuit with each amplitude instruction of other libraries as ours."""
    if PARAMETERIZED not in circuit.count_ops():
        return circuit
    result = circuit.copy_empty_like()
    for item in circuit.data:
        if item.operation.name == PARAMETERIZED:
            item = item.replace(operation=AmplitudeEncoding(item.operation.params))  # noqa: PLW2901
        result._append(item)
    return result


@dataclass(frozen=True)
class AmplitudeInput:
    """Start state of a program; its amplitudes are the first columns of the row angles.

    The state is normalised. Qubits that it does not name start in 0.
    """

    qubits: tuple[int, ...]  # the first one is the lowest bit of the index

    @property
    def size(self) -> int:
        """Number of amplitudes."""
        return 1 << len(self.qubits)

    def places(self) -> np.ndarray:
        """Return the index of each amplitude in a state of the whole circuit."""
        index, places = np.arange(self.size), np.zeros(self.size, dtype=np.int64)
        for bit, qubit in enumerate(self.qubits):
            places |= ((index >> bit) & 1) << qubit
        return places

    def starts(self, rows: Float64[np.ndarray, "B R"]) -> Float64[np.ndarray, "B amplitudes"]:
        """Return the normalised amplitudes of each sample."""
        amplitudes = rows[:, : self.size]
        amplitudes = amplitudes / np.abs(amplitudes).max(axis=1, keepdims=True)  # no overflow
        return np.asarray(amplitudes / np.linalg.norm(amplitudes, axis=1, keepdims=True))

    def states(
        self, rows: Float64[np.ndarray, "B R"], num_qubits: int
    ) -> Complex128[np.ndarray, "B dim"]:
        """Return the start state of each sample."""
        states = np.zeros((len(rows), 1 << num_qubits), dtype=np.complex128)
        states[:, self.places()] = self.starts(rows)
        return states

    def angles(self, rows: Float64[np.ndarray, "B R"]) -> Float64[np.ndarray, "B angles"]:
        """Return the angles of `append_preparation` [rad], one less than amplitudes, per sample."""
        blocks = self.starts(rows)  # norms of blocks of amplitudes; signed at the last level
        levels = []
        for _ in self.qubits:
            zero, one = blocks[:, ::2], blocks[:, 1::2]
            theta = 2 * np.arctan2(one, zero)
            columns = [column for column, _ in chain_steps(theta.shape[1].bit_length() - 1)]
            levels.append(walsh_hadamard(theta)[:, columns] / theta.shape[1])
            blocks = np.hypot(zero, one)
        return np.concatenate(levels[::-1], axis=1)

    def append_preparation(self, circuit: QuantumCircuit, angles: Sequence[Parameter]) -> None:
        """Append rotations that prepare a start state, from the highest qubit to the lowest.

        References:
            Mottonen et al., arXiv:quant-ph/0407010.
        """
        free = iter(angles)
        for place in reversed(range(len(self.qubits))):
            controls = self.qubits[place + 1 :]
            order = [column for column, _ in chain_steps(len(controls))]
            of_columns = dict(zip(order, free, strict=False))
            append_chain(circuit, of_columns.__getitem__, controls, self.qubits[place])

    def preparation(self, amplitudes: Float64[np.ndarray, " N"]) -> Instruction:
        """Return the gate that prepares a start state from fresh qubits."""
        return StatePreparation(amplitudes)


@dataclass(frozen=True, eq=False)
class FreshStart:
    """A circuit that begins with gates, and the amplitudes that it begins with."""

    circuit: QuantumCircuit
    amplitudes: AmplitudeInput | None
    expressions: tuple[ParameterExpression, ...]  # of the amplitudes


def fresh_start(circuit: QuantumCircuit) -> FreshStart:
    """Return the circuit without resets and initialisations at its beginning.

    A reset of a fresh qubit is dropped. `Initialize` of numbers becomes `StatePreparation`.

    Raises:
        CircuitError: If amplitudes with parameters are set on used qubits, or twice, or if the
            numbers are not a state.
    """
    starts = {"reset", "initialize", PARAMETERIZED}
    if not any(item.operation.name in starts for item in circuit.data):
        return FreshStart(circuit, None, ())
    used: set[int] = set()
    result = circuit.copy_empty_like()
    amplitudes, expressions = None, ()
    for item in circuit.data:
        gate, qubits = item.operation, qubits_of(circuit, item)
        fresh = used.isdisjoint(qubits)
        if gate.name == PARAMETERIZED and _is_free(gate):
            if not fresh or amplitudes is not None:
                where = ", ".join(map(str, qubits))
                raise CircuitError(
                    "Amplitudes with parameters must be set by one instruction per circuit, before "
                    f"any gate on its qubits (got another on qubits {where})."
                )
            amplitudes, expressions = AmplitudeInput(qubits), tuple(map(_expression, gate.params))
        elif gate.name in starts and fresh:
            if not isinstance(gate, Reset):
                result.append(_preparation(gate), item.qubits)
        else:
            result.append(item)
        if gate.name not in NOT_GATES and not isinstance(gate, Reset):
            used.update(qubits)
    return FreshStart(result, amplitudes, expressions)


def _is_free(gate: Instruction) -> bool:
    return any(isinstance(p, ParameterExpression) and p.parameters for p in gate.params)


def _expression(value: object) -> ParameterExpression:
    return value if isinstance(value, ParameterExpression) else ParameterExpression({}, str(value))


def _preparation(gate: Instruction) -> StatePreparation:
    """Return the gate that prepares the state of an initialisation of fresh qubits."""
    try:
        return StatePreparation(_numbers(gate.params, gate.num_qubits))
    except QiskitError as error:
        raise CircuitError(f"`{gate.name}` sets no valid state: {error.message}.") from error


def _numbers(params: Sequence[Any], num_qubits: int) -> object:
    """Return letters or normalised amplitudes, as `StatePreparation` takes them."""
    if any(isinstance(value, str) for value in params):
        return "".join(map(str, params))
    numbers = np.array([complex(value) for value in params])
    if len(numbers) == 1 << num_qubits:
        return numbers / np.linalg.norm(numbers)
    if len(numbers) != 1 or not 0 <= numbers[0].real < 1 << num_qubits:
        raise QiskitError(f"{params} does not fit {num_qubits} qubits")
    return format(int(numbers[0].real), f"0{num_qubits}b")  # an integer names a basis state
