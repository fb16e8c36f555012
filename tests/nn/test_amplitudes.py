"""Amplitudes as inputs, against dense matrices of the same circuit in torch."""

import copy
import math
import pickle

import numpy as np
import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from qiskit.circuit.library import real_amplitudes
from qiskit.quantum_info import Operator, SparsePauliOp
from qiskit_aer.noise import NoiseModel, depolarizing_error
from qiskit_machine_learning.circuit.library import raw_feature_vector

import hybridopt as ho
from hybridopt.errors import ArgumentError, CircuitError, ConversionError, UnsupportedError

QUBITS = (2, 0, 3)  # of the amplitudes, in an order of their own; qubit 1 starts in 0
OBSERVABLES = ("ZIIX", "IZZI", "YIIZ")
ANSATZ = real_amplitudes(3, reps=1)
ANGLE = Parameter("angle")
AMPLITUDES = raw_feature_vector(8)
INPUTS = [*AMPLITUDES.parameters, ANGLE]


def behind(weights=None, angle=ANGLE):
    """Return the gates that follow the amplitudes."""
    circuit = QuantumCircuit(4)
    circuit.h(1)
    circuit.s(0)
    circuit.rx(angle, 1)
    circuit.cx(1, 2)
    ansatz = ANSATZ if weights is None else ANSATZ.assign_parameters(weights)
    circuit.compose(ansatz, [0, 1, 2], inplace=True)
    circuit.t(3)
    circuit.cry(angle, 3, 0)
    return circuit


CIRCUIT = QuantumCircuit(4).compose(AMPLITUDES, QUBITS).compose(behind())


def dense(samples, weights):
    """Return the outputs by matrix products, differentiable by the amplitudes."""
    places = [sum(((k >> bit) & 1) << q for bit, q in enumerate(QUBITS)) for k in range(8)]
    outputs = []
    for sample in samples:
        unitary = torch.tensor(Operator(behind(weights.tolist(), float(sample[8].detach()))).data)
        state = torch.zeros(16, dtype=torch.complex128)
        amplitudes = sample[:8] / sample[:8].norm()
        state = unitary @ state.index_add(0, torch.tensor(places), amplitudes.to(state.dtype))
        matrices = [torch.tensor(SparsePauliOp(label).to_matrix()) for label in OBSERVABLES]
        outputs.append(torch.stack([(state.conj() @ matrix @ state).real for matrix in matrices]))
    return torch.stack(outputs)


@pytest.fixture
def samples():
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(5, 9, dtype=torch.float64, generator=generator)
    x[1, 3:8] = 0  # gradients by zero amplitudes are not zero
    x[2, :8] = torch.eye(8)[5]
    return x.requires_grad_()


@pytest.fixture
def weights():
    return torch.linspace(-1.1, 2.3, 6, dtype=torch.float64)


def layer_of(weights, gradient="adjoint", normalize=True, pad_with=None, **executor):
    return ho.CircuitLayer(
        CIRCUIT,
        INPUTS,
        ANSATZ.parameters,
        OBSERVABLES,
        executor=ho.AerExecutor(**executor),
        gradient=gradient,
        initial=weights,
        normalize=normalize,
        pad_with=pad_with,
    )


def gradients_of(layer, samples):
    """Return outputs, and gradients of their weighted sum with respect to inputs and weights."""
    x = samples.detach().clone().requires_grad_()
    outputs = layer(x)
    cotangent = torch.linspace(0.5, -1.5, outputs.numel(), dtype=torch.float64)
    by_x, by_weights = torch.autograd.grad(
        outputs, (x, layer.weight), cotangent.reshape(outputs.shape)
    )
    return outputs.detach(), by_x, by_weights


WAYS = [
    {},
    {"strategy": "stacked"},
    {"strategy": "checkpoints"},
    {"strategy": "table"},
    {"method": "density_matrix"},
    {"method": "matrix_product_state"},
]


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_values_and_input_gradient_are_those_of_matrices(way, samples, weights):
    layer = layer_of(weights, "parameter-shift", **way)
    values, by_x, _ = gradients_of(layer, samples)
    expected = dense(samples, weights)
    cotangent = torch.linspace(0.5, -1.5, 15, dtype=torch.float64).reshape(5, 3)
    (by_amplitudes,) = torch.autograd.grad((expected * cotangent).sum(), samples)
    tolerance = 1e-9 if way.get("method") == "matrix_product_state" else 1e-12
    torch.testing.assert_close(values, expected.detach(), rtol=0, atol=tolerance)
    torch.testing.assert_close(by_x[:, :8], by_amplitudes[:, :8], rtol=0, atol=tolerance)


