"""Layers made of networks: the same outputs and gradients; rejected networks."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from qiskit.circuit.library import real_amplitudes, zz_feature_map
from qiskit.primitives import StatevectorSampler
from qiskit.providers.fake_provider import GenericBackendV2
from qiskit.quantum_info import Operator, Pauli, SparseObservable, SparsePauliOp
from qiskit.transpiler import generate_preset_pass_manager
from qiskit_machine_learning.algorithms import VQC, NeuralNetworkClassifier
from qiskit_machine_learning.connectors import TorchConnector
from qiskit_machine_learning.neural_networks import EstimatorQNN, SamplerQNN
from qiskit_machine_learning.primitives import QMLSampler

from hybridopt import AerExecutor, CircuitLayer, from_qnn
from hybridopt.errors import ArgumentError, ArgumentTypeError, CircuitError, UnsupportedError
from hybridopt.qiskit_ml import AerSampler
from tests.qiskit_ml.networks import (
    EXAMPLES,
    OBSERVABLES,
    central_difference,
    feature_map_and_ansatz,
    measured,
    parity,
    trained,
    uploaded_twice,
    without_inputs,
)

QML = 1e-11  # QMLSampler rounds probabilities to 1e-12 each


def outputs(layer: CircuitLayer, x: np.ndarray) -> np.ndarray:
    return layer(torch.from_numpy(x)).detach().numpy()


@pytest.mark.parametrize("kind", [EstimatorQNN, SamplerQNN])
@pytest.mark.parametrize("name", EXAMPLES)
def test_layers_have_the_outputs_of_their_networks(name, kind):
    example, x, w = trained(EXAMPLES[name])
    estimator = kind is EstimatorQNN
    qnn = example.network(kind, **({"observables": OBSERVABLES} if estimator else {}))
    layer = from_qnn(qnn, initial=w)
    assert (type(layer) is CircuitLayer) is estimator
    assert (layer.in_features, layer.out_features) == (len(example.inputs), 3 if estimator else 8)
    expected = example.expectations(x, w) if estimator else example.probabilities(x, w)
    np.testing.assert_allclose(outputs(layer, x), expected, atol=1e-12)
    reference = np.broadcast_to(qnn.forward(x if example.inputs else None, w), expected.shape)
    np.testing.assert_allclose(outputs(layer, x), reference, atol=QML)


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
    example, x, w = trained()
    layer = from_qnn(example.network(EstimatorQNN, observables=[observable]), initial=w)
    expected = example.expectations(x, w, [SparsePauliOp("ZIX")])
    np.testing.assert_allclose(outputs(layer, x), expected, atol=1e-12)


@pytest.mark.parametrize("gradient", ["parameter-shift", "adjoint"])
def test_gradients_with_respect_to_weights_and_inputs(gradient):
    example, x, w = trained(uploaded_twice)
    qnn = example.network(EstimatorQNN, observables=OBSERVABLES)  # input_gradients is False
    layer = from_qnn(qnn, gradient=gradient, initial=w)
    inputs = torch.from_numpy(x).requires_grad_()
    factors = np.random.default_rng(1).normal(size=(4, 3))
    (layer(inputs) * torch.from_numpy(factors)).sum().backward()

    expected = central_difference(lambda v: (factors * example.expectations(x, v)).sum(), w)
    np.testing.assert_allclose(layer.weight.grad.numpy(), expected, atol=1e-8)
    expected = central_difference(
        lambda v: (factors * example.expectations(v.reshape(x.shape), w)).sum(), x.ravel()
    )
    np.testing.assert_allclose(inputs.grad.numpy().ravel(), expected, atol=1e-8)


@pytest.mark.parametrize(
    ("registers", "qubits"),
    [
        ({"meas": [2, 0]}, [2, 0]),
        ({"c": [1, 2]}, [1, 2]),
        ({"b": [2], "a": [1, 0]}, [2, 1, 0]),
        ({"c": [0], "meas": [2, 1]}, [2, 1]),  # the register `meas` is read alone
        ({"c": [1, 1]}, None),
        ({"meas": [0, 1, 2, None, 1]}, None),  # integers beyond 2**num_qubits are left out
        ({"c": [2, None, 0]}, None),
    ],
    ids=str,
)
def test_measured_qubits_are_read_in_the_order_of_their_bits(registers, qubits):
    example, x, w = trained()
    qnn = example.network(SamplerQNN, circuit=measured(example.circuit, registers))
    expected = np.concatenate(
        [qnn.forward(sample, w) for sample in x]
    )  # it mixes the samples of a batch
    actual = outputs(from_qnn(qnn, initial=w), x)
    np.testing.assert_allclose(actual, expected, atol=QML)
    if qubits is not None:
        marginals = example.probabilities(x, w, qubits)
        np.testing.assert_allclose(actual[:, : 1 << len(qubits)], marginals, atol=1e-12)


@pytest.mark.parametrize(
    ("sampler", "reads"), [(QMLSampler(), 0b11), (StatevectorSampler(), 0b101)], ids=["qml", "qk"]
)
def test_unmeasured_bits_are_read_as_the_sampler_reads_them(sampler, reads):
    circuit, angle = QuantumCircuit(3), Parameter("t")
    circuit.ry(angle, [0, 2])
    circuit = measured(circuit, {"meas": [0, None, 2]})
    qnn = SamplerQNN(circuit=circuit, weight_params=[angle], sampler=sampler)
    expected = np.eye(8)[[reads]]
    np.testing.assert_allclose(qnn.forward(None, [np.pi]), expected, atol=QML)
    layer = from_qnn(qnn, initial=[np.pi])
    np.testing.assert_allclose(outputs(layer, np.zeros((1, 0))), expected, atol=1e-6)


@pytest.fixture(scope="module")
def placed():
    """Return a pass manager that places three qubits far apart on a device of nine."""
    backend = GenericBackendV2(9, seed=1)
    return generate_preset_pass_manager(
        1, backend=backend, initial_layout=[7, 2, 5], seed_transpiler=0
    )


def test_transpiled_estimator_networks(placed):
    example, x, w = trained()
    circuit = placed.run(example.circuit)
    observables = [op.apply_layout(circuit.layout) for op in OBSERVABLES]
    layer = from_qnn(
        example.network(EstimatorQNN, circuit=circuit, observables=observables), initial=w
    )
    assert layer.num_qubits == 3
    np.testing.assert_allclose(outputs(layer, x), example.expectations(x, w), atol=1e-12)


def test_observables_on_idle_qubits_of_a_device(placed):
    example, x, w = trained()
    observables = [SparsePauliOp(["IIIIIIIIZ", "IIIIIIIIX"], [0.3, 0.4]), Pauli("XIIIIIIII")]
    qnn = example.network(EstimatorQNN, pass_manager=placed, observables=observables)
    values = outputs(from_qnn(qnn, initial=w), x)
    np.testing.assert_allclose(values, np.tile([0.3, 0.0], (4, 1)), atol=1e-12)
    np.testing.assert_allclose(values, qnn.forward(x, w), atol=1e-12)


# raised inside the sampler of qiskit-machine-learning by Qiskit before 2.6
@pytest.mark.filterwarnings("ignore:Trying to add QuantumRegister to a QuantumCircuit having a la")
@pytest.mark.parametrize("measure_first", [False, True])
def test_transpiled_sampler_networks(placed, measure_first):
    example, x, w = trained()
    circuit = example.circuit.measure_all(inplace=False) if measure_first else example.circuit
    qnn = example.network(SamplerQNN, circuit=circuit, pass_manager=placed)
    layer = from_qnn(qnn, initial=w)
    assert layer.num_qubits == 3
    expected = example.network(SamplerQNN).forward(x, w)
    np.testing.assert_allclose(outputs(layer, x), expected, atol=QML)
    # the SamplerQNN itself takes the bits of the layout, also if they were measured before
    assert np.allclose(qnn.forward(x, w), expected, atol=QML) is not measure_first


def test_connector_gives_its_weights():
    example, x, w = trained()
    connector = TorchConnector(example.network(EstimatorQNN), initial_weights=w)
    layer = from_qnn(connector)
    assert torch.equal(layer.weight, connector.weight)
    assert layer.weight is not connector.weight
    inputs = torch.from_numpy(x).float()
    torch.testing.assert_close(layer(inputs), connector(inputs), rtol=0, atol=1e-6)
    assert from_qnn(connector, initial=np.arange(6.0)).weight.tolist() == list(range(6))


def test_shots_are_those_of_the_executor():
    example, x, w = trained()
    qnn = example.network(SamplerQNN, interpret=parity, output_shape=2)
    shots = 1000
    layer = from_qnn(qnn, executor=AerExecutor(shots=shots, seed=1), initial=w)
    sampled, exact = outputs(layer, x), outputs(from_qnn(qnn, initial=w), x)
    np.testing.assert_allclose(sampled * shots, np.rint(sampled * shots), atol=1e-9)
    np.testing.assert_allclose(sampled, exact, atol=5 * np.sqrt(0.25 / shots))
    assert layer.executor.usage.shots == shots * len(x)


@pytest.mark.parametrize(
    ("interpret", "shape"),
    [
        (parity, 2),
        (lambda outcome: outcome % 3, 3),
        (lambda outcome: (outcome % 2, outcome // 4), (2, 3)),  # one column stays empty
        (lambda outcome: np.int64(outcome // 2), (4,)),
        (lambda outcome: -1, 5),
    ],
    ids=["parity", "classes", "tuple", "numpy", "negative"],
)
def test_interpreted_outputs_and_their_gradients(interpret, shape):
    example, x, w = trained(batch=2)
    qnn = example.network(SamplerQNN, interpret=interpret, output_shape=shape)
    layer = from_qnn(qnn, gradient="adjoint", initial=w)

    def interpreted(weights):
        result = np.zeros((len(x), *np.atleast_1d(shape)))
        for sample, row in zip(result, example.probabilities(x, weights), strict=True):
            for outcome, probability in enumerate(row):
                sample[interpret(outcome)] += probability
        return result

    values = layer(torch.from_numpy(x))
    assert values.shape == (2, *layer.output_shape)
    assert layer.out_features == np.prod(shape)
    np.testing.assert_allclose(values.detach().numpy(), interpreted(w), atol=1e-12)
    np.testing.assert_allclose(values.detach().numpy(), qnn.forward(x, w), atol=QML)
    factors = np.random.default_rng(1).normal(size=values.shape)
    (values * torch.from_numpy(factors)).sum().backward()
    expected = central_difference(lambda v: (factors * interpreted(v)).sum(), w)
    np.testing.assert_allclose(layer.weight.grad.numpy(), expected, atol=1e-8)


def test_interpreted_layers_are_copied_and_pickled():
    example, _, w = trained(without_inputs)
    qnn = example.network(SamplerQNN, interpret=lambda k: (k % 2, k // 4), output_shape=(2, 2))
    layer = from_qnn(qnn, initial=w).double()
    x = torch.zeros(5, 3, 0, dtype=torch.float64)
    assert layer(x).shape == (5, 3, 2, 2)
    assert list(layer.state_dict()) == ["weight"]
    for twin in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        torch.testing.assert_close(twin(x), layer(x), rtol=0, atol=0)
    assert layer.to("meta")(x.to("meta")).shape == (5, 3, 2, 2)
    assert "output_shape=(2, 2)" in repr(layer)


def test_interpreted_layers_take_single_samples_single_precision_and_empty_batches():
    example, x, w = trained()
    layer = from_qnn(example.network(SamplerQNN, interpret=parity, output_shape=2), initial=w)
    single = layer(torch.from_numpy(x[0]).float())
    assert (single.shape, single.dtype) == ((2,), torch.float32)
    np.testing.assert_allclose(single.detach().numpy(), outputs(layer, x)[0], atol=1e-6)
    inputs = torch.rand(50, 3)  # sums have double precision and are rounded once
    assert torch.equal(layer(inputs), layer(inputs.double()).float())
    assert layer(torch.zeros(0, 3)).shape == (0, 2)
    assert from_qnn(example.network(SamplerQNN)).weight.abs().max() <= np.pi


@pytest.mark.wrong_types
def test_bad_networks():
    example = feature_map_and_ansatz()
    for thing in (None, torch.nn.Linear(2, 3), EstimatorQNN):
        with pytest.raises(ArgumentTypeError, match="`qnn`"):
            from_qnn(thing)
    with pytest.raises(ArgumentTypeError, match=r"`qnn`.*`neural_network`"):
        from_qnn(NeuralNetworkClassifier(example.network(EstimatorQNN)))
    vqc = VQC(
        feature_map=zz_feature_map(2), ansatz=real_amplitudes(2, reps=1), sampler=AerSampler()
    )
    with pytest.raises(ArgumentTypeError, match=r"`qnn`.*VQC.*`neural_network`.*`initial="):
        from_qnn(vqc)
    qnn = example.network(SamplerQNN)
    with pytest.raises(UnsupportedError, match="adjoint"):
        from_qnn(qnn, executor=AerExecutor(shots=10), gradient="adjoint")
    qnn._sparse = True
    with pytest.raises(UnsupportedError, match="sparse=False"):
        from_qnn(qnn)


def test_bad_circuits_are_rejected_before_any_run(aer_calls):
    circuit = measured(without_inputs().circuit, {"c": [0, 1, 2]})
    circuit.rx(0.3, 1)
    with pytest.raises(CircuitError, match=r"`measure` on qubit 1.*`rx`"):
        from_qnn(SamplerQNN(circuit=circuit, weight_params=list(circuit.parameters)))
    circuit = without_inputs().circuit.copy()
    circuit.reset(1)
    for kind in (EstimatorQNN, SamplerQNN):
        qnn = kind(circuit=circuit, weight_params=list(circuit.parameters))
        with pytest.raises(CircuitError, match="`reset` on qubit 1"):
            from_qnn(qnn)
    assert aer_calls == []


@pytest.mark.parametrize(
    ("interpret", "shape", "error", "call"),
    [
        (lambda k: k, 7, ArgumentError, r"interpret\(7\)"),
        (lambda k: (k,), (2, 4), ArgumentError, r"interpret\(0\)"),
        (lambda k: "a", 2, ArgumentTypeError, r"interpret\(0\)"),
        (lambda k: 0.5, 2, ArgumentTypeError, r"interpret\(0\)"),
    ],
)
def test_interpret_must_return_an_index_into_the_output_shape(interpret, shape, error, call):
    qnn = feature_map_and_ansatz().network(SamplerQNN, interpret=interpret, output_shape=shape)
    with pytest.raises(error, match=call):
        from_qnn(qnn)


@pytest.mark.parametrize(
    ("observable", "error", "message"),
    [
        (SparsePauliOp("ZZ"), ArgumentError, "Observable 0 .*3 .*2"),
        (SparsePauliOp("ZZZ", 1j), ArgumentError, "Hermitian"),
        ("ZAZ", ArgumentError, "'ZAZ'"),
        (3, ArgumentTypeError, "int"),
    ],
)
def test_bad_observables(observable, error, message):
    with pytest.raises(error, match=message):
        from_qnn(feature_map_and_ansatz().network(EstimatorQNN, observables=[observable]))
