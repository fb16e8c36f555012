"""Networks with meshes: costs, circuits, twins and training."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from qiskit.quantum_info import SparsePauliOp, Statevector
from torch import nn

import hybridopt as ho
from hybridopt._modules import run_on_meta
from hybridopt.bridges import Mesh, Twin
from hybridopt.errors import (
    ArgumentTypeError,
    ConversionError,
    UnknownNameError,
)
from hybridopt.execution import Cost
from tests.bridges.networks import RECIPES

READOUTS = ["auto", "process", "data", "reference"]
every_readout = pytest.mark.parametrize("readout", READOUTS)


def network() -> nn.Module:
    """Return a small grouped convolution with a head, for images of 2 by 3 by 3."""
    with torch.random.fork_rng():
        torch.manual_seed(2)
        layers = [nn.Conv2d(2, 2, 2, groups=2), nn.Tanh(), nn.MaxPool2d(2), nn.Flatten()]
        return nn.Sequential(*layers, nn.Linear(2, 2)).double()


def images(count: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.randn(count, 2, 3, 3, generator=generator, dtype=torch.float64)


@every_readout
@pytest.mark.parametrize("rule", ["parameter-shift", "adjoint", "spsa"])
def test_step_cost_is_the_cost_of_a_step(readout, rule):
    if readout == "reference" and rule == "parameter-shift":
        pytest.skip("shifts of wide circuits are slow; their number is tested for one layer")
    quantum = ho.to_quantum(network(), "mesh", readout=readout, gradient=rule)
    quantum(images(1)).sum().backward()
    for batch in (2, 3):
        expected, before = quantum.step_cost(batch), quantum.executor.usage
        quantum(images(batch)).sum().backward()
        spent = quantum.executor.usage - before
        assert (spent.settings, spent.shots) == (expected.settings, expected.shots)
        assert quantum.step_cost().settings == spent.settings


def test_process_readout_has_the_cost_of_the_formula():
    executor = ho.AerExecutor(shots=10, seed=0)
    quantum = ho.to_quantum(nn.Linear(2, 2), "mesh", readout="process", executor=executor)
    assert quantum.step_cost(64) == Cost(39, 390, 39)  # (2 P + 1) n, P = 6, n = 3
    quantum(torch.ones(64, 2)).sum().backward()
    assert executor.usage.settings == 39


@every_readout
def test_twin_computes_the_same(readout, aer_calls):
    bridge, executor = Mesh(readout=readout), ho.AerExecutor()
    twin = ho.to_quantum(network(), Twin(of=bridge), executor=executor)
    quantum = ho.to_quantum(network(), bridge, gradient="adjoint")
    x = images(2).requires_grad_()
    found = twin(x)
    found_by = torch.autograd.grad(found.square().sum(), [x, *twin.parameters()])
    assert aer_calls == []
    expected = quantum(x)
    expected_by = torch.autograd.grad(expected.square().sum(), [x, *quantum.parameters()])
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)
    torch.testing.assert_close(found_by, expected_by, rtol=0, atol=1e-10)
    assert (twin.num_qubits, twin.num_angles, twin.circuit()) == (0, 0, None)
    assert (twin.circuits(), twin.step_cost(9), executor.usage) == ({}, Cost(), Cost())
    assert twin.executor.usage == Cost()


def test_shots_of_network_and_twin_have_one_variance():
    bridge, repeats = Mesh(readout="data"), 400
    x = torch.tensor([[1.0, -0.5]]).double().expand(repeats, 2)
    plain = nn.Linear(2, 2).double()
    spreads = []
    for kind in (bridge, Twin(of=bridge)):
        quantum = ho.to_quantum(plain, kind, executor=ho.AerExecutor(shots=50, seed=4))
        with torch.no_grad():
            errors = quantum(x) - plain(x)
        spreads.append(errors.std(0))
        assert errors.mean(0).abs().max() < 5 * errors.std() / math.sqrt(repeats)
    # relative error of a standard deviation from n normal numbers: 1/sqrt(2 n)
    torch.testing.assert_close(*spreads, rtol=5 * math.sqrt(2 / (2 * repeats)), atol=0)


def test_weights_can_be_read_by_the_circuits():
    executor = ho.AerExecutor()
    quantum = ho.to_quantum(network(), "mesh", executor=executor)
    exact = ho.to_classical(quantum).state_dict()
    assert executor.usage == Cost()
    read = ho.to_classical(quantum, readout="circuit").state_dict()
    assert executor.usage.settings == 2 * 5 + 3
    torch.testing.assert_close(read, exact, rtol=0, atol=1e-13)
    noisy = ho.to_quantum(network(), "mesh", executor=ho.AerExecutor(shots=400, seed=1))
    read = ho.to_classical(noisy, readout="circuit").state_dict()
    errors = [(read[name] - exact[name]).abs().max().item() for name in exact]
    assert 0 < max(errors) < 5 * 4 / math.sqrt(400)  # alpha is below 4


def test_circuits_compute_the_layers():
    quantum = ho.to_quantum(network(), "mesh")
    assert list(quantum.circuits()) == ["0[0]", "0[1]", "4"]
    assert quantum.circuit().num_qubits == quantum.num_qubits == 6
    assert quantum.num_angles == 2 * 5 + 6
    for circuit in quantum.circuits().values():
        assert circuit.data[0].operation.name == "h"
        assert set(circuit.count_ops()) == {"h", "cz", "ry"}
    x = np.array([0.5, -1.0, 1.0])  # the last entry is for the bias
    state = Statevector(quantum.circuit("4", x))
    paulis = [SparsePauliOp.from_sparse_list([("X", [k], 1.0)], state.num_qubits) for k in (0, 1)]
    found = [state.expectation_value(pauli).real for pauli in paulis]
    scale = quantum.layers["4"].alphas.item() * np.linalg.norm(x)
    expected = network()[4](torch.from_numpy(x[:2])).detach().numpy()
    np.testing.assert_allclose(scale * np.array(found), expected, rtol=0, atol=1e-13)
    assert ho.to_quantum(network(), "mesh", readout="reference").circuit().num_qubits == 7


def test_unknown_circuits_and_wrong_vectors_are_rejected():
    quantum = ho.to_quantum(network(), "mesh")
    with pytest.raises(UnknownNameError, match="mesh '1'"):
        quantum.circuit("1")
    with pytest.raises(ConversionError, match=r"`x` .*`4`.*\(2,\)"):
        quantum.circuit("4", np.ones(2))


@pytest.mark.wrong_types
def test_explain_describes_every_layer(aer_calls):
    quantum = ho.to_quantum(network(), "mesh")
    first, head = quantum.explain().splitlines()
    assert first.startswith("0: the number of patches")
    assert quantum.step_cost() is None
    run_on_meta(quantum, images(2))
    first, head = quantum.explain(2).splitlines()
    assert first.startswith("0: readout process: the 5 columns")
    assert "forward and backward" in first
    assert head.startswith("4: readout data")
    assert "data takes 29 settings" in head  # 2 (2 P + 1), and n for the gradient of the input
    assert quantum.explain() == "\n".join((first, head))
    assert "mesh bridge of Sequential" in quantum.summary()
    assert "takes 29" not in quantum.explain(3)
    with pytest.raises(ArgumentTypeError, match="`batch_size`"):
        quantum.explain(images(2))
    assert aer_calls == []


def test_training_resumes_from_a_checkpoint(tmp_path):
    data = (torch.randn(8, 2, 3, 3).double(), torch.tensor([0, 1] * 4))
    options = {"optimizer": "adam", "lr": 0.05, "batch_size": 4, "seed": 1}
    plain, results = network(), []
    for epochs in ((3,), (1, 3)):
        quantum = ho.to_quantum(
            plain, "mesh", executor=ho.AerExecutor(shots=50, seed=2), readout="process",
            keep_classical=["0"],
        )  # fmt: skip
        path = tmp_path / f"{len(epochs)}.pt"
        for until in epochs:
            ho.fit(quantum, data, epochs=until, checkpoint=path, **options)
        results.append(ho.to_classical(quantum).state_dict())
    torch.testing.assert_close(*results, rtol=0, atol=0)


def test_newton_solves_linear_regression_in_few_steps():
    x = torch.linspace(-1, 1, 9).double()[:, None]
    torch.manual_seed(0)
    quantum = ho.to_quantum(nn.Linear(1, 1).double(), "mesh", readout="process")
    history = ho.fit(quantum, (x, 0.3 * x + 0.1), optimizer="newton", epochs=8, seed=0)
    assert history.train_loss[-1] < 1e-8


def test_files_store_networks_with_meshes(tmp_path):
    quantum = ho.to_quantum(network(), "mesh", gradient="adjoint", readout="process")
    quantum(images(1)).sum().backward()
    again = ho.load(ho.save(quantum, tmp_path / "mesh.ho"))
    assert torch.equal(again(images(2)), quantum(images(2)))


@pytest.mark.slow
def test_convolution_learns_digits():
    data = ho.load_dataset("digits", seed=0)
    torch.manual_seed(0)
    convolution = nn.Conv2d(1, 2, 3, stride=2, padding=1)
    layers = [nn.Unflatten(1, (1, 8, 8)), convolution, nn.ReLU(), nn.Flatten(), nn.Linear(32, 10)]
    plain = nn.Sequential(*layers)
    quantum = ho.to_quantum(plain, "mesh", keep_classical=["4"], gradient="adjoint")
    torch.testing.assert_close(
        ho.to_classical(quantum).state_dict(), plain.state_dict(), rtol=0, atol=1e-7
    )
    history = ho.fit(quantum, data, optimizer="adam", lr=0.02, epochs=1, batch_size=64, seed=0)
    assert history.metric[-1] > 0.75
    trained = ho.to_classical(quantum)
    torch.testing.assert_close(trained(data.test.x), quantum(data.test.x), rtol=0, atol=1e-4)
    assert not torch.equal(trained[1].weight, convolution.weight)


def test_explain_does_not_change_a_network_with_a_shared_layer():
    case = RECIPES["twice"]()
    quantum = ho.to_quantum(case.network, "mesh", gradient="adjoint")
    run_on_meta(quantum, case.x)
    assert "readout process" in quantum.explain()
    assert not any(tensor.is_meta for tensor in (*quantum.parameters(), *quantum.buffers()))
    torch.testing.assert_close(quantum(case.x), case.network(case.x), rtol=0, atol=case.precision)


def test_explain_of_a_twin_names_no_circuit(aer_calls):
    twin = ho.to_quantum(nn.Linear(4, 3), Twin(of="mesh"))
    assert twin.explain(16) == "Matrices: a formula in torch; no circuit is run."
    assert aer_calls == []
