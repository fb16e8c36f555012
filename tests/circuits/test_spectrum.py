"""Spectra against Fourier transforms of dense states; inputs without a spectrum."""

from __future__ import annotations

import math

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from qiskit.circuit import library as lib
from qiskit.quantum_info import SparsePauliOp, Statevector, random_unitary

from hybridopt.circuits import lower
from hybridopt.circuits.spectrum import Spectrum, fixed_slope, spectra
from hybridopt.errors import ConversionError

X, Y, W = Parameter("x"), Parameter("y"), Parameter("w")


def circuit_of(*gates) -> QuantumCircuit:
    """Return a circuit of gates between random fixed ones, so that no frequency cancels."""
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
    """Return the frequencies of an observable in x, by a transform of dense states."""
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
        ([(lib.RXGate(X), [0])], (1.0, 1)),
        ([(lib.RXGate(3 * X), [0])], (3.0, 1)),
        ([(lib.RXGate(-2 * X + 0.7), [1])], (2.0, 1)),
        ([(lib.RXGate(X), [0]), (lib.RXGate(2 * X), [2])], (1.0, 3)),
        ([(lib.RXGate(2 * X), [0]), (lib.RXGate(4 * X), [2])], (2.0, 3)),
        ([(lib.RXGate(X), [0]), (lib.RXGate(X), [0]), (lib.RXGate(X), [1])], (1.0, 3)),
        ([(lib.RXGate(X).control(1, annotated=False), [0, 1])], (0.5, 2)),
        ([(lib.RXGate(X).control(2, annotated=False), [0, 1, 2])], (0.5, 2)),
        ([(lib.RXGate(2 * X).control(1, annotated=False), [2, 1])], (1.0, 2)),
        ([(lib.XXPlusYYGate(X, 0.3), [0, 2])], (0.5, 2)),
        ([(lib.RXGate(X).control(1, annotated=False), [0, 1]), (lib.RXGate(X), [0])], (0.5, 4)),
        ([(lib.RXGate(3 * X * (1 / 3)), [0])], (1.0, 1)),
    ],
)
def test_spectrum_covers_all_frequencies(gates, expected):
    circuit = circuit_of(*gates)
    assert found(circuit) == [expected]
    step, order = expected
    actual = frequencies(circuit)
    assert max(actual) == step * order
    assert all((frequency / step).is_integer() for frequency in actual)


def test_decomposed_gates_have_no_more_frequencies():
    circuit = circuit_of((lib.CUGate(X, 0.4, 0.2, 0.1), [0, 1]))
    ((step, order),) = found(circuit)
    assert step == 0.5
    assert max(frequencies(circuit)) <= step * order
    circuit = circuit_of(
        (lib.RXGate(X).control(1, annotated=False), [0, 1]), (lib.RXGate(2 * X), [2])
    )
    assert found(circuit, whole=False) == found(circuit) == [(0.5, 6)]


def test_several_inputs_and_weights_in_one_angle():
    circuit = circuit_of(
        (lib.RXGate(X + 2 * Y + W), [0]),
        (lib.RXGate(Y - X), [1]),
        (lib.RXGate(X + W * W.sin()), [2]),
    )
    assert found(circuit, (X, Y)) == found(circuit, (Y, X)) == [(1.0, 3), (1.0, 3)]
    assert Spectrum(1.0, 3).size == 7


@pytest.mark.parametrize(
    ("angle", "reason"),
    [
        (2.5 * X, r"`x`.*`2.5\*x`.*2.5"),
        (X / 2, "`x`.*0.5"),
        (X / 3 + W, "`x`.*0.333333"),
        (math.pi * X, "`x`.*3.14159"),
        (X * W, r"`x`.*`(w\*x|x\*y)`"),
        (X * Y, r"`x`.*`(w\*x|x\*y)`"),
        (X**2, "`x`.*`x"),
        (X.sin(), "`sin"),
        (X.sign(), "`sign"),
    ],
    ids=str,
)
def test_inputs_without_a_fixed_integer_factor_are_rejected(angle, reason):
    circuit = circuit_of((lib.RXGate(X), [1]), (lib.RXGate(angle), [0]))
    with pytest.raises(ConversionError, match=f"{reason}.*torch"):
        found(circuit, (X, Y))


def test_factors_inside_definitions_are_rejected():
    inner = QuantumCircuit(1)
    inner.rx(0.3 * X, 0)
    with pytest.raises(ConversionError, match=r"`x`.*0.3"):
        found(circuit_of((inner.to_gate(), [0])))


def test_slopes_of_nested_products_need_no_symbolic_derivative():
    w, x = Parameter("w"), Parameter("x")
    nested = w
    for _ in range(8):  # its derivative has more terms than there is memory for
        nested = nested * nested + nested
    assert fixed_slope(nested, w) is None
    assert fixed_slope(x * nested.sin(), x) is None
    assert fixed_slope(1e9 * x - 1e-3 * w, w) == -1e-3
    assert fixed_slope(x / w, x) is None
    assert fixed_slope((2 - w) * 3 + x, w) == -3
