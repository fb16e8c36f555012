"""Gate errors as instructions, because Aer converts a noise model slowly in each call."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache, reduce

import numpy as np
from jaxtyping import Complex128
from qiskit import QuantumCircuit
from qiskit.circuit import CircuitInstruction, Instruction, Parameter, ParameterExpression
from qiskit.circuit.library import get_standard_gate_name_mapping
from qiskit.quantum_info import SuperOp
from qiskit_aer.noise import LocalNoisePass, NoiseModel, QuantumError
from qiskit_aer.noise.errors.base_quantum_error import QuantumChannelInstruction

from hybridopt.circuits.gates import is_standard
from hybridopt.circuits.instructions import qubits_of
from hybridopt.errors import UnsupportedError

_IDENTITY = np.eye(4, dtype=np.complex128)
_TWO_ANGLES = (0.4, 1.1)  # [rad]; errors that are equal at both do not depend on the angle
SMALLEST_PROBABILITY = 1e-10  # terms up to this size are left out by Aer (0.18.2)


def with_channels(
    circuit: QuantumCircuit,
    model: NoiseModel,
    channels: dict[int, Instruction],
    *,
    has_delays: bool | None = None,
) -> QuantumCircuit:
    """Return the circuit with the error of each gate as an instruction behind the gate.

    Aer applies noise passes only to circuits with delays. For a part of a circuit, ``has_delays``
    says whether the whole has any.
    """
    if "delay" in circuit.count_ops() if has_delays is None else has_delays:
        for noise_pass in model._custom_noise_passes:
            _check_angles(circuit, noise_pass)
            circuit = noise_pass(circuit)
    noisy = circuit.copy_empty_like()
    for item in circuit.data:
        operation = item.operation
        if isinstance(operation, QuantumChannelInstruction):
            operation = channel(operation._quantum_error)
        noisy.append(operation, item.qubits, copy=False)
        names = (operation.label, operation.name)
        error = _error_of(names, qubits_of(circuit, item), model)
        if error is not None:
            if id(error) not in channels:
                channels[id(error)] = channel(error)
            noisy.append(channels[id(error)], item.qubits, copy=False)
    return noisy


def _check_angles(circuit: QuantumCircuit, noise_pass: object) -> None:
    """Raise UnsupportedError if the errors of a noise pass depend on free angles."""
    if not isinstance(noise_pass, LocalNoisePass):
        return
    for item in circuit.data:
        gate, qubits = item.operation, qubits_of(circuit, item)
        names = item.operation.params if item.is_parameterized() else ()
        free = {p for value in names for p in getattr(value, "parameters", ())}
        if not free or (noise_pass._ops and not isinstance(gate, noise_pass._ops)):
            continue
        low, high = (
            _superoperator(noise_pass._func(_at(item, dict.fromkeys(free, angle)), list(qubits)))
            for angle in _TWO_ANGLES
        )
        if not np.array_equal(low, high):
            raise UnsupportedError(
                "Errors of the noise model must not depend on free angles (got errors of "
                f"`{gate.name}` on qubits {', '.join(map(str, qubits))} that do). Use errors with "
                "constant parameters."
            )


def _at(item: CircuitInstruction, angles: Mapping[Parameter, float]) -> Instruction:
    """Return the gate at some angles."""
    gate = item.operation.copy()
    gate.params = [
        value.bind(angles, allow_unknown_parameters=True).numeric()
        if isinstance(value, ParameterExpression)
        else value
        for value in gate.params
    ]
    return gate


def _superoperator(noise: object) -> np.ndarray:
    return np.zeros(0) if noise is None else np.asarray(SuperOp(noise).data)


def add_errors_of_measurement(
    circuit: QuantumCircuit, model: NoiseModel, qubits: Iterable[int]
) -> None:
    """Append the errors of ``measure``, which Aer omits when it saves probabilities."""
    for qubit in qubits:
        error = _error_of(("measure",), (qubit,), model)
        if error is not None:
            circuit.append(channel(error), [qubit])


def channel(error: QuantumError) -> Instruction:
    """Return an error as an instruction for density matrices."""
    # Qiskit converts a `SuperOp` to Kraus operators, which are exact to 1e-8 only.
    count = error.num_qubits
    local = np.zeros((4,) * (2 * count), dtype=np.complex128)  # rows and columns, qubit by qubit
    whole = np.zeros((4**count, 4**count), dtype=np.complex128)
    for circuit, probability in zip(error.circuits, error.probabilities, strict=True):
        if probability <= SMALLEST_PROBABILITY:
            continue
        factors = [_IDENTITY] * count
        for item in circuit.data:
            operation = item.operation
            if operation.name == "pauli":
                letters = reversed(operation.params[0])  # the rightmost on the first qubit
                maps = [_gate_map("id" if one == "I" else one.lower()) for one in letters]
            elif operation.num_qubits == 1:
                plain = is_standard(operation) and not operation.params
                maps = [_gate_map(operation.name) if plain else SuperOp(operation).data]
            else:
                whole += probability * SuperOp(circuit).data
                break
            for qubit, one in zip(item.qubits, maps, strict=True):
                place = circuit.find_bit(qubit).index
                factors[place] = one @ factors[place]
        else:
            local += probability * reduce(np.multiply.outer, reversed(factors))
    return Instruction("superop", count, 0, [whole + _bras_first(local)])


@cache
def _gate_map(name: str) -> Complex128[np.ndarray, "4 4"]:
    return np.asarray(SuperOp(get_standard_gate_name_mapping()[name]).data)


def _bras_first(local: Complex128[np.ndarray, "*qubits"]) -> Complex128[np.ndarray, "n n"]:
    """Return a SuperOp, all bras before all kets, from rows and columns of each qubit."""
    count = local.ndim // 2
    rows = [*range(0, 4 * count, 4), *range(1, 4 * count, 4)]
    axes = [*rows, *(axis + 2 for axis in rows)]
    size = 4**count
    return local.reshape([2] * (4 * count)).transpose(axes).reshape(size, size)


def _error_of(
    names: Iterable[str | None], qubits: tuple[int, ...], model: NoiseModel
) -> QuantumError | None:
    """Return the error of the first name that has one, for these qubits or for all."""
    for name in names:
        local = model._local_quantum_errors.get(name, {})
        error = local.get(qubits, model._default_quantum_errors.get(name))
        if error is not None:
            return error
    return None
