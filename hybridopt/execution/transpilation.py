"""Circuits in the gates of a noise model, or on the qubits of a device, by Qiskit's transpiler."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache

from qiskit import QuantumCircuit
from qiskit.circuit import Instruction
from qiskit.exceptions import QiskitError
from qiskit.providers import BackendV2
from qiskit.transpiler import PassManager, generate_preset_pass_manager
from qiskit.transpiler.passes import Optimize1qGatesDecomposition

from hybridopt.errors import CircuitError


@dataclass(frozen=True)
class PlacementOptions:
    """Options of the transpiler that places circuits on a device."""

    layout: tuple[int, ...] | None = None  # device qubit of each circuit qubit
    optimization_level: int = 1
    seed_transpiler: int = 0


def place_on_device(
    circuit: QuantumCircuit, device: BackendV2, options: PlacementOptions
) -> QuantumCircuit:
    """Return the parameterized circuit by Qiskit's preset pass manager, all qubits measured."""
    names = {item.operation.name for item in circuit.data}
    measured = circuit
    if "measure" not in names:  # they will be: whoever runs the circuit takes these out again
        measured = circuit.measure_all(inplace=False)
    manager = generate_preset_pass_manager(
        optimization_level=options.optimization_level,
        backend=device,
        initial_layout=None if options.layout is None else list(options.layout),
        seed_transpiler=options.seed_transpiler,
    )
    try:
        return manager.run(measured)
    except QiskitError as error:
        if "delay" in names:
            target = device.target
            raise CircuitError(
                f"Qiskit cannot place the delays of the circuit on {device.name}: {error}. They "
                f"must be whole multiples of {max(target.pulse_alignment, target.granularity)} dt, "
                f"with dt = {target.dt} s."
            ) from error
        raise _cannot_be_written(str(device.name), error) from error


def write_in_basis(circuit: QuantumCircuit, basis: Collection[str], name: str) -> QuantumCircuit:
    """The same circuit on the same qubits, in the gates of a noise model."""
    manager = generate_preset_pass_manager(0, basis_gates=sorted(basis))
    manager.scheduling = None  # delays keep their units: each is told its own relaxation
    try:
        return manager.run(circuit)
    except QiskitError as error:
        raise _cannot_be_written(name, error) from error


@lru_cache(maxsize=512)
def basis_change_for(
    letter: str, qubit: int, device: BackendV2 | None, basis: frozenset[str], name: str
) -> tuple[Instruction, ...]:
    """Gates, apart from the circuit, after which a measurement of a qubit in Z is one in X or Y."""
    circuit = QuantumCircuit(1 if device is None else device.num_qubits)
    place = 0 if device is None else qubit
    if letter == "Y":
        circuit.sdg(place)
    circuit.h(place)
    if device is None:
        return tuple(item.operation for item in write_in_basis(circuit, basis, name).data)
    try:
        manager = PassManager([Optimize1qGatesDecomposition(target=device.target)])
        done = manager.run(circuit)
    except QiskitError as error:
        raise _cannot_be_written(name, error) from error
    gates = tuple(item.operation for item in done.data)
    for gate in gates:
        if not device.target.instruction_supported(gate.name, (place,)):
            raise _cannot_be_written(name, f"qubit {place} has no `{gate.name}`")
    return gates


def _cannot_be_written(name: str, error: object) -> CircuitError:
    return CircuitError(
        f"The circuit cannot be written in the gates of {name}: {error}. Use noise "
        "on a set of gates in which every circuit can be written, such as rz, sx, x and cx."
    )
