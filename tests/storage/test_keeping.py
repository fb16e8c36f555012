"""Networks come back from files to the last bit, or the reader is told why not."""

from __future__ import annotations

import json
import random
import zipfile

import pytest
import torch
from qiskit import QuantumCircuit, qpy
from qiskit.circuit import Parameter
from qiskit.circuit.library import DiagonalGate
from qiskit.providers.fake_provider import GenericBackendV2
from qiskit.quantum_info import Operator
from qiskit_aer.noise import NoiseModel, ReadoutError, depolarizing_error
from torch import nn

import hybridopt as ho
from hybridopt.errors import (
    ArgumentTypeError,
    CheckpointError,
    ConversionError,
    HybridOptError,
    OutputError,
)
from hybridopt.qiskit_ml.interpreted_layer import InterpretedLayer
from hybridopt.storage import archive, circuits, keeping
from tests.bridges.networks import BRIDGES, RECIPES, snapshot

BUILT_IN = ("mlp", "mlp-double", "convolution-partly-eval", "embedding")
OF_ONE_S_OWN = ("lstm", "tied", "twice", "frozen", "weight-norm", "keywords")
every_bridge = pytest.mark.parametrize("bridge", BRIDGES)


def step(case, network) -> None:
    optimizer = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], lr=0.1)
    case.loss(network).backward()
    optimizer.step()
    network.zero_grad()


def carried(recipe, bridge, **arguments):
    case = recipe()
    try:
        quantum = ho.to_quantum(case.network, bridge, **arguments)
    except ConversionError as error:
        pytest.skip(f"this bridge does not take it: {error}")
    step(case, quantum)
    return case, quantum


def facts(network) -> dict:
    """A snapshot; a parametrised layer has a class that torch makes for it alone."""
    taken = snapshot(network)
    return {**taken, "classes": [kind.__qualname__ for kind in taken["classes"]]}


def assert_same(case, loaded, saved) -> None:
    assert type(loaded) is type(saved)
    assert [loaded.bridge, loaded.gradient_rule] == [saved.bridge, saved.gradient_rule]
    assert facts(loaded) == facts(saved)
    assert facts(ho.to_classical(loaded)) == facts(ho.to_classical(saved))
    step(case, loaded)  # training goes on alike
    step(case, saved)
    assert snapshot(loaded)["state"] == snapshot(saved)["state"]
    assert torch.equal(case.outputs(loaded), case.outputs(saved))


@every_bridge
@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in_networks_come_back_from_the_file_alone(name, bridge, tmp_path):
    case, quantum = carried(RECIPES[name], bridge)
    before = torch.get_rng_state()
    loaded = ho.load(ho.save(quantum, tmp_path / "network.ho"))
    assert torch.equal(torch.get_rng_state(), before)
    assert_same(case, loaded, quantum)


@every_bridge
@pytest.mark.parametrize("name", OF_ONE_S_OWN)
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


def entangler(**arguments) -> ho.CircuitLayer:
    return ho.CircuitLayer(*ho.load_circuit("basic_entangler"), **arguments)


def mixed() -> nn.Module:
    shared = nn.Linear(4, 4)
    shared.bias.requires_grad_(False)
    circuit = entangler(executor=ho.AerExecutor(shots=64, seed=5))
    quantum = ho.to_quantum(nn.Linear(4, 4), "memory", executor=circuit.executor)
    return nn.Sequential(nn.Linear(3, 4), shared, nn.GELU(), circuit, quantum, shared, quantum)


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


def test_a_memory_too_wide_for_qpy_is_stored_as_its_chain(tmp_path, monkeypatch):
    monkeypatch.setattr(circuits, "MOST_PARAMETERS", 31)
    quantum = ho.to_quantum(nn.Linear(4, 3), "memory")  # 2^4 places, 2^5 phases
    path = ho.save(quantum, tmp_path / "network.ho")
    with zipfile.ZipFile(path) as file, file.open("circuits/0.qpy") as stream:
        (circuit,) = qpy.load(stream)
    assert dict(circuit.count_ops()) == {"h": 4, "ry": 16, "cx": 16}
    assert torch.equal(ho.load(path)(torch.ones(4)), quantum(torch.ones(4)))


def test_a_gate_too_wide_for_qpy_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(circuits, "MOST_PARAMETERS", 3)
    circuit = QuantumCircuit(2)
    circuit.append(DiagonalGate([1, 1j, -1, 1]), [0, 1])
    layer = ho.CircuitLayer(circuit, observables=["ZZ"])
    with pytest.raises(ConversionError, match="A gate with 4 parameters cannot be stored"):
        ho.save(layer, tmp_path / "layer.ho")


def test_qpy_that_says_something_else_is_refused(tmp_path, monkeypatch):
    other = circuits.circuit_to_bytes(QuantumCircuit(4))
    monkeypatch.setattr(circuits, "circuit_to_bytes", lambda _circuit: other)
    with pytest.raises(ConversionError, match="Qiskit writes another circuit as QPY"):
        ho.save(entangler(), tmp_path / "layer.ho")


