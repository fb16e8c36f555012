"""Circuits in the gates of a method of Aer, or of a device with its noise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any, TypeVar, cast
from weakref import WeakKeyDictionary

from qiskit import QuantumCircuit
from qiskit.circuit import Instruction
from qiskit.circuit.library import get_standard_gate_name_mapping
from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel

from hybridopt.circuits.gates import KEPT_GATES
from hybridopt.circuits.instructions import NOT_GATES
from hybridopt.circuits.physical import PhysicalCircuit, physical_circuit
from hybridopt.circuits.program import CircuitProgram
from hybridopt.execution.aer.channels import add_errors_of_measurement, with_channels
from hybridopt.execution.aer.simulator import into_basis, save_settings
from hybridopt.execution.noise import Noise
from hybridopt.execution.readout import Readout, Setting
from hybridopt.execution.readout.mitigation import ReadoutMitigation
from hybridopt.execution.transpilation import write_in_basis

Settings = tuple[Setting, ...]
Derived = TypeVar("Derived")
NOT_STANDARD = frozenset({"diagonal", "mcphase", "mcx", "pauli", "unitary"})
# Gates whose angles Aer (0.18.2) does not bind in a table, for some without an error.
NOT_BOUND_BY_AER = frozenset({"cp", "crx", "cry", "crz", "cu1", "cu3"})


@dataclass(frozen=True, eq=False)
class Translated:
    """Circuit with parameters in the gates of the simulator."""

    circuit: QuantumCircuit  # without instructions that save or measure
    settings: tuple[Setting, ...]  # settings of one run
    places: tuple[int, ...]  # per qubit of the program, the qubit of ``circuit``
    noise_model: NoiseModel | None = None  # of the qubits of ``circuit``
    device_qubits: tuple[int, ...] = ()  # per qubit of ``circuit``, with noise only
    channels: dict[int, Instruction] = field(default_factory=dict)  # shared by all settings
    before_basis: int = 0  # number of instructions before a noisy change of basis

    @cached_property
    def saving(self) -> tuple[QuantumCircuit, list[str]]:
        """Circuit with instructions that save probabilities, and their labels."""
        placed = [Setting(s.basis, self.places_of(s)) for s in self.settings]
        if self.noise_model is None:
            circuit = self.circuit.copy()
        else:  # one setting, in Z
            circuit = with_channels(self.circuit, self.noise_model, self.channels)
            add_errors_of_measurement(circuit, self.noise_model, placed[0].qubits)
        return circuit, save_settings(circuit, placed, ())

    def measuring(self, place: int) -> QuantumCircuit:
        """Return the circuit with the measurements of one setting."""
        setting = self.settings[place]
        bits = range(len(setting.qubits))
        circuit = QuantumCircuit(self.circuit.num_qubits, len(bits))
        circuit.compose(self.circuit, inplace=True)
        into_basis(circuit, setting)
        circuit.measure(self.places_of(setting), bits)
        return circuit

    def places_of(self, setting: Setting) -> tuple[int, ...]:
        """Return the measured qubits of the circuit."""
        return tuple(self.places[qubit] for qubit in setting.qubits)


class Translation:
    """Translation of programs to the gates of a method or of the noise, with a cache."""

    def __init__(self, method: str, noise: Noise | None = None) -> None:
        self._noise = noise
        self._native = runnable_with_noise(method)
        self._known = (
            self._native - NOT_STANDARD
        )  # gates that Qiskit's transpiler accepts as a basis
        self._placed = WeakKeyDictionary[CircuitProgram, PhysicalCircuit]()
        self._kept = WeakKeyDictionary[CircuitProgram, dict[Settings, list[Translated]]]()
        self._derived = WeakKeyDictionary[CircuitProgram, dict[object, Any]]()
        self._mitigated = WeakKeyDictionary[CircuitProgram, WeakKeyDictionary[Readout, Readout]]()

    def of(self, program: CircuitProgram, settings: Settings) -> list[Translated]:
        """Return circuits that cover all settings in order."""
        known = self._kept.setdefault(program, {})
        if settings not in known:
            noise = self._noise
            known[settings] = (
                [self._exact(program, settings)]
                if noise is None
                else self._noisy(program, settings, noise)
            )
        return known[settings]

    def derived(
        self,
        program: CircuitProgram,
        settings: Settings,
        build: Callable[[CircuitProgram, list[Translated]], Derived],
    ) -> Derived:
        """Return a value made from the circuits of all settings; it is made once and cached."""
        known = self._derived.setdefault(program, {})
        key = settings, build
        if key not in known:
            known[key] = build(program, self.of(program, settings))
        return cast(Derived, known[key])

    def _exact(self, program: CircuitProgram, settings: Settings) -> Translated:
        """Return one circuit without barriers and delays, which do not change an exact state."""
        circuit = program.body[0].copy()
        circuit.data = [item for item in circuit.data if item.operation.name not in NOT_GATES]
        done = self.in_basis(circuit)
        return Translated(done, settings, tuple(range(circuit.num_qubits)))

    def in_basis(
        self, circuit: QuantumCircuit, without: frozenset[str] = frozenset()
    ) -> QuantumCircuit:
        """Return a circuit in the gates of the method whose angles Aer binds, but for some."""
        basis = (KEPT_GATES & self._known) - NOT_BOUND_BY_AER - NOT_GATES - without
        if basis.issuperset(item.operation.name for item in circuit.data):
            return circuit
        return write_in_basis(circuit, basis, "the method")

    def _noisy(self, program: CircuitProgram, settings: Settings, noise: Noise) -> list[Translated]:
        """Return one circuit per setting, because changes of basis are noisy, too."""
        circuit, qubits, places = self._on_device(program, noise)
        noise.check_readout(
            qubits[places[qubit]] for setting in settings for qubit in setting.qubits
        )
        rotated = [circuit.copy() for _ in settings]
        for one, setting in zip(rotated, settings, strict=True):
            for qubit, letter in setting.basis:
                place = places[qubit]
                for gate in noise.basis_change(letter, qubits[place], self._known):
                    one.append(gate, [place])
        model = noise.of(rotated, qubits)
        channels: dict[int, Instruction] = {}
        return [
            Translated(
                one,
                (Setting((), setting.qubits),),
                places,
                model,
                qubits,
                channels,
                len(circuit.data),
            )
            for one, setting in zip(rotated, settings, strict=True)
        ]

    def mitigated(
        self, program: CircuitProgram, readout: Readout, mitigation: ReadoutMitigation
    ) -> Readout:
        """Return the readout with corrected readout errors of its device qubits."""
        known = self._mitigated.setdefault(program, WeakKeyDictionary())
        if readout not in known:
            assert self._noise is not None
            _, qubits, places = self._on_device(program, self._noise)
            used = tuple(qubits[place] for place in places), qubits
            known[readout] = readout.mitigated(program, mitigation, used)
        return known[readout]

    def _on_device(
        self, program: CircuitProgram, noise: Noise
    ) -> tuple[QuantumCircuit, tuple[int, ...], tuple[int, ...]]:
        """Return the circuit, its device qubits, and the place of each qubit of the program."""
        circuit, _, _ = program.body
        if program.device_qubits is not None:
            return circuit, program.device_qubits, tuple(range(program.num_qubits))
        if program not in self._placed:
            self._placed[program] = self.place(circuit, noise)
        physical = self._placed[program]
        qubits = physical.qubits_for(physical.virtual_qubits)
        places = tuple(qubits.index(qubit) for qubit in physical.virtual_qubits)
        return physical.on(qubits), qubits, places

    def place(self, circuit: QuantumCircuit, noise: Noise) -> PhysicalCircuit:
        """Return a virtual circuit on the qubits of the noise."""
        placed = noise.place(circuit, self._known)
        noise.check_couplings(placed)
        return physical_circuit(circuit, placed, native=self._native)


@cache
def runnable_with_noise(method: str) -> frozenset[str]:
    """Return the names of all gates that a method can run, also old ones such as ``u3``."""
    of_aer = AerSimulator(method=method).configuration().basis_gates
    standard = KEPT_GATES.union(get_standard_gate_name_mapping())
    return standard.intersection(of_aer) | {"barrier"}