@pytest.mark.parametrize("max_memory", [None, 15_000], ids=["kept states", "states together"])
def test_adjoint_agrees_with_parameter_shift(max_memory, samples, weights):
    found = gradients_of(layer_of(weights, max_memory=max_memory), samples)
    expected = gradients_of(layer_of(weights, "parameter-shift"), samples)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


@pytest.mark.parametrize("gradient", ["adjoint", "parameter-shift"])
def test_derivatives_of_second_order(gradient, samples, weights):
    layer = layer_of(weights, gradient)
    x = samples.detach()[:1].clone().requires_grad_()
    assert torch.autograd.gradcheck(layer, (x,))
    assert torch.autograd.gradgradcheck(layer, (x,))


def test_torch_func(samples, weights):
    layer = layer_of(weights)
    x = samples.detach()
    rows = torch.func.vmap(torch.func.jacrev(layer))(x)
    for one, row in zip(x, rows, strict=True):
        torch.testing.assert_close(
            row, torch.autograd.functional.jacobian(layer, one), rtol=0, atol=1e-12
        )


def test_spsa_estimates_the_gradient(samples, weights):
    expected = gradients_of(layer_of(weights, "parameter-shift"), samples[:2])[1]
    directions, scale = 400, float(expected.abs().max())
    rule = ho.gradients.Spsa(directions=directions, seed=1)
    found = gradients_of(layer_of(weights, rule), samples[:2])[1]
    assert float((found - expected).abs().max()) < 6 * scale * math.sqrt(18 / directions)


def test_shots_scatter_around_the_values(samples, weights):
    shots = 4000
    found = layer_of(weights, "parameter-shift", shots=shots, seed=5)(samples).detach()
    expected = dense(samples, weights).detach()
    assert float((found - expected).abs().max()) < 5 / math.sqrt(shots)


@pytest.mark.parametrize("gradient", ["adjoint", "parameter-shift"])
def test_step_cost_is_what_reaches_aer(gradient, samples, weights):
    layer = layer_of(weights, gradient)
    gradients_of(layer, samples)
    cost, usage = layer.step_cost(5, input_gradient=True), layer.executor.usage
    assert cost.settings == usage.settings
    settings_of_amplitudes = 2 * 8 * 5 * 2  # two shifts, samples, measurement bases
    smaller = layer.step_cost(5, input_gradient=False).settings
    assert cost.settings - smaller >= (gradient == "parameter-shift") * settings_of_amplitudes
    assert "8 amplitudes" in layer.explain(5) or gradient == "adjoint"


def test_single_precision_input(samples, weights):
    layer = layer_of(weights, normalize=False)
    x = samples.detach().float()
    x[:, :8] /= x[:, :8].norm(dim=1, keepdim=True)
    torch.testing.assert_close(layer(x).double(), dense(x.double(), weights), rtol=0, atol=1e-6)


def test_refuses_amplitudes_that_are_no_state(samples, weights):
    with pytest.raises(ArgumentError, match=r"sample 1 .*`normalize=True`"):
        layer_of(weights, normalize=False)(
            torch.cat([dense_state(), 2 * dense_state()]).requires_grad_()
        )
    zero = samples.detach().clone()
    zero[3, :8] = 0
    with pytest.raises(ArgumentError, match="sample 3"):
        layer_of(weights)(zero)
    infinite = samples.detach().clone()
    infinite[3, 2] = math.inf
    with pytest.raises(ArgumentError):
        layer_of(weights)(infinite)


def dense_state():
    return torch.tensor([[0.6, 0, 0, 0.8, 0, 0, 0, 0, 0.3]], dtype=torch.float64)


@pytest.mark.parametrize("scale", [1e-170, 1e160])
def test_any_size_of_amplitudes_is_normalized(scale, samples, weights):
    layer = layer_of(weights)
    x = samples.detach()
    scaled = torch.cat([scale * x[:, :8], x[:, 8:]], dim=1)
    torch.testing.assert_close(layer(scaled), layer(x), rtol=0, atol=1e-12)


