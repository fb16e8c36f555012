from __future__ import annotations

import numpy as np
import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from qiskit.primitives import StatevectorSampler
from qiskit.providers.fake_provider import GenericBackendV2
from qiskit.quantum_info import Operator, Pauli, SparseObservable, SparsePauliOp
from qiskit.transpiler import generate_preset_pass_manager
from qiskit_machine_learning.algorithms import NeuralNetworkClassifier
from qiskit_machine_learning.connectors import TorchConnector
from qiskit_machine_learning.neural_networks import EstimatorQNN, SamplerQNN
from qiskit_machine_learning.primitives import QMLSampler

from hybridopt import AerExecutor, CircuitLayer, from_qnn
from hybridopt.errors import (
    ArgumentError,
    ArgumentTypeError,
    CircuitError,
    UnsupportedError,
)
from tests.qiskit_ml.networks import (
    EXAMPLES,
    OBSERVABLES,
    central_difference,
    feature_map_and_ansatz,
    measured,
    parity,
    uploaded_twice,
    without_inputs,
)

QML = 1e-11  # QMLSampler rounds probabilities to 1e-12 each


def outputs(layer: CircuitLayer, x: np.ndarray) -> np.ndarray:
    return layer(torch.from_numpy(x)).detach().numpy()


@pytest.mark.parametrize("name", EXAMPLES)
def test_estimator_networks_have_the_same_outputs(name):
    example = EXAMPLES[name]()
    x, w = example.values()
    qnn = EstimatorQNN(**example.keywords, observables=OBSERVABLES)
    layer = from_qnn(qnn, initial=w)
    assert type(layer) is CircuitLayer
    assert (layer.in_features, layer.out_features) == (len(example.inputs), 3)
    np.testing.assert_allclose(outputs(layer, x), example.expectations(x, w), atol=1e-12)
    reference = qnn.forward(x if example.inputs else None, w)
    np.testing.assert_allclose(outputs(layer, x), np.broadcast_to(reference, (4, 3)), atol=1e-12)


@pytest.mark.parametrize(
    "observable",
    [
        SparsePauliOp("ZIX"),
        Pauli("ZIX"),
        Operator(SparsePauliOp("ZIX")),
        SparseObservable("ZIX"),
        "ZIX",
    ],
    ids=lambda observable: type(observable).__name__,
)
def test_observables_of_every_kind(observable):
    example = feature_map_and_ansatz()
    x, w = example.values()
    layer = from_qnn(EstimatorQNN(**example.keywords, observables=[observable]), initial=w)
    expected = example.expectations(x, w, [SparsePauliOp("ZIX")])
    np.testing.assert_allclose(outputs(layer, x), expected, atol=1e-12)


@pytest.mark.parametrize("gradient", ["parameter-shift", "adjoint"])
def test_gradients_by_weights_and_inputs(gradient):
    example = uploaded_twice()
    x, w = example.values()
    qnn = EstimatorQNN(**example.keywords, observables=OBSERVABLES)  # input_gradients is False
    layer = from_qnn(qnn, gradient=gradient, initial=w)
    inputs = torch.from_numpy(x).requires_grad_()
    factors = np.random.default_rng(1).normal(size=(4, 3))
    (layer(inputs) * torch.from_numpy(factors)).sum().backward()

    by_weights = central_difference(lambda v: (factors * example.expectations(x, v)).sum(), w)
    by_inputs = central_difference(
        lambda v: (factors * example.expectations(v.reshape(x.shape), w)).sum(), x.ravel()
    )
    np.testing.assert_allclose(layer.weight.grad.numpy(), by_weights, atol=1e-8)
    np.testing.assert_allclose(inputs.grad.numpy().ravel(), by_inputs, atol=1e-8)


@pytest.mark.parametrize("name", EXAMPLES)
def test_sampler_networks_have_the_same_outputs(name):
    example = EXAMPLES[name]()
    x, w = example.values()
    qnn = SamplerQNN(**example.keywords)
    layer = from_qnn(qnn, initial=w)
    assert layer.out_features == 8
    np.testing.assert_allclose(outputs(layer, x), example.probabilities(x, w), atol=1e-12)
    reference = qnn.forward(x if example.inputs else None, w)
    np.testing.assert_allclose(outputs(layer, x), np.broadcast_to(reference, (4, 8)), atol=QML)