def noisy() -> NoiseModel:
    model = NoiseModel()
    model.add_all_qubit_quantum_error(depolarizing_error(0.02, 2), ["cx"])
    model.add_readout_error(ReadoutError([[0.9, 0.1], [0.2, 0.8]]), [1])
    return model


def test_noise_comes_back(tmp_path):
    executor = ho.AerExecutor(noise_model=noisy(), max_memory=10**9, shots=50, seed=4)
    layer = entangler(executor=executor)
    loaded = ho.load(ho.save(layer, tmp_path / "layer.ho"))
    assert loaded.executor.noise.model == noisy()
    assert (loaded.executor.max_memory, loaded.executor.shots) == (10**9, 50)
    x = torch.rand(2, 4)
    assert torch.equal(loaded(x), layer(x))


def test_the_noise_of_a_device_has_to_be_given_again(tmp_path):
    device = GenericBackendV2(4, seed=1)
    layer = entangler(executor=ho.AerExecutor(noise_model=device, shots=20, seed=1))
    path = ho.save(layer, tmp_path / "layer.ho")
    with pytest.raises(CheckpointError, match=r"its noise .* cannot be stored. Pass `executor=`"):
        ho.load(path)
    assert ho.load(path, executor=layer.executor).executor is layer.executor


def test_noise_that_aer_cannot_read_is_told(tmp_path, monkeypatch):
    path = ho.save(entangler(executor=ho.AerExecutor(noise_model=noisy())), tmp_path / "layer.ho")
    monkeypatch.delattr(NoiseModel, "from_dict")
    with pytest.raises(CheckpointError, match="This version of Aer cannot read the stored noise"):
        ho.load(path)


class Foreign(ho.AerExecutor):
    """An executor that no file can hold."""


def test_an_executor_that_cannot_be_stored_has_to_be_given(tmp_path):
    layer = entangler(executor=Foreign(shots=10))
    path = ho.save(layer, tmp_path / "layer.ho")
    with pytest.raises(CheckpointError, match=r"executor is a Foreign.*Pass `executor=`"):
        ho.load(path)
    given = ho.AerExecutor(shots=20, seed=1)
    assert ho.load(path, executor=given).executor is given


def test_a_given_executor_takes_the_place_of_the_stored_one(tmp_path):
    given = ho.AerExecutor(shots=20, seed=1)
    loaded = ho.load(ho.save(mixed(), tmp_path / "module.ho"), executor=given)
    assert loaded[3].executor is loaded[4].executor is given


def test_what_runs_is_the_loaded_circuit(tmp_path, aer_calls):
    _, quantum = carried(RECIPES["mlp"], ho.bridges.Memory())
    loaded = ho.load(ho.save(quantum, tmp_path / "network.ho"))
    aer_calls.clear()
    loaded(torch.rand(2, 3))
    assert aer_calls == [1]


def saved(tmp_path):
    quantum = ho.to_quantum(nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)), "memory")
    return ho.save(quantum, tmp_path / "network.ho")


def test_a_file_cut_anywhere_is_refused(tmp_path):
    path = saved(tmp_path)
    whole = path.read_bytes()
    places = [0, 1, 4, 29, 30, 43, *random.Random(1).sample(range(len(whole)), 40)]
    for place in (*places, len(whole) - 1):
        path.write_bytes(whole[:place])
        with pytest.raises(CheckpointError, match=r"no file of `hybridopt.save`|is damaged"):
            ho.load(path)


def test_a_flipped_byte_anywhere_is_refused(tmp_path):
    path = saved(tmp_path)
    whole = path.read_bytes()
    for place in [0, 8, 35, len(whole) - 1, *random.Random(2).sample(range(len(whole)), 60)]:
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])
        with pytest.raises(CheckpointError, match=r"no file of `hybridopt.save`|is damaged"):
            ho.load(path)
    path.write_bytes(whole + b"\0")
    with pytest.raises(CheckpointError, match="is damaged"):
        ho.load(path)


def test_an_interrupted_save_leaves_the_older_file(tmp_path, monkeypatch):
    path = saved(tmp_path)
    whole = path.read_bytes()

    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OutputError, match="No space left"):
        ho.save(ho.to_quantum(nn.Linear(2, 2)), path)
    assert path.read_bytes() == whole
    assert list(tmp_path.iterdir()) == [path]


