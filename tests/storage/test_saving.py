"""Networks come back from files to the last bit, or the reader is told why not."""

from __future__ import annotations

import inspect
import json
import zipfile

import pytest
import torch
from qiskit import QuantumCircuit, qpy
from qiskit.circuit import Parameter
from qiskit.quantum_info import Operator
from torch import nn

import hybridopt as ho
from hybridopt.errors import ArgumentTypeError, CheckpointError, ConversionError, OutputError
from hybridopt.qiskit_ml.conversion import InterpretedLayer
from tests.bridges.networks import BRIDGES, RECIPES, snapshot
from tests.storage.examples import entangler, mixed, saved

every_bridge = pytest.mark.parametrize("bridge", BRIDGES)
# every bridge with one network, and every network with bridges that carry it in different ways
BUILT_IN = [
    *(
        pytest.param("mlp-double", bridge.values[0], id=f"mlp-double-{bridge.id}")
        for bridge in BRIDGES
    ),
    *(("mlp", bridge) for bridge in ("memory", "mesh")),
    ("convolution-partly-eval", "generator"),
    ("convolution-partly-eval", "twin"),
    ("embedding", "memory"),
]
OF_ONE_S_OWN = [
    *(("lstm", bridge) for bridge in ("memory", "generator")),
    *(("tied", bridge) for bridge in ("memory", "twin")),
    *(("twice", bridge) for bridge in ("mesh", "walsh-subspace")),
    *(("frozen", bridge) for bridge in ("mesh", "memory")),
    *(("weight-norm", bridge) for bridge in ("generator", "random-subspace")),
    ("keywords", "memory"),
]


def step(case, network) -> None:
    optimizer = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], lr=0.1)
    case.loss(network).backward()
    optimizer.step()
    network.zero_grad()


def carried(recipe, bridge, **arguments):
    case = recipe()
    quantum = ho.to_quantum(case.network, bridge, **arguments)
    step(case, quantum)
    return case, quantum


def facts(network) -> dict:
    """A snapshot; a parametrised layer has a class that torch makes for it alone."""
    taken = snapshot(network)
    return {**taken, "classes": [kind.__qualname__ for kind in taken["classes"]]}


def assert_same(case, loaded, saved) -> None:
    assert type(loaded) is type(saved)
    assert [loaded.bridge, loaded.gradient] == [saved.bridge, saved.gradient]
    assert facts(loaded) == facts(saved)
    assert facts(ho.to_classical(loaded)) == facts(ho.to_classical(saved))
    step(case, loaded)  # training goes on alike
    step(case, saved)
    assert snapshot(loaded)["state"] == snapshot(saved)["state"]
    assert torch.equal(case.outputs(loaded), case.outputs(saved))


@pytest.mark.parametrize(("name", "bridge"), BUILT_IN)
def test_built_in_networks_come_back_from_the_file_alone(name, bridge, tmp_path):
    case, quantum = carried(RECIPES[name], bridge)
    before = torch.get_rng_state()
    loaded = ho.load(ho.save(quantum, tmp_path / "network.ho"))
    assert torch.equal(torch.get_rng_state(), before)
    assert_same(case, loaded, quantum)


@pytest.mark.parametrize(("name", "bridge"), OF_ONE_S_OWN)
def test_others_come_back_with_an_instance_of_their_class(name, bridge, tmp_path):
    case, quantum = carried(RECIPES[name], bridge)
    path = ho.save(quantum, tmp_path / "network.ho")
    template = RECIPES[name]().network
    for parameter in template.parameters():  # neither values nor dtypes nor flags matter
        parameter.requires_grad_(True).data.normal_()
    before = snapshot(template)
    loaded = ho.load(path, template)
    assert snapshot(template) == before
    assert_same(case, loaded, quantum)
    with pytest.raises(CheckpointError, match=r"is not built in: .*pass `network=`"):
        ho.load(path)


