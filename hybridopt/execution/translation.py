"""Circuits in the gates that a method of Aer, or a device with its noise, knows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Protocol, runtime_checkable

from qiskit import QuantumCircuit, transpile
from qiskit.circuit.library import get_standard_gate_name_mapping
from qiskit.exceptions import QiskitError
from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel

from hybridopt.circuits.kept_gates import KEPT_GATES
from hybridopt.errors import CircuitError
from hybridopt.execution.measuring import into_basis, save_settings
from hybridopt.execution.noise import Noise, add_errors_of_measurement
from hybridopt.execution.readout import Setting

NOT_STANDARD = frozenset({"diagonal", "mcphase", "mcx", "pauli", "unitary"})
NOT_BOUND_BY_AER = frozenset({"cp", "crx", "cry", "crz"})  # in a table of angles, without a word
SEED_OF_THE_LAYOUT = 0  # the same circuit always stands on the same qubits of a device


@dataclass(frozen=True, eq=False)
class Translated:
    """A circuit with parameters, ready to run.

    Attributes:
        circuit: Without instructions that save or measure.
        settings: What can be read from one run of it.
        places: For each qubit of the program its qubit in ``circuit``.
        noise_model: Of the qubits in use.
    """

    circuit: QuantumCircuit
    settings: tuple[Setting, ...]
    places: tuple[int, ...]
    noise_model: NoiseModel | None = None

    @property
    def num_used(self) -> int:
        """Qubits that gates act on: on a device, swaps may pass over more than the program has."""
        return len(_in_use(self.circuit).union(self.places))

    def saving(self) -> tuple[QuantumCircuit, list[str]]:
        """The circuit with instructions that save probabilities, and their labels."""
        circuit = self.circuit.copy()
        placed = [Setting(s.basis, self.places_of(s)) for s in self.settings]
        if self.noise_model is not None:  # of one setting, in Z
            add_errors_of_measurement(circuit, self.noise_model, placed[0].qubits)
        return circuit, save_settings(circuit, placed, ())

    def measuring(self, place: int) -> QuantumCircuit:
        """The circuit with the measurements of one of its settings."""
        setting = self.settings[place]
        bits = range(len(setting.qubits))
        circuit = QuantumCircuit(self.circuit.num_qubits, len(bits))
        circuit.compose(self.circuit, inplace=True)
        into_basis(circuit, setting)
        circuit.measure(self.places_of(setting), bits)
        return circuit

    def places_of(self, setting: Setting) -> tuple[int, ...]:
        """The measured qubits, as the circuit counts them."""
        return tuple(self.places[qubit] for qubit in setting.qubits)


@runtime_checkable
class Translation(Protocol):
    """A way to rewrite circuits."""

    def __call__(self, circuit: QuantumCircuit, settings: Sequence[Setting]) -> list[Translated]:
        """Circuits that together serve all settings, in order."""
        ...


class ForMethod:
    """Without noise: into the gates of a method; all settings are read from one run.

    Args:
        method: Of Aer.
    """

    def __init__(self, method: str) -> None:
        known = AerSimulator(method=method).configuration().basis_gates
        self._basis = sorted(KEPT_GATES.intersection(known) - NOT_STANDARD - NOT_BOUND_BY_AER)

    def __call__(self, circuit: QuantumCircuit, settings: Sequence[Setting]) -> list[Translated]:
        """One circuit."""
        done = transpile(circuit, basis_gates=self._basis, optimization_level=0)
        return [Translated(done, tuple(settings), tuple(range(circuit.num_qubits)))]


class WithNoise:
    """Into the gates that the noise acts on; each basis change is noisy too, so one circuit each.

    Args:
        noise: Of a device: the circuit is placed and routed as well.
        method: Of Aer.
    """

    def __init__(self, noise: Noise, method: str) -> None:
        self._noise = noise
        self._known = known_with_noise(method)

    def __call__(self, circuit: QuantumCircuit, settings: Sequence[Setting]) -> list[Translated]:
        """One circuit for each setting."""
        return [self._one(circuit, setting) for setting in settings]

    def _one(self, circuit: QuantumCircuit, setting: Setting) -> Translated:
        rotated = circuit.copy()
        into_basis(rotated, setting)
        read_in_z = (Setting((), setting.qubits),)
        if self._noise.backend is None:
            basis = sorted(self._known.intersection(self._noise.model.basis_gates))
            done = self._transpiled(rotated, basis_gates=basis, optimization_level=0)
            places = tuple(range(circuit.num_qubits))
        else:
            done = self._transpiled(
                rotated,
                backend=self._noise.backend,
                optimization_level=1,
                seed_transpiler=SEED_OF_THE_LAYOUT,
            )
            places = tuple(done.layout.final_index_layout())
        return Translated(done, read_in_z, places, self._noise.on_qubits(_in_use(done)))

    def _transpiled(self, circuit: QuantumCircuit, **options: object) -> QuantumCircuit:
        try:
            return transpile(circuit, **options)
        except QiskitError as error:
            raise CircuitError(
                f"The circuit cannot be written in the gates of {self._noise}: {error}. Use noise "
                "on a set of gates in which every circuit can be written, such as rz, sx, x and cx."
            ) from error


def _in_use(circuit: QuantumCircuit) -> set[int]:
    return {circuit.find_bit(qubit).index for item in circuit.data for qubit in item.qubits}


@cache
def known_with_noise(method: str) -> frozenset[str]:
    """Gates that Qiskit can write others in and a method can run, ``u3`` and the like included."""
    of_aer = AerSimulator(method=method).configuration().basis_gates
    standard = KEPT_GATES.union(get_standard_gate_name_mapping())
    return standard.intersection(of_aer) - NOT_STANDARD
