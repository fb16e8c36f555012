"""Circuits of the gallery agree with other libraries and with closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit.library import efficient_su2, real_amplitudes, zz_feature_map
from qiskit.quantum_info import Statevector

import hybridopt as ho


def values(name: str) -> tuple[np.ndarray, np.ndarray]:
    _, inputs, weights, _ = ho.load_circuit(name)
    draw = np.random.default_rng(len(inputs) + len(weights)).uniform
    return draw(-1.5, 1.5, len(inputs)), draw(-np.pi, np.pi, len(weights))


def state(name: str, x: np.ndarray, weight: np.ndarray) -> Statevector:
    circuit, inputs, weights, _ = ho.load_circuit(name)
    angles = dict(zip((*inputs, *weights), (*x, *weight), strict=True))
    return Statevector(circuit.assign_parameters(angles))


def expectations(name: str, x: np.ndarray, weight: np.ndarray) -> list[float]:
    reached = state(name, x, weight)
    return [reached.expectation_value(o).real for o in ho.load_circuit(name).observables]


def test_hardware_efficient_is_efficient_su2():
    x, weight = values("hardware_efficient")
    circuit = QuantumCircuit(4)
    for qubit, angle in enumerate(x):
        circuit.ry(angle, qubit)
    ansatz = efficient_su2(4, reps=1, entanglement="linear")
    circuit.compose(ansatz.assign_parameters(weight), inplace=True)
    assert Statevector(circuit).equiv(state("hardware_efficient", x, weight))


def test_zz_feature_map_is_qiskits():
    x, weight = values("zz_feature_map")
    circuit = zz_feature_map(3, reps=2).assign_parameters(x)
    ansatz = real_amplitudes(3, reps=2, entanglement="linear")
    circuit.compose(ansatz.assign_parameters(weight), inplace=True)
    assert Statevector(circuit).equiv(state("zz_feature_map", x, weight))


def pennylane_layers(qml):
    wires = range(4)
    return {
        "basic_entangler": lambda x, w: (
            qml.AngleEmbedding(x, wires),
            qml.BasicEntanglerLayers(w.reshape(3, 4), wires),
        ),
        "strongly_entangling": lambda x, w: (
            qml.AngleEmbedding(x, wires),
            qml.StronglyEntanglingLayers(w.reshape(2, 4, 3), wires),
        ),
        "simplified_two_design": lambda x, w: (
            qml.AngleEmbedding(x, wires),
            qml.SimplifiedTwoDesign(w[:4], w[4:].reshape(2, 3, 2), wires),
        ),
        "iqp_embedding": lambda x, w: (
            qml.IQPEmbedding(x, wires, n_repeats=2),
            qml.BasicEntanglerLayers(w.reshape(2, 4), wires),
        ),
    }


@pytest.mark.parametrize(
    "name", ["basic_entangler", "strongly_entangling", "simplified_two_design", "iqp_embedding"]
)
def test_pennylane_has_the_same_layers(name):
    qml = pytest.importorskip("pennylane")
    x, weight = values(name)

    @qml.qnode(qml.device("default.qubit", wires=4))
    def circuit():
        pennylane_layers(qml)[name](x, weight)
        return qml.state()

    amplitudes = np.asarray(circuit()).reshape([2] * 4).transpose().reshape(-1)  # wire 0 is last
    assert Statevector(amplitudes).equiv(state(name, x, weight))


def test_ghz_parity_equals_its_closed_form():
    x, (balance, offset) = values("ghz_phase_sensing")
    expected = np.cos(balance) * np.cos(4 * x[0] + offset)
    assert expectations("ghz_phase_sensing", x, [balance, offset]) == pytest.approx([expected])


def test_swap_test_measures_the_overlap():
    x, w = values("swap_test")
    sample, trained = QuantumCircuit(2), QuantumCircuit(2)
    for circuit, angles in ((sample, x), (trained, w)):
        circuit.ry(angles[0], 0)
        circuit.ry(angles[1], 1)
        circuit.crz(angles[2], 0, 1)
    trained.cry(w[3], 0, 1)
    overlap = abs(Statevector(sample).inner(Statevector(trained))) ** 2
    assert 0.01 < overlap < 0.99
    assert expectations("swap_test", x, w) == pytest.approx([overlap])


def test_memory_bridge_holds_the_walsh_sums():
    """The CX gates between RY flip their signs, so that the angles are a Walsh transform."""
    _, w = values("memory_bridge")
    p = state("memory_bridge", [], w).probabilities().reshape(2, 8)
    assert p.sum(0) == pytest.approx(np.full(8, 1 / 8))
    gray = [0, 1, 3, 2, 6, 7, 5, 4]
    signs = np.array([[(-1) ** (k & g).bit_count() for g in gray] for k in range(8)])
    assert 8 * (p[0] - p[1]) == pytest.approx(np.cos(signs @ w))


def test_number_of_excitations_stays_two():
    x, w = values("excitation_preserving")
    p = state("excitation_preserving", x, w).probabilities()
    assert p[[k.bit_count() == 2 for k in range(16)]].sum() == pytest.approx(1)
    assert (p > 1e-3).sum() > 3  # several states are populated


def test_qaoa_measures_the_expected_cut():
    _, w = values("qaoa_maxcut")
    edges = [(0, 1), (1, 2), (2, 3), (3, 0), (0, 2)]
    cuts = [sum((k >> a & 1) != (k >> b & 1) for a, b in edges) for k in range(16)]
    p = state("qaoa_maxcut", [], w).probabilities()
    assert expectations("qaoa_maxcut", [], w) == pytest.approx([p @ cuts])


def test_reuploading_starts_from_weight_times_input_plus_weight():
    """If only RY of the first layer is not 0, <Z> of a qubit is the cosine of that sum."""
    x, w = values("data_reuploading")
    w[6:] = 0
    angles = w[0:6:2] * x + w[1:6:2]
    assert expectations("data_reuploading", x, w) == pytest.approx(np.cos(angles[:2]))


def test_tree_and_chain_measure_their_last_qubit():
    """If all weights are 0, CX gates compute the parity of the inputs on the last qubit."""
    for name in ("tree_tensor_network", "matrix_product_state"):
        x, w = values(name)
        assert expectations(name, x, 0 * w) == pytest.approx([np.prod(np.cos(x))])


def test_dressed_circuit_starts_with_hadamards():
    """H turns RY(x) into RY(pi/2 + x); without CX gates, <Z> would be -sin x."""
    x, w = values("dressed_circuit")
    expected = QuantumCircuit(4)
    for qubit in range(4):
        expected.ry(np.pi / 2 + x[qubit], qubit)
    for layer in w.reshape(3, 4):
        for pair in ((0, 1), (2, 3), (1, 2)):
            expected.cx(*pair)
        for qubit in range(4):
            expected.ry(layer[qubit], qubit)
    measured = Statevector(expected).probabilities()
    assert state("dressed_circuit", x, w).probabilities() == pytest.approx(measured)


def test_convolutions_share_their_weights():
    circuit, _, weights, _ = ho.load_circuit("qcnn")
    blocks = [item.operation for item in circuit.data if item.operation.name == "convolution"]
    assert len(blocks) == 8 + 4 + 1
    assert len({str(block.params) for block in blocks}) == 3
    assert len(weights) == 18