def test_a_quantum_network_will_do_as_the_instance(tmp_path):
    case, quantum = carried(RECIPES["tied"], ho.bridges.Memory())
    path = ho.save(quantum, tmp_path / "network.ho")
    other = ho.to_quantum(RECIPES["tied"]().network, "twin")
    assert_same(case, ho.load(path, other), quantum)


@every_bridge
def test_shots_go_on_where_they_stood(bridge, tmp_path):
    case = RECIPES["mlp-double"]()
    quantum = ho.to_quantum(case.network, bridge, executor=ho.AerExecutor(shots=200, seed=None))
    quantum.decode(readout="circuit")  # the stream is somewhere; what was read is not remembered
    loaded = ho.load(ho.save(quantum, tmp_path / "network.ho"))
    for _ in range(2):
        assert torch.equal(case.outputs(loaded), case.outputs(quantum))


@every_bridge
def test_what_was_drawn_to_be_used_again_is_used_again(bridge, tmp_path, aer_calls):
    case = RECIPES["mlp-double"]()
    quantum = ho.to_quantum(case.network, bridge, executor=ho.AerExecutor(shots=50, seed=2))
    step(case, quantum)
    quantum.eval()
    drawn = case.outputs(quantum)
    path = ho.save(quantum, tmp_path / "network.ho")
    aer_calls.clear()
    assert torch.equal(case.outputs(ho.load(path)), drawn)
    assert aer_calls == []
    other = ho.load(path, executor=ho.AerExecutor(shots=50, seed=9))  # has not read anything
    assert torch.equal(case.outputs(other), drawn) != hasattr(quantum, "executor")


def test_exact_readings_are_made_again(tmp_path, aer_calls):
    quantum = ho.to_quantum(nn.Linear(3, 2), "memory").eval()
    expected = quantum(torch.ones(3))
    path = ho.save(quantum, tmp_path / "network.ho")
    aer_calls.clear()
    assert torch.equal(ho.load(path)(torch.ones(3)), expected)
    assert aer_calls == [1]


class Hybrid(nn.Module):
    """Refers to its circuit at two places, one of which no list of modules shows."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(3, 4)
        self.circuit = ho.CircuitLayer(*ho.load_circuit("basic_entangler"))
        self.steps = [self.circuit]
        self.register_buffer("offset", torch.randn(4), persistent=False)

    def forward(self, x):
        return self.steps[0](self.body(x)) + self.offset


PARTS = {
    "layer": (entangler, 4),
    "adjoint": (lambda: entangler(gradient=ho.gradients.Adjoint()), 4),
    "probabilities": (lambda: ho.CircuitLayer(*ho.load_circuit("born_machine")), 0),
    "several": (lambda: ho.CircuitLayer(*ho.load_circuit("zz_feature_map")), None),
    "dressed": (lambda: ho.DressedCircuit(3, 2, num_qubits=3, depth=2), 3),
    "frozen": (lambda: ho.DressedCircuit(3, 2, frozen=True).double(), 3),
    "mixed": (mixed, 3),
}


@pytest.mark.parametrize(("make", "width"), PARTS.values(), ids=PARTS)
def test_modules_with_circuits_come_back(make, width, tmp_path):
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


def test_what_is_shared_stays_shared(tmp_path):
    loaded = ho.load(ho.save(mixed(), tmp_path / "module.ho"))
    assert loaded[1] is loaded[5]
    assert loaded[4] is loaded[6]
    assert loaded[3].executor is loaded[4].executor


def test_tied_weights_of_built_in_layers_stay_tied(tmp_path):
    network = nn.Sequential(nn.Embedding(5, 3), nn.Tanh(), nn.Linear(3, 5))
    network[2].weight = network[0].weight
    quantum = ho.to_quantum(network, "memory")
    loaded = ho.load(ho.save(quantum, tmp_path / "network.ho"))
    back = ho.to_classical(loaded)
    assert back[2].weight is back[0].weight


def test_layers_of_qiskit_machine_learning_come_back(tmp_path):
    circuit, inputs, weights, _ = ho.load_circuit("basic_entangler")
    index = torch.arange(16).remainder(3).sub(1).numpy()
    module = InterpretedLayer(circuit, inputs, weights, (2, 0, 1, 3), index, (2,))
    loaded = ho.load(ho.save(module, tmp_path / "layer.ho"))
    x = torch.rand(3, 4)
    assert type(loaded) is InterpretedLayer
    assert torch.equal(loaded(x), module(x))


def test_a_module_of_one_s_own_is_filled_wherever_it_refers_to_its_circuit(tmp_path):
    module, template = Hybrid(), Hybrid()
    path = ho.save(module, tmp_path / "module.ho")
    loaded = ho.load(path, template)
    x = torch.rand(4, 3)
    assert loaded.steps[0] is loaded.circuit
    assert torch.equal(loaded(x), module(x))
    assert not torch.equal(template(x), module(x))


class OwnLayer(ho.CircuitLayer):
    """A layer of the user's own class."""


