"""All transforms of torch.func over all bridges, layers and gradient rules."""

from __future__ import annotations

import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from torch import Tensor, nn
from torch.func import functional_call, grad, hessian, jacfwd, jacrev, jvp, vjp, vmap
from torch.utils._pytree import tree_leaves, tree_map

import hybridopt as ho
from hybridopt.bridges import Generator, Memory, Mesh, Twin

# raised inside torch at the first use of forward mode
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")

RULES = ("parameter-shift", "adjoint", "spsa")
EXACT = RULES[:2]
MEMORIES = [Memory(), Memory(form="full"), Memory(num_angles=5)]
MESHES = [Mesh(readout=readout) for readout in ("process", "data", "reference")]
GENERATORS = [
    Generator(depth=2, residual=False),
    Generator(depth=1, residual=False, mapping="tanh", width=2),
    Generator(depth=2, residual=False, frozen=True),
]
PAIRS = [
    *((bridge, "parameter-shift") for bridge in MEMORIES),
    *((bridge, rule) for rule in EXACT for bridge in (*MESHES, *GENERATORS)),
]


def network() -> nn.Sequential:
    """Return two layers in series; the dimensions 2 and 3 occur as batch sizes, too."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 2)).double()


def in_layers(inner: nn.Module) -> nn.Sequential:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(2, 2), inner, nn.Linear(2, 2)).double()


def circuit_layer(rule: str, weights: int = 2) -> ho.CircuitLayer:
    """Return the layer with outputs prod_{j <= k} cos(x_j + w_j)."""
    x, w = ParameterVector("x", 2), ParameterVector("w", weights)
    circuit = QuantumCircuit(2)
    for qubit in range(2):
        circuit.ry(x[qubit], qubit)
    for qubit in range(weights):
        circuit.ry(w[qubit], qubit)
    circuit.cx(0, 1)
    initial = torch.tensor([0.3, 0.7]).double()[:weights]
    return ho.CircuitLayer(circuit, x, w, ["IZ", "ZI"], gradient=rule, initial=initial)


class ClosedForm(nn.Module):
    """Outputs of `circuit_layer`."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([0.3, 0.7]).double())

    def forward(self, x: Tensor) -> Tensor:
        return torch.cos(x + self.weight).cumprod(-1)


def results(module: nn.Module, x: Tensor) -> dict[str, object]:
    """Return the result of every transform."""
    torch.manual_seed(2)
    point = {n: p.detach() + 0.1 * torch.rand_like(p) for n, p in module.named_parameters()}
    along = tree_map(lambda p: torch.linspace(-1, 1, p.numel()).reshape(p.shape).to(p), point)
    several = tree_map(lambda p: torch.stack([p, 0.9 * p, p + 0.1]), point)

    def outputs(point: dict[str, Tensor], x: Tensor) -> Tensor:
        return functional_call(module, point, (x,))

    def loss(point: dict[str, Tensor], x: Tensor) -> Tensor:
        return outputs(point, x).square().sum()

    value, pull = vjp(outputs, point, x)
    return {
        "vjp": (value, pull(torch.ones_like(value))),
        "jvp": jvp(outputs, (point, x), (along, torch.ones_like(x))),
        "jacrev": jacrev(outputs, (0, 1), chunk_size=3)(point, x),
        "jacfwd": jacfwd(outputs, (0, 1))(point, x),
        "hessian": hessian(loss, 0)(point, x[:1]),
        "reverse over reverse": jacrev(grad(loss, 0), 1)(point, x[:1]),
        "forward over forward": jvp(
            lambda p: jvp(lambda x: loss(p, x), (x,), (torch.ones_like(x),))[1], (point,), (along,)
        ),
        "per sample": vmap(grad(lambda p, row: loss(p, row[None])), (None, 0))(point, x),
        "ensemble": vmap(grad(loss), (0, None))(several, x),
        "both": vmap(outputs, (0, 1), chunk_size=2)(several, torch.stack([x, -x, x + 1], 1)),
    }


def assert_equal(module: nn.Module, reference: nn.Module, x: Tensor) -> None:
    expected = results(reference, x)
    for name, found in results(module, x).items():
        for one, other in zip(tree_leaves(found), tree_leaves(expected[name]), strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=1e-9, msg=lambda m, n=name: n + m)


def samples(batch: int) -> Tensor:
    return torch.rand(batch, 2, generator=torch.Generator().manual_seed(batch)).double()


@pytest.mark.parametrize(("bridge", "rule"), PAIRS, ids=str)
def test_transforms_of_a_bridge_are_those_of_its_twin(bridge, rule):
    quantum = ho.to_quantum(network(), bridge, gradient=rule)
    assert_equal(quantum, ho.to_quantum(network(), Twin(of=bridge)), samples(2))


