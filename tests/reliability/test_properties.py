"""Laws for any circuit, network, shape and dtype, tested with hypothesis."""

from __future__ import annotations

import itertools

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.quantum_info import SparsePauliOp, Statevector
from torch import nn

import hybridopt as ho

# same examples in each run; one takes about 30 ms
QUICK = settings(derandomize=True, deadline=None, database=None, max_examples=15)
INPUTS, WEIGHTS = ParameterVector("x", 2), ParameterVector("w", 3)
ONE_ANGLE = {"rx": 1, "ry": 1, "rz": 1, "p": 1, "rzz": 2, "rxx": 2, "crx": 2, "cp": 2}
NO_ANGLE = {"h": 1, "s": 1, "sx": 1, "cx": 2, "cz": 2, "swap": 2}
EXPRESSIONS = (
    *WEIGHTS, *INPUTS, 2 * WEIGHTS[0] - 0.3, INPUTS[0] * WEIGHTS[1], -INPUTS[1] + WEIGHTS[2] / 2,
    WEIGHTS[0] * WEIGHTS[0], 0.7,
)  # fmt: skip
DTYPES = st.sampled_from([torch.float32, torch.float64])


@st.composite
def gates(draw):
    """Return the name of a gate, its angle and its qubits."""
    name = draw(st.sampled_from([*ONE_ANGLE, *NO_ANGLE]))
    size = {**ONE_ANGLE, **NO_ANGLE}[name]
    qubits = draw(st.permutations(range(3)))[:size]
    angle = (draw(st.sampled_from(EXPRESSIONS)),) if name in ONE_ANGLE else ()
    return name, (*angle, *qubits)


@st.composite
def circuits(draw):
    """Return a circuit of three qubits that uses each parameter at least once."""
    made = QuantumCircuit(3)
    for qubit, parameter in enumerate([*WEIGHTS, *INPUTS]):
        made.ry(parameter, qubit % 3)
    for name, arguments in draw(st.lists(gates(), max_size=8)):
        getattr(made, name)(*arguments)
    return made


@st.composite
def observables(draw):
    """Return a sum of up to three weighted Pauli strings."""
    strings = ["".join(letters) for letters in itertools.product("IXYZ", repeat=3)]
    terms = draw(st.lists(st.sampled_from(strings), min_size=1, max_size=3, unique=True))
    weights = draw(st.lists(st.floats(-2, 2), min_size=len(terms), max_size=len(terms)))
    return SparsePauliOp(terms, np.array(weights))


def dense(circuit, readouts, row, weights):
    """Return the outputs of one sample from Qiskit's state vectors."""
    values = dict(zip([*INPUTS, *WEIGHTS], [*row, *weights], strict=True))
    state = Statevector(circuit.assign_parameters(values))
    if readouts is None:
        return state.probabilities()
    return [float(state.expectation_value(observable).real) for observable in readouts]


@QUICK
@given(
    circuits(),
    st.one_of(st.none(), st.lists(observables(), min_size=1, max_size=2)),
    st.lists(st.integers(1, 3), max_size=2),
    DTYPES,
    st.integers(0, 2**16),
)
def test_circuit_layer_equals_dense_circuit(circuit, readouts, shape, dtype, seed):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(*shape, 2, generator=generator, dtype=dtype)
    weights = torch.randn(3, generator=generator, dtype=torch.float64)
    layer = ho.CircuitLayer(circuit, INPUTS, WEIGHTS, readouts, initial=weights)
    outputs = layer(x)
    expected = [dense(circuit, readouts, row, weights.tolist()) for row in x.reshape(-1, 2)]
    assert outputs.shape == (*shape, layer.out_features)
    assert outputs.dtype == dtype
    size = 1 if readouts is None else max(float(np.abs(o.coeffs).sum()) for o in readouts)
    np.testing.assert_allclose(
        outputs.detach().reshape(len(expected), -1), expected,
        rtol=0, atol=1e-12 * size + torch.finfo(dtype).eps * size,
    )  # fmt: skip


