"""Networks are loaded from files bit by bit, or refused with the reason."""

from __future__ import annotations

import json
import zipfile

import pytest
import torch
from qiskit import qpy
from qiskit.quantum_info import Operator
from torch import nn

import hybridopt as ho
from hybridopt.errors import ArgumentTypeError, CheckpointError, ConversionError, OutputError
from hybridopt.qiskit_ml.conversion import InterpretedLayer
from tests.bridges.networks import BRIDGES, RECIPES, snapshot
from tests.storage.examples import entangler, mixed, saved

every_bridge = pytest.mark.parametrize("bridge", BRIDGES)
# every bridge with one network, and every network with bridges of different kinds
BUILT_IN = [
    *(pytest.param("mlp-double", bridge.values[0], id=f"mlp-{bridge.id}") for bridge in BRIDGES),
    ("mlp", "mesh"),
    ("convolution-partly-eval", "twin"),
    ("embedding", "memory"),
]
USER_CLASSES = [
    ("lstm", "generator"),
    ("tied", "memory"),
    ("twice", "mesh"),
    ("twice", "walsh-subspace"),
    ("frozen", "mesh"),
    ("frozen", "memory"),
    ("weight-norm", "random-subspace"),
    ("keywords", "memory"),
]


def step(case, network) -> None:
    optimizer = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], lr=0.1)
    case.loss(network).backward()
    optimizer.step()
    network.zero_grad()


def converted(name, bridge):
    case = RECIPES[name]()
    quantum = ho.to_quantum(case.network, bridge)
    step(case, quantum)
    return case, quantum


def facts(network) -> dict:
    """Return a snapshot with class names: torch makes a class per parametrized layer."""
    taken = snapshot(network)
    return {**taken, "classes": [kind.__qualname__ for kind in taken["classes"]]}


def assert_same(case, loaded, saved) -> None:
    assert type(loaded) is type(saved)
    assert [loaded.bridge, loaded.gradient] == [saved.bridge, saved.gradient]
    assert facts(loaded) == facts(saved)
    assert facts(ho.to_classical(loaded)) == facts(ho.to_classical(saved))
    step(case, loaded)
    step(case, saved)
    assert snapshot(loaded)["state"] == snapshot(saved)["state"]
    assert torch.equal(case.outputs(loaded), case.outputs(saved))


@pytest.mark.parametrize(("name", "bridge"), BUILT_IN)
def test_built_in_network_needs_the_file_only(name, bridge, tmp_path):
    case, quantum = converted(name, bridge)
    before = torch.get_rng_state()
    loaded = ho.load(ho.save(quantum, tmp_path / "network.ho"))
    assert torch.equal(torch.get_rng_state(), before)
    assert_same(case, loaded, quantum)


@pytest.mark.parametrize(("name", "bridge"), USER_CLASSES)
def test_other_network_needs_an_instance_of_its_class(name, bridge, tmp_path):
    case, quantum = converted(name, bridge)
    path = ho.save(quantum, tmp_path / "network.ho")
    template = RECIPES[name]().network
    for parameter in template.parameters():  # values, dtypes and flags do not matter
        parameter.requires_grad_(True).data.normal_()
    before = snapshot(template)
    loaded = ho.load(path, template)
    assert snapshot(template) == before
    assert_same(case, loaded, quantum)
    with pytest.raises(CheckpointError, match="`network=`"):
        ho.load(path)


def test_instance_may_be_a_quantum_network(tmp_path):
    case, quantum = converted("tied", ho.bridges.Memory())
    path = ho.save(quantum, tmp_path / "network.ho")
    other = ho.to_quantum(RECIPES["tied"]().network, "twin")
    assert_same(case, ho.load(path, other), quantum)


@every_bridge
def test_sampling_stream_continues(bridge, tmp_path):
    case = RECIPES["mlp-double"]()
    quantum = ho.to_quantum(case.network, bridge, executor=ho.AerExecutor(shots=200, seed=None))
    quantum.decode(readout="circuit")  # advances the stream and caches no readout
    loaded = ho.load(ho.save(quantum, tmp_path / "network.ho"))
    for _ in range(2):
        assert torch.equal(case.outputs(loaded), case.outputs(quantum))


@every_bridge
def test_cached_readout_is_stored(bridge, tmp_path, aer_calls):
    case = RECIPES["mlp-double"]()
    quantum = ho.to_quantum(case.network, bridge, executor=ho.AerExecutor(shots=50, seed=2))
    step(case, quantum)
    quantum.eval()
    drawn = case.outputs(quantum)
    path = ho.save(quantum, tmp_path / "network.ho")
    aer_calls.clear()
    assert torch.equal(case.outputs(ho.load(path)), drawn)
    assert aer_calls == []
    other = ho.load(path, executor=ho.AerExecutor(shots=50, seed=9))  # without cached readout
    assert torch.equal(case.outputs(other), drawn) != hasattr(quantum, "executor")


def test_exact_readout_is_repeated(tmp_path, aer_calls):
    quantum = ho.to_quantum(nn.Linear(3, 2), "memory").eval()
    expected = quantum(torch.ones(3))
    path = ho.save(quantum, tmp_path / "network.ho")
    aer_calls.clear()
    assert torch.equal(ho.load(path)(torch.ones(3)), expected)
    assert aer_calls == [1]


