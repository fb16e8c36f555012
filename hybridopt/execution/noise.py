"""Noise: gate errors by name, readout errors, and the device that they belong to."""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import NoneType, SimpleNamespace
from typing import Any

import numpy as np
from jaxtyping import Float64
from qiskit import QuantumCircuit
from qiskit.circuit import Instruction
from qiskit.providers import BackendV2
from qiskit.transpiler import InstructionProperties, QubitProperties, Target
from qiskit_aer import AerSimulator
from qiskit_aer.noise import LocalNoisePass, NoiseModel

from hybridopt import _validation
from hybridopt._warnings import ignored_warnings
from hybridopt.circuits.instructions import NOT_GATES, qubits_of
from hybridopt.circuits.program import CircuitProgram
from hybridopt.errors import UnsupportedError
from hybridopt.execution.transpilation import (
    PlacementOptions,
    basis_change_for,
    check_width,
    place_on_device,
    write_in_basis,
)

Distribution = Float64[np.ndarray, "*cells outcomes"]
Qubits = tuple[int, ...]
Gates = frozenset[tuple[str, Qubits]]  # names and labels of gates, with their qubits
MOST_MODELS = 64  # cached noise models of parts of devices
_MODELS: dict[Hashable, NoiseModel] = {}


@dataclass(frozen=True, eq=False)
class Noise:
    """Noise model or device, reduced to the noise of the qubits in use."""

    model: NoiseModel | None  # None for the model of the device
    device: BackendV2 | None = None  # circuits are placed and routed on it
    options: PlacementOptions = field(default_factory=PlacementOptions)

    def __repr__(self) -> str:
        return "NoiseModel" if self.device is None else str(self.device.name)

    def to_plain(self) -> dict[str, Any] | str:
        """Return a noise model as JSON; the name of a device, or of a model that JSON changes."""
        if self.model is None or self.device is not None:
            return str(self)
        try:
            stored = json.loads(json.dumps(self.model.to_dict(serializable=True)))
        except (TypeError, ValueError):
            return str(self)
        for error in stored["errors"]:
            error.pop("id", None)  # a random number, which would differ in equal models
        whole = not self.model._custom_noise_passes and model_from_plain(stored) == self.model
        return stored if whole else str(self)

    def place(self, circuit: QuantumCircuit, known: frozenset[str]) -> QuantumCircuit:
        """Return the circuit in the ``known`` gates of the noise, or placed on the device."""
        if self.device is None:
            return write_in_basis(circuit, known & self._gates, str(self))
        self._check_width(circuit.num_qubits)
        return place_on_device(circuit, self.device, self.options)

    def basis_change(self, letter: str, qubit: int, known: frozenset[str]) -> Sequence[Instruction]:
        """Return the gates of a device qubit before a measurement of X or Y."""
        return basis_change_for(letter, qubit, self.device, known & self._gates, str(self))

    def of(self, circuits: Sequence[QuantumCircuit], qubits: Qubits) -> NoiseModel:
        """Return the noise of circuits on these device qubits, numbered from 0."""
        gates = gates_of(circuits)
        if self.model is not None:
            return model_noise(self.model, qubits, gates)
        assert self.device is not None
        return device_noise(self.device.target, qubits, gates)

    def check_isa(self, circuit: QuantumCircuit) -> None:
        """Raise UnsupportedError for a transpiled circuit that the device cannot run."""
        if self.options.layout is not None:
            raise UnsupportedError(
                "`layout` of the executor must be None for a transpiled circuit, which has its own "
                f"layout (got {self.options.layout}). Set it to None, or do not transpile."
            )
        if self.device is None:
            return
        for item in circuit.data:
            name, qubits = item.operation.name, qubits_of(circuit, item)
            if name in NOT_GATES or self.device.target.instruction_supported(name, qubits):
                continue
            raise UnsupportedError(
                f"The transpiled circuit has `{name}` on qubit{'s' if len(qubits) > 1 else ''} "
                f"{', '.join(map(str, qubits))}, which {self} cannot run. Transpile the circuit "
                f"for {self}, or do not transpile it."
            )

    def check(self, program: CircuitProgram, known: frozenset[str]) -> None:
        """Raise UnsupportedError for too many qubits, and for errors without effect."""
        if program.device_qubits is None:
            self._check_width(program.num_qubits)
            if self.device is not None:  # circuits are rewritten in its gates
                return
        self._check_qubits(program.device_qubits or range(program.num_qubits))
        noisy = self._gates if self.model is None else frozenset(self.model.noise_instructions)
        without_effect = noisy & program.rewritten | (noisy & program.fixed_names) - known
        if without_effect:
            raise UnsupportedError(
                f"The errors of `{min(without_effect)}` in the noise model have no effect, because "
                "the circuit has no gate of this name. Write the circuit in gates such as "
                "rx, ry, rz, rxx, ryy, rzz, rzx, p and cx, and add errors to these gates."
            )

    def _check_qubits(self, qubits: Iterable[int]) -> None:
        """Raise UnsupportedError if all errors are on other qubits; a model may have no errors."""
        model, used = self.model, set(qubits)
        if model is None or model._default_quantum_errors or model._default_readout_error:
            return
        local = [where for errors in model._local_quantum_errors.values() for where in errors]
        noisy = {qubit for where in [*local, *model._local_readout_errors] for qubit in where}
        if noisy and not noisy & used and not model._custom_noise_passes:
            raise UnsupportedError(
                "The noise model must have errors on qubits of the circuit, "
                f"{_listed(used)} (got errors on {_listed(noisy)} only). Add errors to these "
                "qubits, or to all: `add_all_qubit_quantum_error`."
            )

    def check_couplings(self, circuit: QuantumCircuit) -> None:
        """Raise UnsupportedError for gates on pairs without errors, if other pairs have some."""
        if self.device is not None or self.model is None:
            return
        local = self.model._local_quantum_errors
        for item in circuit.data:
            name, places = item.operation.name, len(item.qubits)
            if places < 2 or name not in local or name in self.model._default_quantum_errors:
                continue
            qubits = qubits_of(circuit, item)
            known = sorted(where for where in local[name] if len(where) == places)
            if known and qubits not in known:
                more = f" and {len(known) - 6} more" if len(known) > 6 else ""
                raise UnsupportedError(
                    f"The noise model has errors of `{name}` on {', '.join(map(str, known[:6]))}"
                    f"{more}, but none on {qubits}, where the circuit has it. Give the device, as "
                    "in AerExecutor(noise_model=backend), to route the circuit, or add errors."
                )

    def check_readout(self, qubits: Iterable[int]) -> None:
        """Raise UnsupportedError for correlated readout errors, which have no effect."""
        read = set(qubits)
        for where in () if self.model is None else self.model._local_readout_errors:
            if len(where) > 1 and read.intersection(where):
                raise UnsupportedError(
                    "A readout error of the noise model must act on one qubit (got qubits "
                    f"{where}). Qubits are measured separately, so it would have no effect."
                )

    @property
    def _gates(self) -> frozenset[str]:
        """Names of the gates in which circuits are written."""
        of_model = self.model.basis_gates if self.model is not None else ()
        return frozenset(of_model if self.device is None else self.device.operation_names)

    def _check_width(self, num_qubits: int) -> None:
        check_width(num_qubits, self.device, str(self))
        layout = self.options.layout  # only with a device
        if layout is not None and len(layout) != num_qubits:
            raise UnsupportedError(
                f"`layout` of the executor must name {num_qubits} device qubits, one per qubit of "
                f"the circuit (got {len(layout)})."
            )


