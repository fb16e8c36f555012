"""Registers in results of samplers: as in Qiskit's samplers, bits of shots, exact probabilities."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister
from qiskit.circuit import Clbit
from qiskit.primitives import BackendSamplerV2, BitArray, StatevectorSampler
from qiskit_aer import AerSimulator

from hybridopt import AerExecutor
from hybridopt.errors import (
    ArgumentError,
    CircuitError,
    ExactResultAttributeError,
    UnsupportedError,
)
from hybridopt.qiskit_ml import AerSampler
from hybridopt.qiskit_ml.registers import Distributions, ShotOrder, Shots, counts_of

A, B, EMPTY = ClassicalRegister(2, "a"), ClassicalRegister(9, "b"), ClassicalRegister(0, "empty")
SHARED = ClassicalRegister(bits=[A[1], B[0]], name="shared")


def flipped(*registers: ClassicalRegister, loose: int = 0) -> QuantumCircuit:
    """Return a circuit of three qubits in state 101 without measurements."""
    circuit = QuantumCircuit(QuantumRegister(3), *registers)
    circuit.add_bits([Clbit() for _ in range(loose)])
    circuit.x([0, 2])
    return circuit


def no_registers() -> QuantumCircuit:
    return flipped()


def loose_bits() -> QuantumCircuit:
    circuit = flipped(loose=3)
    circuit.measure([0, 1, 2], [0, 1, 2])
    return circuit


def empty_register() -> QuantumCircuit:
    circuit = flipped(A, EMPTY)
    circuit.measure(0, A[1])
    return circuit


def only_an_empty_register() -> QuantumCircuit:
    return flipped(EMPTY)


def no_measurements() -> QuantumCircuit:
    return flipped(A, B)


def one_register_not_measured() -> QuantumCircuit:
    circuit = flipped(A, B)
    circuit.measure([2, 1], [B[8], B[1]])
    return circuit


def shared_bits() -> QuantumCircuit:
    circuit = flipped(A, B, SHARED)
    circuit.measure([0, 2, 1], [A[1], B[0], A[0]])
    return circuit


def one_qubit_in_two_bits() -> QuantumCircuit:
    circuit = flipped(A, B)
    circuit.measure([0, 0, 2], [A[0], B[3], B[4]])
    return circuit


def overwritten_bit() -> QuantumCircuit:
    circuit = flipped(A)
    circuit.measure([0, 1], [A[0], A[0]])
    circuit.measure([1, 2], [A[1], A[1]])
    return circuit


def gates_after_the_measurement_of_another_qubit() -> QuantumCircuit:
    circuit = flipped(A)
    circuit.measure(0, 0)
    circuit.x(1)
    circuit.barrier()
    circuit.delay(100, 0)
    circuit.measure(1, 1)
    return circuit


CIRCUITS = [
    no_registers, loose_bits, empty_register, only_an_empty_register, no_measurements,
    one_register_not_measured, shared_bits, one_qubit_in_two_bits, overwritten_bit,
    gates_after_the_measurement_of_another_qubit,
]  # fmt: skip


PAIRS = [(peer, make) for peer in (StatevectorSampler, BackendSamplerV2) for make in CIRCUITS]
PAIRS.remove((BackendSamplerV2, shared_bits))  # it reads consecutive bits only
PAIRS.remove((StatevectorSampler, gates_after_the_measurement_of_another_qubit))  # it refuses it


@pytest.mark.parametrize(("peer", "make"), PAIRS, ids=lambda thing: thing.__name__)
@pytest.mark.filterwarnings("ignore:.*classical register:UserWarning")
def test_registers_are_those_of_qiskits_samplers(peer, make):
    circuit = make()
    theirs = peer(backend=AerSimulator()) if peer is BackendSamplerV2 else peer()
    for given, shape in ((circuit, ()), ((circuit, np.zeros((2, 3, 0))), (2, 3))):
        (actual,) = AerSampler().run([given], shots=5).result()
        (expected,) = theirs.run([given], shots=5).result()
        assert list(actual.data) == list(expected.data)
        assert actual.data.shape == expected.data.shape == shape
        for name, bits in expected.data.items():
            np.testing.assert_array_equal(actual.data[name].array, bits.array)
            assert actual.data[name].num_bits == bits.num_bits
        (exact,) = AerSampler(exact=True).run([given]).result()
        assert list(exact.data) == list(expected.data)
        for name, bits in expected.data.items():
            (label,) = bits.get_counts() if bits.num_bits else [""]  # Qiskit counts no empty bits
            assert exact.data[name].get_probabilities() == {label: pytest.approx(1)}


@pytest.mark.parametrize("num_bits", [1, 3, 8, 9, 19])
@pytest.mark.parametrize("index", [(), (1,), (1, 0), (slice(None), 1)])
def test_counts_are_those_of_qiskit_in_the_same_order(num_bits, index):
    generator = np.random.default_rng(num_bits)
    outcomes = generator.integers(2, size=(4, num_bits), dtype=bool)  # each occurs several times
    bits = BitArray.from_bool_array(outcomes[generator.integers(4, size=(2, 3, 20))])[index]
    assert list(counts_of(bits).items()) == list(bits.get_counts().items())
    assert all(type(count) is int for count in counts_of(bits).values())


def test_circuits_without_registers_warn_as_in_qiskit():
    with pytest.warns(UserWarning, match="pub 1 has no classical register"):
        _, result = AerSampler().run([empty_register(), no_registers()]).result()
    assert len(result.data) == 0
    assert result.data.get_counts() == {}
    with pytest.warns(UserWarning, match="no classical register"):
        (result,) = AerSampler(exact=True).run([no_registers()]).result()
    with pytest.raises(ArgumentError, match="`names`"):
        result.join_data()


def test_sets_without_a_shot_array():
    circuit = flipped(A)
    for shape in ((0,), (2, 0)):
        (result,) = AerSampler().run([(circuit, np.zeros((*shape, 0)))], shots=7).result()
        assert (result.data.a.shape, result.data.a.num_shots) == (shape, 7)


def test_bits_are_those_of_a_bool_array():
    """Eleven bits in two bytes, one of them not measured, for sets of a table."""
    generator = np.random.default_rng(0)
    outcomes = np.array([1, 5, 1023, 600])
    shots = Shots(outcomes, generator.integers(4, size=(6, 20)))
    sources = (3, 9, None, 0, 1, 2, 4, 5, 6, 7, 8)
    found = shots.bit_array(sources, (2, 3))
    bits = np.zeros((2, 3, 20, 11), dtype=bool)
    for place, source in enumerate(sources):
        if source is not None:
            bits[..., place] = (outcomes[shots.drawn].reshape(2, 3, 20) >> source) & 1
    expected = BitArray.from_bool_array(bits, order="little")
    assert found.num_bits == 11
    np.testing.assert_array_equal(found.array, expected.array)


def test_the_first_shots_are_a_sample():
    """Sorted shots would have only zeros in their first half."""
    circuit = QuantumCircuit(3)
    circuit.h([0, 1, 2])
    circuit.measure_all()
    executor = AerExecutor(seed=1)
    orders = []
    for _ in range(2):
        (result,) = AerSampler(executor).run([(circuit, np.zeros((2, 0)))], shots=4000).result()
        orders += list(result.data.meas.array[..., 0])
    for order in orders:
        means = [np.mean(order[:1000] >> qubit & 1) for qubit in range(3)]
        np.testing.assert_allclose(means, 0.5, atol=5 * np.sqrt(0.25 / 1000))
        # of independent shots, neighbours are equal with probability 1/8
        equal = np.mean(order[1:] == order[:-1])
        assert abs(equal - 1 / 8) < 5 * np.sqrt(1 / 8 * 7 / 8 / 3999)
    ranks = np.corrcoef(orders)
    assert abs(ranks[~np.eye(4, dtype=bool)]).max() < 5 / np.sqrt(4000)


@pytest.mark.parametrize("name", ["shape", "keys", "size"])
def test_registers_named_as_a_part_of_results_raise(name):
    circuit = QuantumCircuit(QuantumRegister(3), ClassicalRegister(2, name))
    with pytest.raises(CircuitError, match=f"Register `{name}`"):
        AerSampler().run([circuit])
    with pytest.raises(CircuitError, match="one qubit"):
        AerSampler().run([QuantumCircuit(0, 2)])


def test_executors_must_draw_the_shots_of_a_job():
    with pytest.raises(UnsupportedError, match=r"`executor`.*4"):
        ShotOrder(AerExecutor()).draw(np.array([[0.5, 0.5], [0.3, 0.6]]), 4)


def test_exact_results_have_no_shots():
    (result,) = AerSampler(exact=True).run([empty_register()]).result()
    register = result.data.a
    assert isinstance(register, Distributions)
    for name in ("array", "get_bitstrings", "get_int_counts", "slice_shots", "expectation_values"):
        assert hasattr(BitArray, name)
        assert not hasattr(register, name)
        with pytest.raises(ExactResultAttributeError, match=f"`{name}`.*probabilities.*AerSampler"):
            getattr(register, name)
    with pytest.raises(AttributeError, match=r"`get_count`\."):
        register.get_count()
    for twin in (copy.deepcopy(register), pickle.loads(pickle.dumps(register))):
        assert twin.get_probabilities() == register.get_probabilities()