def test_a_circuit_layer_of_one_s_own_class_needs_an_instance(tmp_path):
    executor = ho.AerExecutor(shots=30, seed=1)
    module = nn.Sequential(OwnLayer(*ho.load_circuit("basic_entangler"), executor=executor))
    path = ho.save(module, tmp_path / "module.ho")
    with pytest.raises(CheckpointError, match="layer `0` is a `OwnLayer`"):
        ho.load(path)
    loaded = ho.load(path, nn.Sequential(OwnLayer(*ho.load_circuit("basic_entangler"))))
    x = torch.rand(2, 4)
    assert torch.equal(loaded(x), module(x))


def test_the_file_holds_circuits_and_weights_that_others_can_read(tmp_path):
    _, quantum = carried(RECIPES["mlp"], ho.bridges.Memory(synthesis="gates"))
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


class Odd(ho.bridges.Memory):
    """A bridge of the user's own."""


def layer_of_own_rule():
    angle = Parameter("a")
    circuit = QuantumCircuit(1)
    circuit.ry(angle, 0)
    return ho.CircuitLayer(circuit, [], [angle], ["Z"], gradient=OwnRule())


class OwnRule(ho.gradients.ParameterShift):
    """A rule of the user's own."""


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: nn.Linear(2, 2), ConversionError, "contains no circuit. Save its state_dict"),
        (lambda: "network", ArgumentTypeError, "`module` must be a torch.nn.Module"),
        (lambda: ho.to_quantum(nn.Linear(2, 2), Odd()), ConversionError, "bridge Odd cannot"),
        (layer_of_own_rule, ConversionError, "gradient rule OwnRule cannot be stored"),
    ],
)
def test_what_has_no_stored_form_is_refused_at_once(make, error, message, tmp_path):
    with pytest.raises(error, match=message):
        ho.save(make(), tmp_path / "x.ho")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda folder: ho.save(entangler(), folder), OutputError, "Cannot write .* is a folder"),
        (lambda _: ho.save(entangler(), 3), ArgumentTypeError, "`path` must be a path"),
        (lambda _: ho.save(entangler(), "a\0b"), OutputError, r"Cannot write 'a\\x00b'"),
        (lambda _: ho.load(3), ArgumentTypeError, "`path` must be a path"),
        (lambda folder: ho.load(saved(folder), "network"), ArgumentTypeError,
         "`network` must be a torch.nn.Module"),
        (lambda folder: ho.load(saved(folder), executor="CPU"), ArgumentTypeError,
         "`executor` must be an executor"),
    ],
)  # fmt: skip
def test_wrong_arguments_are_refused(call, error, message, tmp_path):
    with pytest.raises(error, match=message):
        call(tmp_path)


@pytest.mark.parametrize("function", [ho.save, ho.load])
def test_every_argument_stands_in_the_docstring(function):
    for name in inspect.signature(function).parameters:
        assert f"    {name}: " in function.__doc__
