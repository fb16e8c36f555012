"""Several bases are read from one run of a simulator, each as if it were the only one."""

from __future__ import annotations

import numpy as np
from qiskit import QuantumCircuit
from qiskit.quantum_info import Statevector
from qiskit_aer import AerSimulator

from hybridopt.execution.aer.simulator import into_basis, save_settings
from hybridopt.execution.readout import Setting

SETTINGS = (
    Setting(((0, "X"), (2, "Y")), (0, 2)),
    Setting((), (2, 1)),
    Setting(((1, "Y"),), (0, 1, 2)),
)


def prepared(num_qubits: int = 3) -> QuantumCircuit:
    circuit = QuantumCircuit(num_qubits)
    for qubit, angle in enumerate([0.3, 1.1, -0.7, 0.9][:num_qubits]):
        circuit.rx(angle, qubit)
        circuit.ry(0.5 + angle, qubit)
    for qubit in range(num_qubits - 1):
        circuit.cx(qubit, qubit + 1)
    return circuit


def alone(setting: Setting, circuit: QuantumCircuit, extra: tuple[int, ...] = ()) -> np.ndarray:
    turned = circuit.copy()
    into_basis(turned, setting)
    return Statevector(turned).probabilities([*setting.qubits, *extra])


def saved(circuit: QuantumCircuit, labels: list[str]) -> list[np.ndarray]:
    data = AerSimulator(method="statevector").run(circuit).result().data(0)
    return [np.asarray(data[label]) for label in labels]


def test_every_setting_is_read_as_if_alone():
    circuit = prepared()
    labels = save_settings(circuit, SETTINGS, ())
    assert len(set(labels)) == 3
    for setting, actual in zip(SETTINGS, saved(circuit, labels), strict=True):
        np.testing.assert_allclose(actual, alone(setting, prepared()), rtol=0, atol=1e-12)


def test_index_qubits_are_read_above_the_others():
    circuit = prepared(4)
    labels = save_settings(circuit, SETTINGS, (3,))
    for setting, actual in zip(SETTINGS, saved(circuit, labels), strict=True):
        np.testing.assert_allclose(actual, alone(setting, prepared(4), (3,)), rtol=0, atol=1e-12)


def test_x_and_y_become_z():
    for letter, gate in (("X", "h"), ("Y", "sdg")):
        circuit = QuantumCircuit(1)
        circuit.h(0)
        if letter == "Y":
            circuit.s(0)  # the state of eigenvalue +1
        into_basis(circuit, Setting(((0, letter),), (0,)))
        np.testing.assert_allclose(Statevector(circuit).probabilities(), [1, 0], atol=1e-12)
        assert gate in circuit.count_ops()