@pytest.mark.parametrize(
    "registers",
    [
        {"meas": [2, 0]},
        {"c": [1, 2]},
        {"b": [2], "a": [1, 0]},
        {"c": [0], "meas": [2, 1]},  # the register `meas` is read alone
        {"c": [1, 1]},
        {"meas": [0, 1, 2, None, 1]},  # integers beyond 2**num_qubits are left out
        {"c": [2, None, 0]},
    ],
    ids=str,
)
def test_measured_qubits_are_read_in_the_order_of_their_bits(registers):
    example = feature_map_and_ansatz()
    x, w = example.values()
    qnn = SamplerQNN(
        circuit=measured(example.circuit, registers),
        input_params=example.inputs,
        weight_params=example.weights,
    )
    layer = from_qnn(qnn, initial=w)
    expected = np.concatenate([qnn.forward(sample, w) for sample in x])  # one by one: it mixes
    np.testing.assert_allclose(outputs(layer, x), expected, atol=QML)


def test_a_measured_subset_against_marginals():
    example = feature_map_and_ansatz()
    x, w = example.values()
    circuit = measured(example.circuit, {"b": [2], "a": [0]})
    qnn = SamplerQNN(
        circuit=circuit,
        input_params=example.inputs,
        weight_params=example.weights,
        interpret=lambda outcome: outcome,
        output_shape=4,
    )
    expected = example.probabilities(x, w, [2, 0])
    np.testing.assert_allclose(outputs(from_qnn(qnn, initial=w), x), expected, atol=1e-12)


@pytest.mark.parametrize(
    ("sampler", "reads"), [(QMLSampler(), 0b11), (StatevectorSampler(), 0b101)], ids=["qml", "qk"]
)
def test_bits_without_a_measurement_are_read_as_the_sampler_reads_them(sampler, reads):
    circuit = QuantumCircuit(3)
    angle = Parameter("t")
    circuit.ry(angle, [0, 2])
    qnn = SamplerQNN(
        circuit=measured(circuit, {"meas": [0, None, 2]}), weight_params=[angle], sampler=sampler
    )
    expected = np.zeros((1, 8))
    expected[0, reads] = 1
    np.testing.assert_allclose(qnn.forward(None, [np.pi]), expected, atol=QML)
    layer = from_qnn(qnn, initial=[np.pi])
    np.testing.assert_allclose(outputs(layer, np.zeros((1, 0))), expected, atol=1e-6)


@pytest.fixture(scope="module")
def placed():
    """A pass manager that puts three qubits on far places of a device of nine."""
    backend = GenericBackendV2(9, seed=1)
    return generate_preset_pass_manager(
        1, backend=backend, initial_layout=[7, 2, 5], seed_transpiler=0
    )


def test_transpiled_estimator_networks(placed):
    example = feature_map_and_ansatz()
    x, w = example.values()
    circuit = placed.run(example.circuit)
    observables = [op.apply_layout(circuit.layout) for op in OBSERVABLES]
    qnn = EstimatorQNN(
        circuit=circuit,
        input_params=example.inputs,
        weight_params=example.weights,
        observables=observables,
    )
    layer = from_qnn(qnn, initial=w)
    assert layer.num_qubits == 3
    np.testing.assert_allclose(outputs(layer, x), example.expectations(x, w), atol=1e-12)


def test_observables_on_idle_qubits_of_a_device(placed):
    example = feature_map_and_ansatz()
    x, w = example.values()
    qnn = EstimatorQNN(
        **example.keywords,
        pass_manager=placed,
        observables=[SparsePauliOp(["IIIIIIIIZ", "IIIIIIIIX"], [0.3, 0.4]), Pauli("XIIIIIIII")],
    )
    values = outputs(from_qnn(qnn, initial=w), x)
    np.testing.assert_allclose(values, np.tile([0.3, 0.0], (4, 1)), atol=1e-12)
    np.testing.assert_allclose(values, qnn.forward(x, w), atol=1e-12)


@pytest.mark.parametrize("measure_first", [False, True])
def test_transpiled_sampler_networks(placed, measure_first):
    example = feature_map_and_ansatz()
    x, w = example.values()
    circuit = example.circuit.measure_all(inplace=False) if measure_first else example.circuit
    qnn = SamplerQNN(
        circuit=circuit,
        input_params=example.inputs,
        weight_params=example.weights,
        pass_manager=placed,
    )
    layer = from_qnn(qnn, initial=w)
    assert layer.num_qubits == 3
    expected = SamplerQNN(
        circuit=example.circuit, input_params=example.inputs, weight_params=example.weights
    ).forward(x, w)
    np.testing.assert_allclose(outputs(layer, x), expected, atol=QML)
    # of bits that were measured first, the SamplerQNN itself takes those with the layout's numbers
    assert np.allclose(qnn.forward(x, w), expected, atol=QML) is not measure_first