def test_repr_shows_the_options(weights):
    assert "normalize=True" in repr(layer_of(weights))
    assert "normalize" not in repr(layer_of(weights, normalize=False))
    with pytest.raises(ArgumentError, match="`normalize`"):
        ho.CircuitLayer(ANSATZ, [], ANSATZ.parameters, normalize=True)


def test_fills_up_amplitudes(weights):
    circuit = AMPLITUDES.compose(ANSATZ)
    parameters = AMPLITUDES.parameters, ANSATZ.parameters, ["ZIX"]
    layer = ho.CircuitLayer(circuit, *parameters, initial=weights, normalize=True)
    short = torch.tensor([[0.1, -0.4, 0.7, 0.2, 0.9, -0.3]], dtype=torch.float64)
    with pytest.raises(ArgumentError, match=r"8 columns.*`pad_with=0.0`"):
        layer(short)
    filled = ho.CircuitLayer(circuit, *parameters, initial=weights, normalize=True, pad_with=0.5)
    whole = torch.cat([short, torch.full((1, 2), 0.5, dtype=torch.float64)], dim=1)
    torch.testing.assert_close(filled(short), layer(whole))
    with pytest.raises(ArgumentError, match="`pad_with`"):
        layer_of(weights, pad_with=0.0)


def test_copies_files_and_pickles(samples, weights, tmp_path):
    layer = layer_of(weights)
    expected = layer(samples)
    ho.save(layer, tmp_path / "layer.ho")
    for one in (
        ho.load(tmp_path / "layer.ho"),
        copy.deepcopy(layer),
        pickle.loads(pickle.dumps(layer)),
    ):
        torch.testing.assert_close(one(samples), expected)


def test_refused_by_name(weights):
    model = NoiseModel()
    model.add_all_qubit_quantum_error(depolarizing_error(0.01, 2), ["cx"])
    with pytest.raises(UnsupportedError, match="Amplitudes"):
        layer_of(weights, "parameter-shift", noise_model=model)
    with pytest.raises(ConversionError, match="Fourier"):
        ho.to_classical(layer_of(weights))
    with pytest.raises(CircuitError, match=r"hybridopt\.save"):
        ho.save_circuit("file.qasm", AMPLITUDES, AMPLITUDES.parameters)
    late = QuantumCircuit(3)
    late.h(0)
    late.compose(AMPLITUDES, inplace=True)
    with pytest.raises(CircuitError, match=r"Amplitudes .* qubits 0, 1, 2"):
        ho.CircuitLayer(late, AMPLITUDES.parameters)


@pytest.mark.parametrize("noisy", [False, True])
def test_first_initialize_and_reset(noisy):
    model = NoiseModel()
    model.add_all_qubit_quantum_error(depolarizing_error(0.02, 2), ["cx"])
    executor = ho.AerExecutor(noise_model=model if noisy else None)
    angle = Parameter("x0")
    state = np.array([0.6, 0.64j, -0.48, 0])
    circuit, expected = QuantumCircuit(4), QuantumCircuit(4)
    circuit.reset(0)
    circuit.initialize(state, [3, 1])
    circuit.initialize("1", 2)
    expected.prepare_state(state, [3, 1])
    expected.x(2)
    for one in (circuit, expected):
        one.ry(angle, 0)
        one.cx(0, 1)
        one.cx(3, 2)
    layers = [
        ho.CircuitLayer(one, [angle], [], ["ZZIZ", "IXYI"], executor=executor)
        for one in (circuit, expected)
    ]
    x = torch.tensor([[0.7]], dtype=torch.float64)
    torch.testing.assert_close(layers[0](x), layers[1](x), rtol=0, atol=1e-12)
    basis, flipped = QuantumCircuit(3), QuantumCircuit(3)
    basis.initialize(5, [2, 0, 1])
    flipped.x([2, 1])
    values = [ho.CircuitLayer(one, [], [])(x[:, :0]) for one in (basis, flipped)]
    torch.testing.assert_close(*values)
    used = QuantumCircuit(2)
    used.ry(angle, 0)
    used.reset(0)
    with pytest.raises(CircuitError, match="reset"):
        ho.CircuitLayer(used, [angle])
