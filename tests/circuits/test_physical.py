"""Circuits on the qubits of a device: placement, idle qubits, native gates."""

from __future__ import annotations

import numpy as np
import pytest
from qiskit import QuantumCircuit, transpile
from qiskit.circuit import Parameter
from qiskit.quantum_info import SparsePauliOp, Statevector

from hybridopt.circuits.physical import PhysicalCircuit, layout_applies, physical_circuit
from hybridopt.errors import ArgumentError, CircuitError

LINE = [[0, 1], [1, 2], [2, 3], [3, 4], [4, 5]]
ANGLE, UNUSED = Parameter("angle"), Parameter("unused")


def three_qubits(*, measured: bool = False) -> QuantumCircuit:
    circuit = QuantumCircuit(3, 2)
    circuit.ry(ANGLE, 0)
    circuit.ry(1.3, 1)
    circuit.barrier()
    circuit.delay(100, 1)
    circuit.ry(2.1, 2)
    circuit.cx(0, 2)
    if measured:
        circuit.measure([2, 0], [0, 1])
    return circuit


def transpiled(circuit: QuantumCircuit, layout: list[int]) -> QuantumCircuit:
    options = {"basis_gates": ["rz", "sx", "cx"], "initial_layout": layout, "seed_transpiler": 0}
    return transpile(circuit, coupling_map=LINE, **options)


def test_virtual_circuit_keeps_its_qubits():
    circuit = three_qubits()
    physical = physical_circuit(circuit)
    assert (physical.is_isa, physical.on_device) == (False, False)
    assert physical.virtual_qubits == (0, 1, 2)
    assert physical.qubits_for(()) == (0, 1, 2)
    assert physical.circuit is circuit


@pytest.mark.parametrize("layout", [[4, 1, 5], [0, 5, 2], [3, 2, 1]])
def test_idle_qubits_of_a_device_are_left_out(layout):
    circuit = transpiled(three_qubits(measured=True), layout)
    physical = physical_circuit(circuit)
    places = tuple(circuit.layout.final_index_layout(filter_ancillas=True))
    assert physical.is_isa
    assert physical.virtual_qubits == places
    assert physical.measured == {0: places[2], 1: places[0]}
    qubits = physical.qubits_for(())
    assert set(places) <= set(qubits)
    assert len(qubits) < 6
    program = physical.lower([], [ANGLE], qubits)
    shared = [float(angle.bind({ANGLE: 0.4})) for angle in program.shared_expressions]
    state = Statevector(program.bind(np.zeros(0), np.array(shared)))
    observable = SparsePauliOp("ZIX").apply_layout([qubits.index(p) for p in places], len(qubits))
    virtual = three_qubits().assign_parameters([0.4])
    virtual.remove_final_measurements()
    virtual.data = [item for item in virtual.data if item.operation.name != "delay"]
    expected = Statevector(virtual).expectation_value(SparsePauliOp("ZIX"))
    assert state.expectation_value(observable) == pytest.approx(expected, abs=1e-12)


def test_delays_use_a_qubit_only_with_noise():
    circuit = QuantumCircuit(3)
    circuit.delay(100, 2)
    circuit.x(0)
    circuit.barrier()
    isa = transpiled(circuit, [4, 1, 2])
    assert physical_circuit(isa).qubits_for(()) == (4,)
    noisy = physical_circuit(isa, native=frozenset({"x", "sx", "rz", "cx", "delay", "barrier"}))
    assert noisy.qubits_for(()) == (2, 4)
    assert noisy.qubits_for([5]) == (2, 4, 5)
    names = [item.operation.name for item in noisy.on((2, 4)).data]
    assert {"delay", "barrier"} <= set(names)
    empty = transpile(QuantumCircuit(3), coupling_map=LINE, initial_layout=[3, 1, 2])
    assert physical_circuit(empty).qubits_for(()) == (0,)


def test_native_gates_keep_their_angles_barriers_and_delays():
    circuit = QuantumCircuit(3)
    circuit.u(ANGLE, 0.3, 2 * ANGLE, 0)
    circuit.delay(10, 1)
    circuit.barrier(0, 1)
    circuit.rzz(ANGLE**2, 0, 2)
    native = frozenset({"u", "rzz", "delay", "barrier"})
    physical = PhysicalCircuit(circuit, circuit, (0, 1, 2), {}, False, native)
    program = physical.lower([], [ANGLE], (0, 1, 2))
    assert program.device_qubits == (0, 1, 2)
    assert [str(angle) for angle in program.shared_expressions] == ["angle", "2*angle", "angle**2"]
    bound = program.bind(np.zeros(0), np.array([0.7, 1.4, 0.49]))
    assert [item.operation.name for item in bound.data] == ["u", "delay", "barrier", "rzz"]
    assert bound.data[0].operation.params == [0.7, 0.3, 1.4]
    assert circuit.data[0].operation.params[0] == ANGLE  # the given circuit is unchanged


def test_replaced_gates_are_listed():
    circuit = QuantumCircuit(3)
    circuit.cry(ANGLE, 0, 1)
    circuit.swap(1, 2)
    native = frozenset({"ry", "cx", "rz", "sx"})
    physical = PhysicalCircuit(circuit, circuit, (0, 1, 2), {}, False, native)
    program = physical.lower([], [ANGLE], (0, 1, 2))
    assert {"cry", "swap"} <= program.rewritten
    assert {step.gate.name for step in program.steps} == {"ry", "cx"}


def test_parameters_are_those_of_the_given_circuit():
    circuit = QuantumCircuit(3)
    circuit.ry(ANGLE, 0)
    circuit.rz(0 * UNUSED + 0.2, 1)
    isa = transpiled(circuit, [0, 1, 2])
    physical = physical_circuit(isa)
    with pytest.raises(CircuitError, match=r"neither .*: angle"):
        physical.lower([], [UNUSED], (0, 1, 2))
    with pytest.raises(CircuitError, match="does not have: other"):
        physical.lower([], [ANGLE, UNUSED, Parameter("other")], (0, 1, 2))


def test_layout_applies_to_observables_of_the_virtual_width():
    virtual = physical_circuit(three_qubits())
    isa = physical_circuit(transpiled(three_qubits(), [4, 1, 5]))
    assert layout_applies(virtual, "Observable 0", 3)
    assert layout_applies(isa, "Observable 0", 3)
    assert not layout_applies(isa, "Observable 0", 6)
    with pytest.raises(ArgumentError, match=r"Observable 0.* 3 .*4"):
        layout_applies(virtual, "Observable 0", 4)
    with pytest.raises(ArgumentError, match=r"Observable 0.* 3 .* 6 .*4"):
        layout_applies(isa, "Observable 0", 4)
    full = physical_circuit(transpiled(QuantumCircuit(6), [5, 4, 3, 2, 1, 0]))
    assert full.takes_device_observables
    assert not layout_applies(full, "Observable 0", 6)
