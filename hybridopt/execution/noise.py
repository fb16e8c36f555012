"""What noise there is: gate errors by name, and errors of the readout."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from qiskit import QuantumCircuit
from qiskit.providers import BackendV2
from qiskit.quantum_info import SuperOp
from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel

from hybridopt.circuits.circuit_program import CircuitProgram
from hybridopt.errors import ArgumentTypeError, UnsupportedError

Distribution = Float64[np.ndarray, "*cells outcomes"]


@dataclass(frozen=True, eq=False)
class Noise:
    """A noise model, and the device that it was taken from, if any.

    Attributes:
        model: Aer's.
        backend: Circuits are placed on its qubits and routed along its couplings; None takes the
            qubits as they are.
    """

    model: NoiseModel
    backend: BackendV2 | None = None

    def __repr__(self) -> str:
        return "NoiseModel" if self.backend is None else str(self.backend.name)

    def check(self, program: CircuitProgram, known: frozenset[str]) -> None:
        """Refuse circuits that are wider than the device, and errors that would not act.

        Args:
            program: To be run.
            known: Gates that can be run by name, with their errors.

        Raises:
            UnsupportedError: With the number of qubits of the device, or the name of the gate.
        """
        if self.backend is not None:  # its gates are those that circuits are rewritten in
            if program.num_qubits > self.backend.num_qubits:
                raise UnsupportedError(
                    f"The circuit has {program.num_qubits} qubits, but {self} has "
                    f"{self.backend.num_qubits}. Use fewer qubits, or the noise of a larger device."
                )
            return
        noisy = set(self.model.noise_instructions)
        for name in sorted(noisy & program.rewritten):
            raise UnsupportedError(
                f"The noise model has errors for `{name}`, but that gate of the circuit is "
                "rewritten for its derivative (or the name is a label), so they would not act as "
                "meant. Give the errors to its parts (rx, ry, rz, rxx, ryy, rzz, rzx, p, cx), or "
                "write the circuit in those."
            )
        for name in sorted((noisy & program.fixed_names) - known):
            raise UnsupportedError(
                f"The noise model has errors for `{name}`, which Aer cannot run as one gate with "
                "this method. Give the errors to the gates that it consists of, and write the "
                "circuit in those."
            )

    def on_qubits(self, qubits: Iterable[int]) -> NoiseModel:
        """The noise of some qubits: a model of a large device takes a second to hand over."""
        if self.backend is None:
            return self.model
        kept = set(qubits)
        model = NoiseModel(basis_gates=self.model.basis_gates)
        for name, error in self.model._default_quantum_errors.items():
            model.add_all_qubit_quantum_error(error, name)
        for name, errors in self.model._local_quantum_errors.items():
            for where, error in errors.items():
                if kept.issuperset(where):
                    model.add_quantum_error(error, name, list(where))
        for noise_pass in self.model._custom_noise_passes:
            model._custom_noise_passes.append(noise_pass)
        return model

    def misread(self, distribution: Distribution, qubits: Sequence[int]) -> Distribution:
        """Probabilities of what the readout reports, from those of what is there.

        Args:
            distribution: Over ``qubits``, the first the least significant.
            qubits: Of the device.
        """
        cells = distribution.shape[:-1]
        tensor = distribution.reshape(*cells, *(2 for _ in qubits))
        for place, qubit in enumerate(qubits):
            confusion = self._confusion(qubit)
            if confusion is None:
                continue
            axis = tensor.ndim - 1 - place  # the first qubit is the last axis
            tensor = np.moveaxis(np.tensordot(tensor, confusion, axes=(axis, 0)), -1, axis)
        return np.ascontiguousarray(tensor).reshape(*cells, -1)

    def _confusion(self, qubit: int) -> Float64[np.ndarray, "true read"] | None:
        error = self.model._local_readout_errors.get((qubit,), self.model._default_readout_error)
        return None if error is None else np.asarray(error.probabilities, dtype=np.float64)


def add_errors_of_measurement(
    circuit: QuantumCircuit, model: NoiseModel, qubits: Iterable[int]
) -> None:
    """Append what the model does to qubits before they are measured.

    Aer applies the errors of ``measure`` where it measures, not where it saves probabilities.
    """
    local = model._local_quantum_errors.get("measure", {})
    for qubit in qubits:
        error = local.get((qubit,), model._default_quantum_errors.get("measure"))
        if error is not None:
            circuit.append(SuperOp(error).to_instruction(), [qubit])


def noise_of(value: object) -> Noise | None:
    """Noise from a `NoiseModel` or a `BackendV2`; None is none.

    Raises:
        ArgumentTypeError: For anything else.
    """
    if value is None:
        return None
    if isinstance(value, NoiseModel):
        return Noise(value)
    if isinstance(value, BackendV2):
        if isinstance(value, AerSimulator):
            return Noise(value.options.noise_model or NoiseModel())
        return Noise(NoiseModel.from_backend(value), value)
    raise ArgumentTypeError(
        "Argument `noise_model` must be a qiskit_aer.noise.NoiseModel, a BackendV2 such as those "
        f"of qiskit_ibm_runtime.fake_provider, or None, but is of type {type(value).__name__}."
    )