def test_a_connector_brings_its_weights():
    example = feature_map_and_ansatz()
    x, w = example.values()
    connector = TorchConnector(EstimatorQNN(**example.keywords), initial_weights=w)
    layer = from_qnn(connector)
    assert torch.equal(layer.weight, connector.weight)
    assert layer.weight is not connector.weight
    inputs = torch.from_numpy(x).float()
    torch.testing.assert_close(layer(inputs), connector(inputs), rtol=0, atol=1e-6)
    other = from_qnn(connector, initial=np.arange(6.0))
    assert other.weight.tolist() == list(range(6))


def test_the_executor_governs():
    example = feature_map_and_ansatz()
    x, w = example.values()
    qnn = SamplerQNN(**example.keywords, interpret=parity, output_shape=2)
    shots = 1000
    layer = from_qnn(qnn, executor=AerExecutor(shots=shots, seed=1), initial=w)
    exact = outputs(from_qnn(qnn, initial=w), x)
    sampled = outputs(layer, x)
    np.testing.assert_allclose(sampled * shots, np.rint(sampled * shots), atol=1e-9)
    np.testing.assert_allclose(sampled, exact, atol=5 * np.sqrt(0.25 / shots))
    assert layer.executor.usage.shots == shots * len(x)


@pytest.mark.wrong_types
@pytest.mark.parametrize("thing", [None, torch.nn.Linear(2, 3), EstimatorQNN])
def test_other_things_are_refused(thing):
    with pytest.raises(ArgumentTypeError, match="must be an EstimatorQNN, a SamplerQNN or a"):
        from_qnn(thing)


@pytest.mark.wrong_types
def test_models_and_sparse_networks_are_refused_with_the_way_out():
    keywords = feature_map_and_ansatz().keywords
    with pytest.raises(ArgumentTypeError, match="Pass its `neural_network`"):
        from_qnn(NeuralNetworkClassifier(EstimatorQNN(**keywords)))
    qnn = SamplerQNN(**keywords)
    qnn._sparse = True
    with pytest.raises(UnsupportedError, match="Build it with sparse=False"):
        from_qnn(qnn)


def test_mid_circuit_measurements_are_refused():
    circuit = measured(without_inputs().circuit, {"c": [0, 1, 2]})
    circuit.rx(0.3, 1)
    qnn = SamplerQNN(circuit=circuit, weight_params=list(circuit.parameters))
    with pytest.raises(
        CircuitError, match="`measure` on qubit 1 is a mid-circuit measurement: `rx"
    ):
        from_qnn(qnn)


def test_circuits_without_a_shift_rule_are_refused_before_anything_runs(aer_calls):
    circuit = without_inputs().circuit.copy()
    circuit.reset(1)
    for kind in (EstimatorQNN, SamplerQNN):
        qnn = kind(circuit=circuit, weight_params=list(circuit.parameters))
        with pytest.raises(CircuitError, match="`reset` on qubit 1"):
            from_qnn(qnn)
    assert aer_calls == []


@pytest.mark.parametrize(
    ("interpret", "shape", "error", "message"),
    [
        (lambda k: k, 7, ArgumentError, r"interpret\(7\) returned 7, which is no index into"),
        (lambda k: (k,), (2, 4), ArgumentError, r"interpret\(0\) returned \(0,\)"),
        (lambda k: "a", 2, ArgumentTypeError, r"must return an int or a tuple of ints"),
        (lambda k: 0.5, 2, ArgumentTypeError, r"must return an int or a tuple of ints"),
    ],
)
def test_interpret_functions_that_leave_the_shape_are_refused(interpret, shape, error, message):
    qnn = SamplerQNN(**feature_map_and_ansatz().keywords, interpret=interpret, output_shape=shape)
    with pytest.raises(error, match=message):
        from_qnn(qnn)


def test_observables_that_do_not_fit_are_refused():
    keywords = feature_map_and_ansatz().keywords
    with pytest.raises(ArgumentError, match="acts on 2 qubits, but the circuit has 3"):
        from_qnn(EstimatorQNN(**keywords, observables=SparsePauliOp("ZZ")))
    with pytest.raises(ArgumentError, match="not Hermitian"):
        from_qnn(EstimatorQNN(**keywords, observables=SparsePauliOp("ZZZ", 1j)))
    with pytest.raises(ArgumentError, match="letters I, X, Y and Z"):
        from_qnn(EstimatorQNN(**keywords, observables=["ZAZ"]))
    with pytest.raises(ArgumentTypeError, match="but is of type int"):
        from_qnn(EstimatorQNN(**keywords, observables=[3]))


def test_rules_that_do_not_fit_the_executor_are_refused():
    qnn = SamplerQNN(**feature_map_and_ansatz().keywords)
    with pytest.raises(UnsupportedError, match="adjoint"):
        from_qnn(qnn, executor=AerExecutor(shots=10), gradient="adjoint")
