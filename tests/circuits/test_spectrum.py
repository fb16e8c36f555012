"""Spectra against Fourier transforms of dense states, and every input that has none."""

from __future__ import annotations

import math

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from qiskit.circuit.library import CUGate, RXGate, XXPlusYYGate
from qiskit.quantum_info import SparsePauliOp, Statevector, random_unitary

from hybridopt.circuits import lower
from hybridopt.circuits.spectrum import Spectrum, spectra
from hybridopt.errors import ConversionError

X, Y, W = Parameter("x"), Parameter("y"), Parameter("w")


def circuit_of(*gates) -> QuantumCircuit:
    """Gates with their qubits, among fixed ones that let every frequency through."""
    circuit = QuantumCircuit(3)
    circuit.unitary(random_unitary(8, seed=1), [0, 1, 2])
    for number, (gate, qubits) in enumerate(gates):
        circuit.append(gate, qubits)
        circuit.unitary(random_unitary(8, seed=2 + number), [0, 1, 2])
    return circuit


def found(circuit: QuantumCircuit, inputs=(X,), *, whole: bool = True) -> list[tuple[float, int]]:
    given = [p for p in inputs if p in circuit.parameters]
    weights = [p for p in circuit.parameters if p not in given]
    result = spectra(circuit, lower(circuit, given, weights, whole=whole), given)
    return [(one.step, one.order) for one in result]


def frequencies(circuit: QuantumCircuit, period: float = 4 * math.pi) -> list[float]:
    """Those in which an observable really moves with x, by a transform of dense states."""
    points = np.arange(64) * period / 64
    observable = SparsePauliOp(["XYZ", "ZIX", "IYY"], [0.7, -1.1, 0.4])
    values = [
        Statevector(circuit.assign_parameters({X: x})).expectation_value(observable).real
        for x in points
    ]
    amplitudes = np.abs(np.fft.rfft(values)) / 64
    return [2 * math.pi * k / period for k in np.flatnonzero(amplitudes > 1e-12).tolist()]


@pytest.mark.parametrize(
    ("gates", "expected"),
    [
        ([(RXGate(X), [0])], (1.0, 1)),
        ([(RXGate(3 * X), [0])], (3.0, 1)),
        ([(RXGate(-2 * X + 0.7), [1])], (2.0, 1)),
        ([(RXGate(X), [0]), (RXGate(2 * X), [2])], (1.0, 3)),
        ([(RXGate(2 * X), [0]), (RXGate(4 * X), [2])], (2.0, 3)),
        ([(RXGate(X), [0]), (RXGate(X), [0]), (RXGate(X), [1])], (1.0, 3)),
        ([(RXGate(X).control(1, annotated=False), [0, 1])], (0.5, 2)),
        ([(RXGate(X).control(2, annotated=False), [0, 1, 2])], (0.5, 2)),
        ([(RXGate(2 * X).control(1, annotated=False), [2, 1])], (1.0, 2)),
        ([(XXPlusYYGate(X, 0.3), [0, 2])], (0.5, 2)),
        ([(RXGate(X).control(1, annotated=False), [0, 1]), (RXGate(X), [0])], (0.5, 4)),
        ([(RXGate(3 * X * (1 / 3)), [0])], (1.0, 1)),
    ],
)
def test_has_all_frequencies_and_none_above(gates, expected):
    circuit = circuit_of(*gates)
    assert found(circuit) == [expected]
    step, order = expected
    actual = frequencies(circuit)
    assert max(actual) == step * order
    assert all((frequency / step).is_integer() for frequency in actual)


def test_a_controlled_u_turns_by_halves():
    circuit = circuit_of((CUGate(X, 0.4, 0.2, 0.1), [0, 1]))
    ((step, order),) = found(circuit)
    assert step == 0.5
    assert max(frequencies(circuit)) <= step * order


def test_taken_apart_for_noise_it_is_the_same():
    circuit = circuit_of((RXGate(X).control(1, annotated=False), [0, 1]), (RXGate(2 * X), [2]))
    assert found(circuit, whole=False) == found(circuit) == [(0.5, 6)]


def test_inputs_may_stand_together_and_with_weights():
    circuit = circuit_of(
        (RXGate(X + 2 * Y + W), [0]), (RXGate(Y - X), [1]), (RXGate(X + W * W.sin()), [2])
    )
    assert found(circuit, (X, Y)) == [(1.0, 3), (1.0, 3)]
    assert found(circuit, (Y, X)) == [(1.0, 3), (1.0, 3)]
    assert Spectrum(1.0, 3).size == 7


def test_an_input_that_cancels_has_no_frequency():
    circuit = circuit_of((RXGate(X), [0]))
    circuit.rx(0 * Y + W, 1)
    inputs = [X, Y] if Y in circuit.parameters else [X]
    assert found(circuit, inputs)[0] == (1.0, 1)
    assert found(circuit, inputs)[1:] == [(1.0, 0)] * (len(inputs) - 1)


@pytest.mark.parametrize(
    ("angle", "reason"),
    [
        (2.5 * X, r"angle `2.5\*x` contains input `x` times 2.5, which is no integer"),
        (X / 2, "`x` times 0.5, which is no integer"),
        (X / 3 + W, "`x` times 0.333333, which is no integer"),
        (math.pi * X, "times 3.14159"),
        (X * W, r"angle `.*` contains input `x` in another way than times a fixed integer"),
        (X * Y, "frequencies are not fixed"),
        (X**2, "frequencies are not fixed"),
        (X.sin(), "in front of the layer"),
        (X.sign(), "frequencies are not fixed"),
    ],
    ids=str,
)
def test_refuses_with_the_angle_and_the_way_out(angle, reason):
    circuit = circuit_of((RXGate(X), [1]), (RXGate(angle), [0]))
    with pytest.raises(ConversionError, match=reason):
        found(circuit, (X, Y))


def test_refuses_a_factor_inside_a_gate_of_the_user():
    inner = QuantumCircuit(1)
    inner.rx(0.3 * X, 0)
    with pytest.raises(ConversionError, match=r"`x` times 0.3"):
        found(circuit_of((inner.to_gate(), [0])))
