"""Expectation values of noisy circuits from density matrices of Aer."""

from __future__ import annotations

from qiskit import QuantumCircuit, transpile
from qiskit.quantum_info import DensityMatrix, SparsePauliOp
from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel


def rotate_into(circuit: QuantumCircuit, label: str) -> None:
    """Append the gates that change from the basis of each letter to Z."""
    for qubit, letter in enumerate(reversed(label)):
        if letter == "Y":
            circuit.sdg(qubit)
        if letter in "XY":
            circuit.h(qubit)


def noisy_expectation(model: NoiseModel, circuit: QuantumCircuit, label: str) -> float:
    """Return the expectation value of a Pauli string, with a noisy change of basis."""
    rotated = circuit.copy()
    rotate_into(rotated, label)
    rotated = transpile(rotated, basis_gates=model.basis_gates, optimization_level=0)
    rotated.save_density_matrix()
    simulator = AerSimulator(method="density_matrix", noise_model=model)
    state = simulator.run(rotated).result().data()["density_matrix"]
    in_z = "".join("I" if letter == "I" else "Z" for letter in label)
    return DensityMatrix(state).expectation_value(SparsePauliOp(in_z)).real
