"""Translated circuits with noise as transfer matrices and effects."""

from __future__ import annotations

from collections.abc import Sequence
from weakref import WeakKeyDictionary

from qiskit_aer.noise import LocalNoisePass, NoiseModel

from hybridopt.circuits.program import CircuitProgram
from hybridopt.errors import UnsupportedError
from hybridopt.execution.aer.channels import add_errors_of_measurement, with_channels
from hybridopt.execution.aer.density_adjoint.effects import PLAIN, MeasuredSetting
from hybridopt.execution.aer.density_adjoint.steps import Step, StepReader
from hybridopt.execution.aer.density_adjoint.transfer_circuit import TransferCircuit
from hybridopt.execution.aer.translation import Settings, Translated, Translation
from hybridopt.execution.noise import confusion_of
from hybridopt.execution.readout import Setting

Compiled = tuple[TransferCircuit, tuple[MeasuredSetting, ...]]


class TransferCircuits:
    """Transfer matrices of programs with noise, with a cache."""

    def __init__(self, translation: Translation) -> None:
        self._translation = translation
        self._kept = WeakKeyDictionary[CircuitProgram, dict[Settings, Compiled]]()

    def of(self, program: CircuitProgram, settings: Settings) -> Compiled:
        """Return the common circuit of all settings, and the measurement of each.

        Raises:
            UnsupportedError: If an error depends on an angle, or a gate is not supported.
        """
        known = self._kept.setdefault(program, {})
        if settings not in known:
            measured = settings or (Setting((), (0,)),)  # of multiples of the identity
            circuit, found = _compiled(program, self._translation.of(program, measured))
            known[settings] = circuit, found[: len(settings)]
        return known[settings]


def _compiled(program: CircuitProgram, translated: Sequence[Translated]) -> Compiled:
    first = translated[0]
    model = first.noise_model
    assert model is not None
    _, rows, shared = program.body
    reader = StepReader(list(rows))
    whole = first.circuit
    has_delays = "delay" in whole.count_ops()
    if has_delays:
        _check_passes(model)
    common = whole.copy_empty_like()
    common.data = whole.data[: first.before_basis]
    noisy = with_channels(common, model, first.channels, has_delays=has_delays)
    circuit = TransferCircuit(whole.num_qubits, reader.steps(noisy), list(rows), list(shared))
    settings = []
    for one in translated:
        ending = one.circuit.copy_empty_like()
        ending.data = one.circuit.data[one.before_basis :]
        qubits = one.places_of(one.settings[0])
        ending = with_channels(ending, model, first.channels, has_delays=has_delays)
        add_errors_of_measurement(ending, model, qubits)
        settings.append(_measured(qubits, reader.steps(ending), model))
    return circuit, tuple(settings)


def _measured(qubits: tuple[int, ...], steps: Sequence[Step], model: NoiseModel) -> MeasuredSetting:
    """Return a setting from the steps of its change of basis, one qubit each."""
    effects = {}
    for qubit in qubits:
        confusion = confusion_of(model, qubit)
        effects[qubit] = PLAIN if confusion is None else confusion.T @ PLAIN
    for step in reversed(steps):
        (qubit,) = step.qubits
        effects[qubit] = effects[qubit] @ step.matrix
    return MeasuredSetting(qubits, tuple(effects[qubit] for qubit in qubits))


def _check_passes(model: NoiseModel) -> None:
    for noise_pass in model._custom_noise_passes or ():
        if type(noise_pass).run is not LocalNoisePass.run:
            raise UnsupportedError(
                "Each custom pass of the noise model must be a LocalNoisePass for the adjoint rule "
                f'(got {type(noise_pass).__name__}). Use `gradient="parameter-shift"`.'
            )
