"""Products of gates, compared with the circuit by Qiskit."""

from __future__ import annotations

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.quantum_info import Operator

from hybridopt.circuits import lower
from hybridopt.circuits.steps import FixedGate, Rotation
from hybridopt.execution.aer.in_place import fusion
from hybridopt.execution.aer.in_place.fusion import (
    FusedGates,
    Fuser,
    _factors,
    embedded,
    inverse,
)
from tests.circuits.families import FAMILIES

SEEDS = range(4)


def unitary(gates, num_qubits):
    """Return the product of placed matrices."""
    result = np.eye(2**num_qubits)
    for qubits, matrix in gates:
        known = fusion.CX if matrix is None else matrix
        result = embedded(known, qubits, range(num_qubits)) @ result
    return result


def all_shared(family):
    """Return the program of a family in which all angles are weights."""
    return lower(family.circuit, (), [*family.inputs, *family.weights])


@pytest.mark.parametrize("width", [1, 2, 3, 4])
@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.name)
def test_products_equal_the_circuit(family, width, monkeypatch):
    monkeypatch.setattr(fusion, "WIDTH", width)
    program = all_shared(family)
    angles = np.random.default_rng(1).uniform(-3, 3, program.num_shared_angles)
    fuser = Fuser()
    for step in program.steps:
        if isinstance(step, FixedGate):
            if step.gate.name not in {"barrier", "delay"}:
                fuser.add([step])
        elif isinstance(step, Rotation):
            fuser.add(step.placed(step.family.into_frame))
            fuser.add_phases(step)
            fuser.add(step.placed(step.family.out_of_frame))
    (gates,) = FusedGates([fuser]).at(angles)
    expected = Operator(program.bind(np.zeros(0), angles)).data
    np.testing.assert_allclose(unitary(gates, program.num_qubits), expected, rtol=0, atol=1e-12)
    both = unitary([*gates, *inverse(gates)], program.num_qubits)
    np.testing.assert_allclose(both, np.eye(len(both)), rtol=0, atol=1e-12)


@pytest.mark.parametrize("seed", SEEDS)
def test_random_orders_of_gates(seed):
    generator = np.random.default_rng(seed)
    circuit, fuser = QuantumCircuit(5), Fuser()
    for _ in range(40):
        count = int(generator.choice([1, 2, 3], p=[0.4, 0.5, 0.1]))
        qubits = [int(q) for q in generator.permutation(5)[:count]]
        getattr(circuit, {1: "sx", 2: "cx", 3: "ccx"}[count])(*qubits)
    for item in circuit.data:
        places = tuple(circuit.find_bit(qubit).index for qubit in item.qubits)
        fuser.add([FixedGate(item.operation, places)])
    (gates,) = FusedGates([fuser]).at(np.zeros(0))
    assert len(gates) < 30
    np.testing.assert_allclose(unitary(gates, 5), Operator(circuit).data, rtol=0, atol=1e-12)


def test_gates_that_cancel_are_left_out():
    circuit = QuantumCircuit(2)
    fuser = Fuser()
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.cx(0, 1)
    circuit.h(0)
    for item in circuit.data:
        places = tuple(circuit.find_bit(qubit).index for qubit in item.qubits)
        fuser.add([FixedGate(item.operation, places)])
    assert FusedGates([fuser]).at(np.zeros(0)) == [[]]


def test_rotations_of_a_layer_share_one_level_of_phases():
    angles = ParameterVector("w", 3)
    circuit = QuantumCircuit(3)
    for qubit, angle in enumerate(angles):
        circuit.ry(angle, qubit)
        circuit.t(qubit)
    circuit.cx(0, 1)
    circuit.cx(1, 2)
    fuser = Fuser()
    for step in lower(circuit, (), list(angles)).steps:
        if isinstance(step, Rotation):
            fuser.add(step.placed(step.family.into_frame))
            fuser.add_phases(step)
            fuser.add(step.placed(step.family.out_of_frame))
        else:
            fuser.add([step])
    (product,) = fuser.products
    assert sorted(_factors(product).angles[0]) == [0, 1, 2]
    assert len(_factors(product).angles) == 1