@pytest.mark.parametrize("rule", EXACT)
def test_transforms_of_a_circuit_layer_are_those_of_its_formula(rule):
    assert_equal(in_layers(circuit_layer(rule)), in_layers(ClosedForm()), samples(3))


@pytest.mark.parametrize("rule", EXACT)
def test_transforms_of_a_dressed_circuit_are_those_of_its_series(rule):
    torch.manual_seed(0)
    head = ho.DressedCircuit(2, 2, 2, 1, gradient=rule, frozen=True).double()
    series = ho.to_classical(head)

    def of_linear(module: nn.Module):
        return lambda w, x: functional_call(module, {"pre.weight": w}, (x,)).square().sum()

    x, weight = samples(2), head.pre.weight.detach()
    for transform in (hessian, lambda f: jacrev(jacrev(f, 1)), lambda f: vmap(grad(f), (None, 0))):
        found, expected = (transform(of_linear(module))(weight, x) for module in (head, series))
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("batch", [1, 2, 3, 5, 64])
@pytest.mark.parametrize("readout", ["data", "auto"])
def test_jacrev_over_meshes_in_series_for_any_batch(readout, batch):
    x, found = samples(batch), []
    for bridge in (Mesh(readout=readout), Twin(of=Mesh(readout=readout))):
        quantum = ho.to_quantum(network(), bridge)

        def total(point: dict[str, Tensor], module: nn.Module = quantum) -> Tensor:
            return functional_call(module, point, (x,)).sum()

        found.append(jacrev(total)({name: p.detach() for name, p in quantum.named_parameters()}))
    for name, jacobian in found[0].items():
        torch.testing.assert_close(jacobian, found[1][name], rtol=0, atol=1e-11)


@pytest.mark.parametrize("bridge", ["memory", "mesh", "generator", "random-subspace"])
def test_cached_readouts_in_eval_mode_survive_transforms(bridge):
    options = {"residual": False, "frozen": True} if bridge == "generator" else {}
    quantum, x = ho.to_quantum(network(), bridge, **options).eval(), samples(3)
    classical = ho.to_classical(quantum)
    for transform in (jacrev, jacfwd, lambda f: vmap(grad(lambda row: f(row).sum()))):
        found, expected = (transform(module)(x) for module in (quantum, classical))
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-9)
    torch.testing.assert_close(quantum(x), classical(x), rtol=0, atol=1e-9)


@pytest.mark.parametrize("readout", ["process", "data"])
def test_convolutions_are_mapped_over_samples_and_weights(readout):
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Conv2d(2, 2, (1, 2), groups=2), nn.Flatten()).double()
    quantum = ho.to_quantum(plain, Mesh(readout=readout))
    twin = ho.to_quantum(plain, Twin(of=Mesh(readout=readout)))
    images = torch.rand(3, 2, 1, 3).double()
    point = {name: p.detach() for name, p in quantum.named_parameters()}

    def gradients(module: nn.Module) -> object:
        def loss(p, image):
            return functional_call(module, p, (image[None],)).square().sum()

        return vmap(grad(loss, (0, 1)), (None, 0))(point, images)

    leaves = (tree_leaves(gradients(module)) for module in (quantum, twin))
    for one, other in zip(*leaves, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-10)


def test_spsa_with_one_angle_is_a_central_difference():
    """With one angle the random sign cancels, and the error is of second order in 0.01 rad."""
    layer = circuit_layer("spsa", weights=1)
    point, x = torch.tensor([0.4]).double(), samples(3)

    def outputs(call, w: Tensor, x: Tensor) -> Tensor:
        return call(w, x).square().sum(-1)

    def circuit(w: Tensor, x: Tensor) -> Tensor:
        return functional_call(layer, {"weight": w}, (x,))

    def formula(w: Tensor, x: Tensor) -> Tensor:
        return torch.cos(x + torch.nn.functional.pad(w, (0, 1))).cumprod(-1)

    for transform in (jacrev, jacfwd, lambda f: hessian(lambda w, x: f(w, x).sum()),
                      lambda f: vmap(grad(f), (None, 0))):  # fmt: skip
        found, expected = (
            transform(lambda w, x, call=call: outputs(call, w, x))(point, x)
            for call in (circuit, formula)
        )
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-3)


@pytest.mark.parametrize("bridge", [Mesh(readout="data"), Mesh(), Generator(residual=False)])
def test_spsa_runs_in_every_transform_of_a_bridge(bridge):
    quantum = ho.to_quantum(network(), bridge, gradient="spsa")
    for leaf in tree_leaves(results(quantum, samples(2))):
        assert leaf.isfinite().all()