@QUICK
@given(circuits(), observables(), st.integers(0, 2**16))
def test_gradient_rules_agree_with_differences(circuit, observable, seed):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(2, 2, generator=generator, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(3, generator=generator, dtype=torch.float64)
    gradients = []
    for rule in ("parameter-shift", "adjoint"):
        layer = ho.CircuitLayer(
            circuit, INPUTS, WEIGHTS, [observable], gradient=rule, initial=weights
        )
        total = layer(x).square().sum()
        gradients.append(torch.autograd.grad(total, [x, layer.weight]))
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(
            one, other, rtol=0, atol=1e-10 * (1 + observable_size(observable))
        )
    step = 1e-5  # truncation step^2 * f''', rounding eps / step: about 1e-10 each
    for index in range(3):
        sides = []
        for sign in (1, -1):
            moved = weights.clone()
            moved[index] += sign * step
            values = [
                np.square(dense(circuit, [observable], row, moved.tolist())).sum()
                for row in x.detach().tolist()
            ]
            sides.append(sum(values))
        slope = (sides[0] - sides[1]) / (2 * step)
        assert (
            abs(slope - float(gradients[0][1][index]))
            < 1e-7 * (1 + observable_size(observable)) ** 2
        )


def observable_size(observable):
    return float(np.abs(observable.coeffs).sum())


@st.composite
def networks(draw):
    """Return a network of linear layers, some frozen or without bias, and inputs."""
    widths = draw(st.lists(st.integers(1, 5), min_size=2, max_size=4))
    dtype = draw(DTYPES)
    torch.manual_seed(draw(st.integers(0, 2**16)))
    layers = []
    for inputs, outputs in itertools.pairwise(widths):
        layers += [nn.Linear(inputs, outputs, bias=draw(st.booleans()), dtype=dtype), nn.Tanh()]
    made = nn.Sequential(*layers)
    for parameter in list(made.parameters())[1:]:
        parameter.requires_grad_(draw(st.booleans()))
    return made, torch.randn(draw(st.integers(1, 4)), widths[0], dtype=dtype)


@QUICK
@given(networks(), st.sampled_from(["memory", "twin", "random-subspace"]))
def test_bridges_return_the_same_network(made, bridge):
    network, x = made
    back = ho.to_classical(ho.to_quantum(network, bridge))
    assert list(back.state_dict()) == list(network.state_dict())
    for (name, one), other in zip(network.named_parameters(), back.parameters(), strict=True):
        assert torch.equal(one, other), name
        assert (one.dtype, one.requires_grad) == (other.dtype, other.requires_grad), name
    assert torch.equal(back(x), network(x))


@QUICK
@given(networks(), st.sampled_from(["residual", "full"]))
def test_memory_and_twin_have_equal_gradients(made, form):
    network, x = made
    pair = [ho.to_quantum(network, bridge, form=form) for bridge in ("memory", "twin")]
    outputs = [quantum(x) for quantum in pair]
    eps = torch.finfo(x.dtype).eps
    # weights with an error of 1e-15 are rounded to the dtype, then pass three layers
    torch.testing.assert_close(*outputs, rtol=0, atol=100 * eps)
    for output in outputs:
        output.sum().backward()
    slopes = [[p.grad for p in quantum.parameters() if p.grad is not None] for quantum in pair]
    for one, other in zip(*slopes, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1000 * eps)
    assert all(output.dtype == x.dtype for output in outputs)


@QUICK
@given(st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=4), st.integers(0, 2**16))
def test_parameters_stay_finite_in_training(scales, seed):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(6, len(scales), generator=generator) * torch.tensor(scales)
    torch.manual_seed(seed)
    quantum = ho.to_quantum(nn.Linear(len(scales), 2))
    ho.fit(quantum, (x, torch.arange(6) % 2), epochs=2)
    assert all(torch.isfinite(p).all() for p in quantum.parameters())
