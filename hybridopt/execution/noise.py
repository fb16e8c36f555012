"""What noise there is: gate errors by name, and errors of the readout."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float64
from qiskit import QuantumCircuit
from qiskit.circuit import Instruction
from qiskit.providers import BackendV2
from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel

from hybridopt.circuits.instructions import qubits_of
from hybridopt.circuits.program import CircuitProgram
from hybridopt.errors import ArgumentTypeError, UnsupportedError
from hybridopt.execution.noise_of_qubits import device_noise, gates_of, model_noise
from hybridopt.execution.transpilation import (
    PlacementOptions,
    basis_change_for,
    place_on_device,
    write_in_basis,
)

Distribution = Float64[np.ndarray, "*cells outcomes"]
Qubits = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Noise:
    """A noise model, or a device, whose noise is built for the qubits in use.

    Attributes:
        model: Aer's; None takes that of the device.
        device: Circuits are placed on its qubits and routed along its couplings; None takes the
            qubits as they are.
        options: How circuits are placed on the device.
    """

    model: NoiseModel | None
    device: BackendV2 | None = None
    options: PlacementOptions = field(default_factory=PlacementOptions)
    _changes: dict[tuple[int, str], tuple[Instruction, ...]] = field(
        init=False, default_factory=dict, repr=False
    )

    def __repr__(self) -> str:
        return "NoiseModel" if self.device is None else str(self.device.name)

    @property
    def basis_gates(self) -> frozenset[str]:
        """Gates in which circuits are written."""
        if self.device is not None:
            return frozenset(self.device.operation_names)
        assert self.model is not None
        return frozenset(self.model.basis_gates)

    def place(self, circuit: QuantumCircuit, known: frozenset[str]) -> QuantumCircuit:
        """The circuit in the gates of the noise and, for a device, on its qubits.

        Raises:
            CircuitError: If the circuit cannot be written in these gates.
            UnsupportedError: If it is wider than the device, or than ``layout``.
        """
        if self.device is None:
            return write_in_basis(circuit, known & self.basis_gates, str(self))
        self._check_width(circuit.num_qubits)
        return place_on_device(circuit, self.device, self.options)

    def basis_change(self, letter: str, qubit: int, known: frozenset[str]) -> Sequence[Instruction]:
        """Gates of one device qubit after which a measurement in Z is one in X or Y."""
        if (qubit, letter) not in self._changes:
            gates = basis_change_for(
                letter, qubit, self.device, known & self.basis_gates, str(self)
            )
            self._changes[qubit, letter] = gates
        return self._changes[qubit, letter]

    def of(self, circuits: Sequence[QuantumCircuit], qubits: Qubits) -> NoiseModel:
        """The noise of the gates and the readout of some circuits."""
        gates = gates_of(circuits)
        if self.model is not None:
            return model_noise(self.model, qubits, gates)
        assert self.device is not None
        return device_noise(self.device.target, qubits, gates)

    def check_isa(self, circuit: QuantumCircuit) -> None:
        """Refuse a transpiled circuit that the device cannot run as it is.

        Raises:
            UnsupportedError: If a layout was given too, or the device lacks an instruction.
        """
        if self.options.layout is not None:
            raise UnsupportedError(
                "The circuit is transpiled already (`circuit.layout` is set), so that `layout` of "
                "the executor cannot place it. Leave out `layout`, or give the circuit as it was "
                "before it was transpiled."
            )
        if self.device is None:
            return
        target = self.device.target
        for item in circuit.data:
            name = item.operation.name
            qubits = qubits_of(circuit, item)
            if name in {"barrier", "delay"} or target.instruction_supported(name, qubits):
                continue
            where = ", ".join(map(str, qubits))
            raise UnsupportedError(
                f"The transpiled circuit has `{name}` on qubit{'s' if len(qubits) > 1 else ''} "
                f"{where}, which {self} does not have. Transpile it for {self}, or give the "
                "circuit as it was before it was transpiled."
            )

    def check(self, program: CircuitProgram, known: frozenset[str]) -> None:
        """Refuse circuits that are wider than the device, and errors that would not act.

        Raises:
            UnsupportedError: With the number of qubits of the device, or the name of the gate.
        """
        if program.device_qubits is None:
            self._check_width(program.num_qubits)
            if self.device is not None:  # its gates are those that circuits are rewritten in
                return
        noisy = self._noisy_gates()
        for name in sorted(noisy & program.rewritten):
            raise UnsupportedError(
                f"The noise model has errors for `{name}`, but that gate of the circuit is "
                "rewritten in other gates (or the name is a label), so they would not act as "
                "meant. Give the errors to its parts (rx, ry, rz, rxx, ryy, rzz, rzx, p, cx), or "
                "write the circuit in those."
            )
        for name in sorted((noisy & program.fixed_names) - known):
            raise UnsupportedError(
                f"The noise model has errors for `{name}`, which Aer cannot run as one gate with "
                "this method. Give the errors to the gates that it consists of, and write the "
                "circuit in those."
            )

    def check_couplings(self, circuit: QuantumCircuit) -> None:
        """Refuse gates on qubits for which a model has no errors, where it has some for others.

        On the device such a gate would be routed, with many errors; without it nobody can know.

        Raises:
            UnsupportedError: With the name of the gate and its qubits.
        """
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
                raise UnsupportedError(
                    f"The noise model has errors of `{name}` on {_pairs(known)}, but none on "
                    f"{qubits}, where the circuit has it: it would run without noise. Give the "
                    "device, as in AerExecutor(noise_model=backend), so that the circuit is routed "
                    f"along its couplings, or add errors of `{name}` on {qubits}."
                )

    def check_readout(self, qubits: Iterable[int]) -> None:
        """Refuse errors of several qubits at once, which Aer leaves out where each is measured.

        Raises:
            UnsupportedError: With the qubits of the error.
        """
        if self.model is None:
            return
        read = set(qubits)
        for where in self.model._local_readout_errors:
            if len(where) > 1 and read.intersection(where):
                raise UnsupportedError(
                    f"The noise model has a readout error of the qubits {where} together, which "
                    "does not act, as qubits are measured one by one. Give each qubit a readout "
                    "error of its own."
                )

    def __getstate__(self) -> dict[str, object]:
        # what is derived is made again on the other side
        return {"model": self.model, "device": self.device, "options": self.options}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state, _changes={})

    def _noisy_gates(self) -> frozenset[str]:
        if self.model is not None:
            return frozenset(self.model.noise_instructions)
        assert self.device is not None
        return frozenset(self.device.operation_names)

    def _check_width(self, num_qubits: int) -> None:
        if self.device is None:
            return
        if num_qubits > self.device.num_qubits:
            raise UnsupportedError(
                f"The circuit has {num_qubits} qubits, but {self} has "
                f"{self.device.num_qubits}. Use fewer qubits, or the noise of a larger device."
            )
        layout = self.options.layout
        if layout is not None and len(layout) != num_qubits:
            raise UnsupportedError(
                f"`layout` of the executor has {len(layout)} device qubits, but the circuit has "
                f"{num_qubits} qubits. Give one device qubit per circuit qubit."
            )


def misread(distribution: Distribution, model: NoiseModel, qubits: Sequence[int]) -> Distribution:
    """Probabilities of what the readout reports, from those of what is there."""
    cells = distribution.shape[:-1]
    tensor = distribution.reshape(*cells, *(2 for _ in qubits))
    for place, qubit in enumerate(qubits):
        error = model._local_readout_errors.get((qubit,), model._default_readout_error)
        if error is None:
            continue
        confusion = np.asarray(error.probabilities, dtype=np.float64)  # true, read
        axis = tensor.ndim - 1 - place  # the first qubit is the last axis
        tensor = np.moveaxis(np.tensordot(tensor, confusion, axes=(axis, 0)), -1, axis)
    return np.ascontiguousarray(tensor).reshape(*cells, -1)


def noise_of(value: object, options: PlacementOptions | None = None) -> Noise | None:
    """Noise from a `NoiseModel` or a `BackendV2`; None is none.

    An `AerSimulator` that has couplings is a device with the noise model of its options.

    Raises:
        ArgumentTypeError: For anything else.
    """
    given = PlacementOptions() if options is None else options
    if value is None:
        return None
    if isinstance(value, NoiseModel):
        return Noise(value, None, given)
    if isinstance(value, AerSimulator):
        device = None if value.coupling_map is None else value
        return Noise(value.options.noise_model or NoiseModel(), device, given)
    if isinstance(value, BackendV2):
        return Noise(None, value, given)
    raise ArgumentTypeError(
        "Argument `noise_model` must be a qiskit_aer.noise.NoiseModel, a BackendV2 such as those "
        f"of qiskit_ibm_runtime.fake_provider, or None, but is of type {type(value).__name__}."
    )


def _pairs(places: Sequence[Qubits]) -> str:
    shown = ", ".join(map(str, places[:6]))
    return shown if len(places) <= 6 else f"{shown} and {len(places) - 6} more"