def _listed(qubits: Iterable[int]) -> str:
    """Return the first six of some qubits in words."""
    first, *more = sorted(qubits)
    others = f" and {len(more) - 5} more" if len(more) > 5 else ""
    return ", ".join(map(str, [first, *more[:5]])) + others


def misread(distribution: Distribution, model: NoiseModel, qubits: Sequence[int]) -> Distribution:
    """Return the probabilities of reported outcomes, from those of the true outcomes."""
    cells = distribution.shape[:-1]
    tensor = distribution.reshape(*cells, *(2 for _ in qubits))
    for place, qubit in enumerate(qubits):
        confusion = confusion_of(model, qubit)
        if confusion is None:
            continue
        axis = tensor.ndim - 1 - place  # the first qubit is the last axis
        tensor = np.moveaxis(np.tensordot(tensor, confusion, axes=(axis, 0)), -1, axis)
    return np.ascontiguousarray(tensor).reshape(*cells, -1)


def confusion_of(model: NoiseModel, qubit: int) -> Float64[np.ndarray, "true read"] | None:
    """Return the probabilities of reading 0 and 1 in states 0 and 1; None without errors."""
    error = model._local_readout_errors.get((qubit,), model._default_readout_error)
    return None if error is None else np.asarray(error.probabilities, dtype=np.float64)


def noise_of(value: object) -> Noise | None:
    """Return the noise of a `NoiseModel` or a `BackendV2`; None for None."""
    if value is None:
        return None
    expected = "a qiskit_aer.noise.NoiseModel, a BackendV2 such as FakeManilaV2(), or None"
    given: Any = _validation.instance("noise_model", value, NoiseModel | BackendV2, expected)
    if isinstance(given, AerSimulator):  # with couplings it is a device
        device = None if given.coupling_map is None else given
        return Noise(given.options.noise_model or NoiseModel(), device)
    return Noise(given) if isinstance(given, NoiseModel) else Noise(None, given)


