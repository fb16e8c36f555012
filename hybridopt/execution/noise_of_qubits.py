"""The noise of some qubits of a device, counted from 0."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from qiskit import QuantumCircuit
from qiskit.circuit import Instruction
from qiskit.transpiler import Target
from qiskit_aer.noise import LocalNoisePass, NoiseModel

from hybridopt.circuits.instructions import qubits_of
from hybridopt.errors import UnsupportedError

Gates = frozenset[tuple[str, tuple[int, ...]]]


def gates_of(circuits: Iterable[QuantumCircuit]) -> Gates:
    """Names and labels of the gates of some circuits, each with its qubits."""
    return frozenset(
        (name, qubits_of(circuit, item))
        for circuit in circuits
        for item in circuit.data
        for name in (item.operation.name, item.operation.label)
        if name is not None
    )


def device_noise(target: Target, qubits: tuple[int, ...], gates: Gates) -> NoiseModel:
    """The model that Aer makes of a device, for a few of its qubits and gates.

    The errors are those of the model of the whole device, which takes seconds for a hundred qubits.
    """
    part = Target(
        num_qubits=len(qubits),
        dt=target.dt,
        qubit_properties=target.qubit_properties
        and [target.qubit_properties[qubit] for qubit in qubits],
    )
    place = {qubit: number for number, qubit in enumerate(qubits)}
    for name in target.operation_names:
        operation = target.operation_from_name(name)
        if isinstance(operation, type) or target[name] is None:
            continue  # control flow, and instructions that are ideal everywhere
        properties = {
            held: value
            for where, value in target[name].items()
            if where is not None and place.keys() >= set(where)
            for held in [tuple(place[qubit] for qubit in where)]
            if name == "measure" or (name, held) in gates
        }
        if properties:
            part.add_instruction(operation, properties, name=name)
    with warnings.catch_warnings():  # a device without relaxation times: told by Aer each time
        warnings.filterwarnings("ignore", message=".*has no QubitProperties")
        return NoiseModel.from_backend(_Part(part))


def model_noise(model: NoiseModel, qubits: tuple[int, ...], gates: Gates) -> NoiseModel:
    """A noise model for some of its qubits and gates; the qubits are then counted from 0."""
    place = {qubit: number for number, qubit in enumerate(qubits)}
    part = NoiseModel(basis_gates=model.basis_gates)
    names = {name for name, _ in gates} | {"measure"}
    for name, error in model._default_quantum_errors.items():
        if name in names:
            part.add_all_qubit_quantum_error(error, name)
    for name, errors in model._local_quantum_errors.items():
        for where, error in errors.items():
            held = tuple(place.get(qubit, -1) for qubit in where)
            if (name, held) in gates or (name == "measure" and -1 not in held):
                part.add_quantum_error(error, name, list(held), warnings=False)
    if model._default_readout_error is not None:
        part.add_all_qubit_readout_error(model._default_readout_error)
    for where, error in model._local_readout_errors.items():
        if place.keys() >= set(where):
            part.add_readout_error(error, [place[q] for q in where], warnings=False)
    same = all(qubit == number for number, qubit in enumerate(qubits))
    for noise_pass in model._custom_noise_passes:
        part._custom_noise_passes.append(noise_pass if same else _moved(noise_pass, qubits))
    return part


class _Part:
    """Part of a device, with the attributes that Aer asks for."""

    version = 2

    def __init__(self, target: Target) -> None:
        self.target = target
        self.operation_names = list(target.operation_names)
        self.dt = target.dt


@dataclass(frozen=True)
class _OnDevice:
    """The function of a noise pass, told the qubits of the device."""

    function: Any
    qubits: tuple[int, ...]

    def __call__(self, instruction: Instruction, places: Sequence[int]) -> Any:
        return self.function(instruction, [self.qubits[place] for place in places])


def _moved(noise_pass: object, qubits: tuple[int, ...]) -> LocalNoisePass:
    if not isinstance(noise_pass, LocalNoisePass) or type(noise_pass).run is not LocalNoisePass.run:
        raise UnsupportedError(
            f"The noise model has the custom pass {type(noise_pass).__name__}, which acts on a "
            "circuit of all qubits, but only those in use are simulated. Use a LocalNoisePass."
        )
    function = _OnDevice(noise_pass._func, qubits)
    return LocalNoisePass(function, noise_pass._ops or None, noise_pass._method)
