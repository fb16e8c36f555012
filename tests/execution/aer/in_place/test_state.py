"""Gates of Aer on buffers, compared with Qiskit; the check that decides whether they are used."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from qiskit.circuit.library import CXGate, UCGate, UnitaryGate
from qiskit.quantum_info import Statevector, random_statevector, random_unitary

from hybridopt.execution.aer.in_place import state as module
from hybridopt.execution.aer.in_place.circuit import apply
from hybridopt.execution.aer.in_place.state import AerStateWrapper, BufferedState, is_available

QUBITS = [[2], [1, 3], [3, 0], [4, 0, 2], [3, 1, 4, 0]]


def evolved(seed):
    """Return a state after gates in place, and by Qiskit."""
    start = random_statevector(2**5, seed)
    buffer, expected = 3 * start.data, Statevector(3 * start.data)
    with BufferedState(buffer) as state:
        for number, qubits in enumerate(QUBITS):
            gate = UnitaryGate(random_unitary(2 ** len(qubits), seed + number))
            state.apply([(qubits, gate.to_matrix()), ([3, 1], None)])
            buffer *= 1j
            expected = 1j * expected.evolve(gate, qubits).evolve(CXGate(), [3, 1])
    return buffer, expected.data


def test_gates_match_qiskit():
    np.testing.assert_allclose(*evolved(7), rtol=0, atol=1e-13)


@pytest.mark.parametrize("controls", [[0], [3, 1], [4, 0, 2]], ids=str)
def test_selected_matrices_match_qiskit(controls):
    target = 3 if 3 not in controls else 2
    matrices = np.array([random_unitary(2, seed).data for seed in range(1 << len(controls))])
    start = random_statevector(2**5, 5)
    buffer = start.data.copy()
    with BufferedState(buffer) as state:
        state.multiplex(controls, target, matrices)
    expected = start.evolve(UCGate(list(matrices)), [target, *controls])
    np.testing.assert_allclose(buffer, expected.data, rtol=0, atol=1e-13)


def test_inverse_matrices_are_accepted_as_views():
    matrix = random_unitary(8, 1).data
    buffer = random_statevector(16, 2).data.copy()
    before = buffer.copy()
    with BufferedState(buffer) as state:
        state.apply([([3, 0, 1], matrix), ([3, 0, 1], matrix.conj().T)])
    np.testing.assert_allclose(buffer, before, rtol=0, atol=1e-14)


def test_an_error_between_gates_leaves_the_buffer_to_numpy():
    buffer = np.eye(8, dtype=complex)[0].copy()
    flip = np.array([[0, 1], [1, 0]], dtype=complex)

    def interrupted():
        with BufferedState(buffer) as state:
            state.apply([([1], flip)])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        interrupted()
    np.testing.assert_array_equal(buffer, np.eye(8)[2])
    np.testing.assert_allclose(*evolved(3), rtol=0, atol=1e-13)  # a new wrapper


class Recorded(AerStateWrapper):
    """Inner class that records whether it has a buffer, which it would free."""

    holding = 0
    interrupted = False

    def initialize_statevector(self, *arguments):
        super().initialize_statevector(*arguments)
        Recorded.holding += 1
        if Recorded.interrupted:
            raise KeyboardInterrupt

    def move_to_buffer(self):
        super().move_to_buffer()
        Recorded.holding -= 1


@pytest.mark.parametrize("place", ["start", "end"])
def test_an_interrupt_between_two_calls_leaves_the_buffer_to_numpy(monkeypatch, place):
    def interrupt(*arguments):
        raise KeyboardInterrupt

    def is_interrupted():
        try:
            apply(np.eye(2, 8, dtype=complex), [([1], np.eye(2, dtype=complex)[::-1].copy())])
        except KeyboardInterrupt:
            return True
        return False

    monkeypatch.setattr(module, "AerStateWrapper", Recorded)
    monkeypatch.setattr(module, "_idle", threading.local())
    monkeypatch.setattr(Recorded, "interrupted", place == "start")
    if place == "end":
        monkeypatch.setattr(BufferedState, "__exit__", interrupt)
    assert is_interrupted()
    assert Recorded.holding == 0


def test_each_thread_has_its_own_states():
    with ThreadPoolExecutor(3) as pool:
        for found, expected in pool.map(evolved, range(12)):
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13)


def test_the_inner_class_works_as_expected():
    assert is_available()


class Missing:
    """Inner class without the methods of this version."""


class Reversed(AerStateWrapper):
    """Inner class that orders the qubits of matrices in another way."""

    def apply_unitary(self, qubits, matrix):
        super().apply_unitary(qubits[::-1], matrix)


class OtherControls(AerStateWrapper):
    """Inner class that orders the controls of a multiplexer in another way."""

    def apply_multiplexer(self, controls, targets, matrices):
        super().apply_multiplexer(controls[::-1], targets, matrices)


class Copying(AerStateWrapper):
    """Inner class that works on a copy of the buffer."""

    def initialize_statevector(self, num_qubits, buffer, copy):
        self.other = buffer.copy()
        return super().initialize_statevector(num_qubits, self.other, copy)


@pytest.mark.parametrize("inner", [None, Missing, Reversed, OtherControls, Copying])
def test_another_inner_class_is_not_used(inner, monkeypatch):
    monkeypatch.setattr(module, "AerStateWrapper", inner)
    monkeypatch.setattr(module, "_idle", module.threading.local())
    assert is_available.__wrapped__() is False
