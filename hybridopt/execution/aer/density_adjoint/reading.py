"""Translated circuits with noise as transfer matrices and effects."""

from __future__ import annotations

from collections.abc import Sequence

from qiskit import QuantumCircuit
from qiskit_aer.noise import LocalNoisePass, NoiseModel

from hybridopt.circuits.program import CircuitProgram
from hybridopt.errors import UnsupportedError
from hybridopt.execution.aer.channels import add_errors_of_measurement, with_channels
from hybridopt.execution.aer.density_adjoint.effects import PLAIN, MeasuredSetting
from hybridopt.execution.aer.density_adjoint.steps import Step, StepReader
from hybridopt.execution.aer.density_adjoint.transfer_circuit import TransferCircuit
from hybridopt.execution.aer.translation import Translated
from hybridopt.execution.noise import confusion_of

Compiled = tuple[TransferCircuit, tuple[MeasuredSetting, ...]]


def compiled(program: CircuitProgram, translated: Sequence[Translated]) -> Compiled:
    """Return the common circuit of all settings, and the measurement of each.

    Raises:
        UnsupportedError: If an error depends on an angle, or a gate is not supported.
    """
    _, rows, shared = program.body
    circuit = common_circuit(translated)
    steps = StepReader(rows).steps(circuit)
    return TransferCircuit(circuit.num_qubits, steps, rows, shared), measurements(translated)


def common_circuit(translated: Sequence[Translated]) -> QuantumCircuit:
    """Return the circuit of all settings with its errors, before changes of basis."""
    first = translated[0]
    common = first.circuit.copy_empty_like()
    common.data = first.circuit.data[: first.before_basis]
    return _with_errors(common, translated)


def measurements(translated: Sequence[Translated]) -> tuple[MeasuredSetting, ...]:
    """Return the measurement of each setting, with the errors of its change of basis."""
    settings = []
    for one in translated:
        assert one.noise_model is not None
        ending = one.circuit.copy_empty_like()
        ending.data = one.circuit.data[one.before_basis :]
        ending = _with_errors(ending, translated)
        qubits = one.places_of(one.settings[0])
        add_errors_of_measurement(ending, one.noise_model, qubits)
        settings.append(_measured(qubits, StepReader(()).steps(ending), one.noise_model))
    return tuple(settings)


def can_split_errors(translated: Sequence[Translated]) -> bool:
    """Return whether the errors of a part of the circuit do not depend on other parts."""
    first = translated[0]
    assert first.noise_model is not None
    passes = first.noise_model._custom_noise_passes or ()
    local = all(type(one).run is LocalNoisePass.run for one in passes)
    return local or "delay" not in first.circuit.count_ops()


def _with_errors(part: QuantumCircuit, translated: Sequence[Translated]) -> QuantumCircuit:
    """Return a part of the circuit of a setting with its errors."""
    first = translated[0]
    model = first.noise_model
    assert model is not None
    if not can_split_errors(translated):
        names = ", ".join(type(one).__name__ for one in model._custom_noise_passes or ())
        raise UnsupportedError(
            "Each custom pass of the noise model must be a LocalNoisePass for the adjoint rule "
            f'(got {names}). Use `gradient="parameter-shift"`.'
        )
    has_delays = "delay" in first.circuit.count_ops()
    return with_channels(part, model, first.channels, has_delays=has_delays)


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
