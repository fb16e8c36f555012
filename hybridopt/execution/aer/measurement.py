"""Measurement bases as gates, and the instructions that save what is read."""

from __future__ import annotations

from collections.abc import Sequence

from qiskit import QuantumCircuit

from hybridopt.execution.readout import Setting


def save_settings(
    circuit: QuantumCircuit, settings: Sequence[Setting], index: Sequence[int]
) -> list[str]:
    """Append, for each setting, its basis change and an instruction that saves probabilities.

    Between two settings the basis change is undone: on a simulator, reading does not disturb.

    Args:
        circuit: Is appended to.
        settings: Measurement bases.
        index: Qubits that tell the samples of a stack apart; they are read with every setting,
            above its own qubits.

    Returns:
        The labels under which the probabilities are saved, one for each setting.
    """
    labels = []
    for place, setting in enumerate(settings):
        into_basis(circuit, setting)
        label = f"setting {place}"
        qubits = [*setting.qubits, *index]
        whole = qubits == list(range(circuit.num_qubits))
        circuit.save_probabilities(None if whole else qubits, label=label)
        labels.append(label)
        if place + 1 < len(settings):
            _out_of_basis(circuit, setting)
    return labels


def into_basis(circuit: QuantumCircuit, setting: Setting) -> None:
    """Append the gates after which a measurement in Z is one in the setting's basis."""
    for qubit, letter in setting.basis:
        if letter == "Y":
            circuit.sdg(qubit)
        circuit.h(qubit)


def _out_of_basis(circuit: QuantumCircuit, setting: Setting) -> None:
    for qubit, letter in setting.basis:
        circuit.h(qubit)
        if letter == "Y":
            circuit.s(qubit)