class Hybrid(nn.Module):
    """A module with a second reference to its circuit, in a plain list."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(3, 4)
        self.circuit = ho.CircuitLayer(*ho.load_circuit("basic_entangler"))
        self.steps = [self.circuit]
        self.register_buffer("offset", torch.randn(4), persistent=False)

    def forward(self, x):
        return self.steps[0](self.body(x)) + self.offset


PARTS = {
    "adjoint": (lambda: entangler(gradient=ho.gradients.Adjoint()), 4),
    "probabilities": (lambda: ho.CircuitLayer(*ho.load_circuit("born_machine")), 0),
    "several": (lambda: ho.CircuitLayer(*ho.load_circuit("zz_feature_map")), None),
    "frozen": (lambda: ho.DressedCircuit(3, 2, frozen=True).double(), 3),
    "mixed": (mixed, 3),
}


@pytest.mark.parametrize(("make", "width"), PARTS.values(), ids=PARTS)
def test_module_with_circuits_is_restored(make, width, tmp_path):
    module = make()
    width = module.in_features if width is None else width
    loaded = ho.load(ho.save(module, tmp_path / "module.ho"))
    assert snapshot(loaded) == snapshot(module)
    x = torch.rand(5, width, dtype=next(module.parameters()).dtype)
    for _ in range(2):
        assert torch.equal(loaded(x), module(x))
    for network in (loaded, module):
        network(x).square().sum().backward()
    grads = [[p.grad for p in m.parameters() if p.requires_grad] for m in (loaded, module)]
    torch.testing.assert_close(grads[0], grads[1], rtol=0, atol=0)


def test_shared_modules_and_weights_stay_shared(tmp_path):
    loaded = ho.load(ho.save(mixed(), tmp_path / "module.ho"))
    assert loaded[1] is loaded[5]
    assert loaded[4] is loaded[6]
    assert loaded[3].executor is loaded[4].executor
    network = nn.Sequential(nn.Embedding(5, 3), nn.Tanh(), nn.Linear(3, 5))
    network[2].weight = network[0].weight
    loaded = ho.load(ho.save(ho.to_quantum(network, "memory"), tmp_path / "network.ho"))
    back = ho.to_classical(loaded)
    assert back[2].weight is back[0].weight


def test_layer_of_qiskit_machine_learning_is_restored(tmp_path):
    circuit, inputs, weights, _ = ho.load_circuit("basic_entangler")
    index = torch.arange(16).remainder(3).sub(1).numpy()
    module = InterpretedLayer(circuit, inputs, weights, (2, 0, 1, 3), index, (2,))
    loaded = ho.load(ho.save(module, tmp_path / "layer.ho"))
    x = torch.rand(3, 4)
    assert type(loaded) is InterpretedLayer
    assert torch.equal(loaded(x), module(x))


def test_all_references_of_a_user_module_are_filled(tmp_path):
    module, template = Hybrid(), Hybrid()
    path = ho.save(module, tmp_path / "module.ho")
    loaded = ho.load(path, template)
    x = torch.rand(4, 3)
    assert loaded.steps[0] is loaded.circuit
    assert torch.equal(loaded(x), module(x))
    assert not torch.equal(template(x), module(x))


class OwnLayer(ho.CircuitLayer):
    """A layer of the user's own class."""


def test_circuit_layer_of_a_user_class_needs_an_instance(tmp_path):
    executor = ho.AerExecutor(shots=30, seed=1)
    module = nn.Sequential(OwnLayer(*ho.load_circuit("basic_entangler"), executor=executor))
    path = ho.save(module, tmp_path / "module.ho")
    with pytest.raises(CheckpointError, match=r"`0`.*`OwnLayer`"):
        ho.load(path)
    loaded = ho.load(path, nn.Sequential(OwnLayer(*ho.load_circuit("basic_entangler"))))
    x = torch.rand(2, 4)
    assert torch.equal(loaded(x), module(x))


def test_file_is_readable_by_zip_qpy_and_torch(tmp_path):
    _, quantum = converted("mlp", ho.bridges.Memory(synthesis="gates"))
    path = ho.save(quantum, tmp_path / "network.ho")
    with zipfile.ZipFile(path) as file:
        meta = json.loads(file.read("hybridopt.json"))
        with file.open("circuits/0.qpy") as stream:
            (circuit,) = qpy.load(stream)
        with file.open("network.pt") as stream:
            weights = torch.load(stream, weights_only=True)
    assert Operator(circuit) == Operator(quantum.circuit())
    torch.testing.assert_close(weights, dict(ho.to_classical(quantum).state_dict()), rtol=0, atol=0)
    assert set(meta["versions"]) == {"hybridopt-qiskit", "qiskit", "qiskit-aer", "torch"}
    assert meta["quantum"][0]["bridge"]["options"]["synthesis"] == "gates"


class OwnBridge(ho.bridges.Memory):
    """A bridge of the user."""


class OwnRule(ho.gradients.ParameterShift):
    """A gradient rule of the user."""


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: nn.Linear(2, 2), ConversionError, "Linear"),
        (lambda: "network", ArgumentTypeError, "`module`"),
        (lambda: ho.to_quantum(nn.Linear(2, 2), OwnBridge()), ConversionError, "OwnBridge"),
        (lambda: entangler(gradient=OwnRule()), ConversionError, "OwnRule"),
    ],
)
def test_module_without_stored_form_is_refused(make, error, message, tmp_path):
    with pytest.raises(error, match=message):
        ho.save(make(), tmp_path / "x.ho")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda folder: ho.save(entangler(), folder), OutputError, "folder"),
        (lambda _: ho.save(entangler(), 3), ArgumentTypeError, "`path`"),
        (lambda _: ho.save(entangler(), "a\0b"), OutputError, r"'a\\x00b'"),
        (lambda _: ho.load(3), ArgumentTypeError, "`path`"),
        (lambda folder: ho.load(saved(folder), "mlp"), ArgumentTypeError, "`network`"),
        (lambda folder: ho.load(saved(folder), executor="CPU"), ArgumentTypeError, "`executor`"),
    ],
)
def test_unusable_argument_is_refused(call, error, message, tmp_path):
    with pytest.raises(error, match=message):
        call(tmp_path)
