"""Qiskit's transpiler: circuits in the gates of a noise model, or on a device."""

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

from hybridopt import _validation
from hybridopt.circuits.errors import CircuitError
from hybridopt.errors import ArgumentError, UnsupportedError


@dataclass(frozen=True)
class PlacementOptions:
    """Options of the transpiler that places circuits on a device."""

    layout: tuple[int, ...] | None = None  # device qubit of each circuit qubit
    optimization_level: int = 1
    seed_transpiler: int = 0


def placement_options(
    device: BackendV2 | None, layout: object, optimization_level: object, seed_transpiler: object
) -> PlacementOptions:
    """Return checked options; raise ArgumentError for those of a device if there is none."""
    level = _validation.integer("optimization_level", optimization_level, minimum=0, maximum=3)
    seed = _validation.integer("seed_transpiler", seed_transpiler, minimum=0)
    if device is None:
        usual = PlacementOptions()
        _only_with_a_device("optimization_level", level, usual.optimization_level)
        _only_with_a_device("seed_transpiler", seed, usual.seed_transpiler)
    if layout is None:
        return PlacementOptions(None, level, seed)
    if device is None:
        raise ArgumentError(
            f"`layout` must be None if `noise_model` is not a device (got {layout}). Give the "
            "device, as in AerExecutor(noise_model=backend, layout=[...])."
        )
    last = device.num_qubits - 1
    qubits = tuple(
        _validation.integer("layout", qubit, minimum=0, maximum=last)
        for qubit in _validation.items("layout", layout)
    )
    if len(set(qubits)) != len(qubits) or not qubits:
        raise ArgumentError(
            f"`layout` must name at least one device qubit, each once (got {layout})."
        )
    return PlacementOptions(qubits, level, seed)


def _only_with_a_device(name: str, value: int, usual: int) -> None:
    if value != usual:
        raise ArgumentError(
            f"`{name}` must be {usual} if `noise_model` is not a device (got {value}). Give the "
            f"device, as in AerExecutor(noise_model=backend, {name}={value}), or transpile the "
            "circuit first: a transpiled circuit runs unchanged."
        )


def check_width(num_qubits: int, device: BackendV2 | None, name: str) -> None:
    """Raise UnsupportedError for more qubits than a device has."""
    if device is not None and num_qubits > device.num_qubits:
        raise UnsupportedError(
            f"The circuit must have at most {device.num_qubits} qubits on {name} "
            f"(got {num_qubits}). Use fewer qubits, or a larger device."
        )


def place_on_device(
    circuit: QuantumCircuit, device: BackendV2, options: PlacementOptions
) -> QuantumCircuit:
    """Return the parameterized circuit on the device, with all qubits measured."""
    names = {item.operation.name for item in circuit.data}
    # measurements count for the choice of the layout
    measured = circuit if "measure" in names else circuit.measure_all(inplace=False)
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
                "Delays of the circuit must be multiples of "
                f"{max(target.pulse_alignment, target.granularity)} dt on {device.name}, with "
                f"dt = {target.dt} s. Qiskit reports: {error}"
            ) from error
        raise _cannot_be_written(str(device.name), error) from error


def write_in_basis(circuit: QuantumCircuit, basis: Collection[str], name: str) -> QuantumCircuit:
    """Return the circuit on the same qubits, in the gates of a noise model."""
    manager = generate_preset_pass_manager(0, basis_gates=sorted(basis))
    manager.scheduling = None  # delays keep their units, which the relaxation noise uses
    try:
        return manager.run(circuit)
    except QiskitError as error:
        raise _cannot_be_written(name, error) from error


@lru_cache(maxsize=512)
def basis_change_for(
    letter: str, qubit: int, device: BackendV2 | None, basis: frozenset[str], name: str
) -> tuple[Instruction, ...]:
    """Return the gates before a measurement of X or Y, which then measures Z."""
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
        f"The circuit cannot be written in the gates of {name}: {error}. Use noise on a universal "
        "set of gates, such as rz, sx, x and cx."
    )