def changed(path, change):
    """The file with other facts in it, and a digest that fits them."""
    members = archive.read_archive(path)
    meta = json.loads(members[archive.FIRST])
    change(meta)
    archive.write_archive(path, {**members, archive.FIRST: json.dumps(meta).encode()})
    return path


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda meta: meta.update(schema=2), "with schema 2, .* reads up to 1. Update hybridopt"),
        (lambda meta: meta.update(kind="study"), "Update hybridopt"),
        (lambda meta: meta.update(qpy=99), "QPY 99.* cannot read .*Update qiskit"),
        (lambda meta: meta["quantum"][0]["bridge"].update(name="wormhole"),
         "the bridge 'wormhole', which this version"),
        (lambda meta: meta["quantum"][0]["bridge"]["options"].update(speed=1),
         "options of the bridge 'memory' that this version"),
        (lambda meta: meta["quantum"][0]["gradient"].update(name="rotosolve"),
         "the gradient rule 'rotosolve', which this version"),
        (lambda meta: meta["quantum"][0].update(num_qubits=9), "num_qubits=9, but this version"),
        (lambda meta: meta["recipe"]["root"]["children"][1][1].update({"class": "torch.nn.Tanhh"}),
         "the class torch.nn.Tanhh, .*Update torch"),
        (lambda meta: meta["recipe"]["root"]["children"][1][1].update({"class": "os.system"}),
         "the class os.system"),
        (lambda meta: meta["recipe"]["root"]["children"][1][1].update({"class": "torch.nn.init"}),
         "the class torch.nn.init"),
        (lambda meta: meta["recipe"]["root"]["children"][0][1]["arguments"].update(in_features=5),
         "is .* in the file and .* in the network"),
        (lambda meta: meta["executors"][0]["settings"].update(method="warp"),
         "stored executor cannot be made here: .*Pass `executor=`"),
    ],
)  # fmt: skip
def test_versions_that_do_not_fit_are_refused(change, message, tmp_path, aer_calls):
    path = changed(saved(tmp_path), change)
    with pytest.raises(CheckpointError, match=message):
        ho.load(path)
    assert aer_calls == []


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (nn.Linear(3, 2), "another network than was given"),
        (nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2)),
         r"`0.bias` is \(4,\) there and \(5,\) here"),
        (nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)),
         "`module 1` is Tanh there and ReLU here"),
    ],
)  # fmt: skip
def test_another_network_is_refused_with_what_differs(network, message, tmp_path):
    path = saved(tmp_path)
    with pytest.raises(CheckpointError, match=message):
        ho.load(path, network)


def test_other_shared_weights_are_refused(tmp_path):
    path = saved(tmp_path)
    network = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    tied = nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 3))
    tied[2].weight = tied[0].weight
    other = ho.save(ho.to_quantum(tied, "memory"), tmp_path / "tied.ho")
    assert ho.load(path, network) is not None
    with pytest.raises(CheckpointError, match=r"other shared weights .*\['0.weight', '2.weight'\]"):
        ho.load(other, nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 3)))


def pickled(tmp_path):
    path = tmp_path / "weights.pt"
    torch.save(nn.Linear(2, 2).state_dict(), path)
    return path


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: folder / "missing.ho", "There is no file"),
        (lambda folder: folder, "is a folder"),
        (pickled, "no file of `hybridopt.save`.*torch.load"),
        (lambda folder: "a\0b", "Cannot read"),
    ],
)
def test_what_is_no_file_of_ours_is_refused(make, message, tmp_path):
    with pytest.raises(CheckpointError, match=message):
        ho.load(make(tmp_path))


class Odd(ho.bridges.Memory):
    """A bridge of the user's own."""


def post_normalised():
    angle = Parameter("a")
    circuit = QuantumCircuit(1)
    circuit.ry(angle, 0)
    return ho.CircuitLayer(circuit, [], [angle], ["Z"], gradient=OwnRule())


class OwnRule(ho.gradients.ParameterShift):
    """A rule of the user's own."""


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: nn.Linear(2, 2), ConversionError, "contains no circuit. Save its state_dict"),
        (lambda: "network", ArgumentTypeError, "must be a torch.nn.Module"),
        (lambda: ho.to_quantum(nn.Linear(2, 2), Odd()), ConversionError, "bridge Odd cannot"),
        (post_normalised, ConversionError, "gradient rule OwnRule cannot be stored"),
    ],
)
def test_what_has_no_stored_form_is_refused_at_once(make, error, message, tmp_path):
    with pytest.raises(error, match=message):
        ho.save(make(), tmp_path / "x.ho")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "call",
    [
        lambda folder: ho.save(ho.to_quantum(nn.Linear(2, 2)), folder),
        lambda folder: ho.save(ho.to_quantum(nn.Linear(2, 2)), 3),
        lambda folder: ho.load(3),
        lambda folder: ho.load(saved(folder), "network"),
        lambda folder: ho.load(saved(folder), executor="CPU"),
    ],
)
def test_wrong_arguments_are_refused(call, tmp_path):
    with pytest.raises(HybridOptError, match=r"Argument|Cannot write"):
        call(tmp_path)


def test_every_argument_stands_in_the_docstring():
    for function, names in ((keeping.save, ("module", "path")), (keeping.load, ("network",))):
        assert all(f"{name}:" in function.__doc__ for name in names)