def model_from_plain(stored: dict[str, Any]) -> NoiseModel | None:
    """Return the noise model of `Noise.to_plain`; None if this Aer cannot read it."""
    try:
        # deprecated in Aer 0.15 without replacement
        with ignored_warnings(category=DeprecationWarning):
            return NoiseModel.from_dict(stored)
    except Exception:  # noqa: BLE001  Aer raises many kinds; the caller raises our error
        return None


def gates_of(circuits: Iterable[QuantumCircuit]) -> Gates:
    """Return names and labels of the gates of some circuits, each with its qubits."""
    return frozenset(
        (name, qubits_of(circuit, item))
        for circuit in circuits
        for item in circuit.data
        for name in (item.operation.name, item.operation.label)
        if name is not None
    )


def device_noise(target: Target, qubits: Qubits, gates: Gates) -> NoiseModel:
    """Return Aer's noise model of a few qubits of a device; the whole device takes seconds.

    Models are cached by the content of this part: copies of an executor need the same one.
    """
    part = _part_of(target, qubits, gates)
    content = _content_of(part)
    if content is None:
        return _model_of(part)
    if content not in _MODELS:
        if len(_MODELS) >= MOST_MODELS:
            _MODELS.clear()
        _MODELS[content] = _model_of(part)
    return _MODELS[content]


def _part_of(target: Target, qubits: Qubits, gates: Gates) -> Target:
    """Return the part of a target with some qubits, numbered from 0, and some gates."""
    known = target.qubit_properties
    properties = known and [known[qubit] for qubit in qubits]
    part = Target(num_qubits=len(qubits), dt=target.dt, qubit_properties=properties)
    place = {qubit: number for number, qubit in enumerate(qubits)}
    for name in target.operation_names:
        operation = target.operation_from_name(name)
        if isinstance(operation, type) or target[name] is None:
            continue  # control flow, and ideal instructions
        held_properties = {
            held: value
            for where, value in target[name].items()
            if where is not None and place.keys() >= set(where)
            for held in [tuple(place[qubit] for qubit in where)]
            if name == "measure" or (name, held) in gates
        }
        if held_properties:
            part.add_instruction(operation, held_properties, name=name)
    return part


def _content_of(part: Target) -> Hashable | None:
    """Return all that a noise model depends on; None for properties of unknown classes."""
    content: list[Hashable] = [part.num_qubits, part.dt]
    for qubit in part.qubit_properties or ():
        if type(qubit) is not QubitProperties:
            return None
        content.append((qubit.t1, qubit.t2, qubit.frequency))
    for name in part.operation_names:
        operation = part.operation_from_name(name)
        content.append((name, type(operation), str(operation.params)))
        for where, value in part[name].items():
            if type(value) not in (InstructionProperties, NoneType):
                return None
            more = repr(vars(value)) if hasattr(value, "__dict__") else ""
            content.append(
                (where, getattr(value, "error", None), getattr(value, "duration", None), more)
            )
    return tuple(content)


def _model_of(part: Target) -> NoiseModel:
    with ignored_warnings(".*has no QubitProperties"):  # of devices without relaxation times
        names = list(part.operation_names)
        device = SimpleNamespace(version=2, target=part, operation_names=names, dt=part.dt)
        return NoiseModel.from_backend(device)


def model_noise(model: NoiseModel, qubits: Qubits, gates: Gates) -> NoiseModel:
    """Return the noise model of some qubits, numbered from 0, and of some gates."""
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
    same = qubits == tuple(range(len(qubits)))
    for noise_pass in model._custom_noise_passes:
        part._custom_noise_passes.append(noise_pass if same else _moved(noise_pass, qubits))
    return part


def _on_device(function: Any, qubits: Qubits, gate: Instruction, places: Sequence[int]) -> Any:
    """Call the function of a noise pass with the qubits of the device."""
    return function(gate, [qubits[place] for place in places])


def _moved(noise_pass: object, qubits: Qubits) -> LocalNoisePass:
    if not isinstance(noise_pass, LocalNoisePass) or type(noise_pass).run is not LocalNoisePass.run:
        raise UnsupportedError(
            "Each custom pass of the noise model must be a LocalNoisePass, as only the qubits in "
            f"use are simulated (got {type(noise_pass).__name__})."
        )
    function = partial(_on_device, noise_pass._func, qubits)
    return LocalNoisePass(function, noise_pass._ops or None, noise_pass._method)
