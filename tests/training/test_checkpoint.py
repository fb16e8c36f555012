from __future__ import annotations

import errno

import pytest
import torch
from qiskit_aer.noise import NoiseModel, depolarizing_error
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import hybridopt as ho
from hybridopt.errors import CheckpointError, HybridOptError, OutputError
from hybridopt.storage.architecture import describe
from hybridopt.training import checkpoint


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.pt"


@pytest.fixture
def resumes(path, equal_states):
    """Assertion that two epochs and two more from the file equal four epochs without one."""

    def check(make, data, **arguments):
        ho.fit(make(), data(), epochs=2, checkpoint=path, **arguments)
        resumed, whole = make(), make()
        first = ho.fit(resumed, data(), epochs=4, checkpoint=path, **arguments)
        second = ho.fit(whole, data(), epochs=4, **arguments)
        for name in ("train_loss", "test_loss", "metric", "settings", "shots"):
            assert getattr(first, name) == getattr(second, name), name
        equal_states(resumed, whole)

    return check


@pytest.mark.parametrize(
    "arguments",
    [
        {"optimizer": "sgd", "momentum": 0.9, "batch_size": 5},
        {"optimizer": "adam", "batch_size": 4},
        {"optimizer": "rmsprop"},
        {"optimizer": "adagrad"},
        {"optimizer": "newton", "curvature": "gauss-newton"},
        {"optimizer": "newton"},
        {"optimizer": "lbfgs", "max_iter": 3},
    ],
)
def test_resumed_run_equals_an_uninterrupted_one(arguments, data, make_network, resumes):
    resumes(lambda: make_network(dropout=0.3), lambda: data, **arguments)


@pytest.mark.parametrize("options", [{}, {"optimizer": "newton"},
                                     {"optimizer": "lbfgs", "max_iter": 3}])  # fmt: skip
@pytest.mark.parametrize(
    ("bridge", "merge"), [("memory", None), ("memory", "epoch"), ("twin", "epoch")]
)
def test_resumes_with_shots(bridge, merge, options, data, make_quantum, resumes):
    def make():
        return make_quantum(bridge, shots=2048, merge=merge, dropout=0.2)

    resumes(make, lambda: data, **options)


@pytest.mark.parametrize("own_generator", [False, True])
def test_resumes_with_a_shuffling_loader(own_generator, data, make_network, resumes):
    pairs = TensorDataset(data.train.x, data.train.y)

    def loader():
        generator = torch.Generator().manual_seed(8) if own_generator else None
        return DataLoader(pairs, 5, shuffle=True, generator=generator)

    resumes(make_network, loader)


def test_resumes_after_an_interruption(data, make_network, equal_states, path):
    calls = []

    def interrupt(record, network):
        calls.append(record.epoch)
        if record.epoch == 3:
            raise KeyboardInterrupt

    resumed, whole = make_network(dropout=0.2), make_network(dropout=0.2)
    first = ho.fit(resumed, data, epochs=5, checkpoint=path, callbacks=[interrupt])
    assert (first.status, calls) == ("interrupted", [1, 2, 3])
    history = ho.fit(resumed, data, epochs=5, checkpoint=path)
    ho.fit(whole, data, epochs=5)
    assert (len(history), history.status) == (5, "epochs")
    equal_states(resumed, whole)


@pytest.mark.parametrize(
    ("arguments", "status"),
    [({"epochs": 2}, "epochs"), ({"optimizer": "gd", "tol": 0.05, "epochs": 50}, "converged")],
)
def test_resumed_finished_run_trains_nothing(
    arguments, status, data, make_network, equal_states, path
):
    one, other = make_network(), make_network()
    first = ho.fit(one, data, checkpoint=path, **arguments)
    second = ho.fit(other, data, checkpoint=path, **arguments)
    equal_states(one, other)
    assert second.records == first.records
    assert (first.status, second.status) == (status, status)


def test_torch_reads_it_without_running_code(data, make_quantum, tmp_path):
    path = tmp_path / "deep" / "run.pt"
    network = make_quantum(shots=100)
    history = ho.fit(network, data, epochs=2, checkpoint=path)
    state = torch.load(path, weights_only=True)
    assert state["schema"] == checkpoint.SCHEMA
    assert state["history"]["records"] == history.to_dict()["records"]
    assert state["executors"] == [network.executor.state_dict()]
    for name, tensor in network.state_dict().items():
        assert torch.equal(state["network"][name], tensor)
    assert [entry.name for entry in path.parent.iterdir()] == ["run.pt"]


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), OutputError),
        (KeyboardInterrupt(), None),
        (RuntimeError("torch"), RuntimeError),
    ],
    ids=["disk", "ctrl-c", "torch"],
)
def test_is_written_completely_or_not_at_all(
    failure, expected, data, make_network, path, monkeypatch
):
    ho.fit(make_network(), data, epochs=1, checkpoint=path)
    before = path.read_bytes()

    def half(state, stream):
        stream.write(b"half of it")
        raise failure

    monkeypatch.setattr(torch, "save", half)
    if expected is None:
        assert ho.fit(make_network(), data, epochs=2, checkpoint=path).status == "interrupted"
    else:
        with pytest.raises(expected):
            ho.fit(make_network(), data, epochs=2, checkpoint=path)
    assert path.read_bytes() == before
    assert [entry.name for entry in path.parent.iterdir()] == ["run.pt"]


class Unsafe:
    def __reduce__(self):
        return print, ("this must not run",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "damaged"),
        (b"not a checkpoint", "damaged"),
        ("cut", "damaged"),
        ({"schema": 1, "settings": {}, "history": Unsafe()}, "damaged"),
        ({"weight": torch.ones(2)}, "checkpoint"),
        ({"schema": 99, "settings": {}, "history": {}}, " 99"),
    ],
    ids=["empty", "text", "cut", "unsafe", "weights", "schema"],
)
def test_unusable_files(content, message, data, make_quantum, path, aer_calls, capsys):
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content == "cut":
        ho.fit(make_quantum(), data, epochs=1, checkpoint=path)
        path.write_bytes(path.read_bytes()[:-200])
        aer_calls.clear()
    else:
        torch.save(content, path)
    before = path.read_bytes()
    with pytest.raises(CheckpointError, match=rf"run\.pt.*{message}"):
        ho.fit(make_quantum(), data, checkpoint=path)
    assert path.read_bytes() == before
    assert aer_calls == []
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("network", "arguments", "message"),
    [
        ({"batch_norm": True}, {}, "`1.bias`"),
        ({"num_outputs": 5}, {}, r"`2.bias`.*float32\(3,\).*float32\(5,\)"),
        ({}, {"optimizer": "sgd"}, "optimizer='Adam'.*optimizer='SGD'"),
        ({}, {"seed": 1}, "seed=0.*seed=1"),
        ({}, {"batch_size": 4}, "data="),
        ({}, {"data": 1.5}, "data="),
        ({}, {"lr": 0.5}, "lr"),
        ({}, {"betas": (0.5, 0.9)}, "betas"),
        ({}, {"loss": nn.MultiMarginLoss()}, "loss="),
    ],
    ids=["layers", "shapes", "optimizer", "seed", "batch-size", "data", "lr", "option", "loss"],
)
def test_checkpoint_of_another_run(
    network, arguments, message, data, make_network, equal_states, path
):
    ho.fit(make_network(), data, epochs=1, checkpoint=path)
    other, untouched = make_network(**network), make_network(**network)
    if "data" in arguments:
        data = (data.train.x * arguments["data"], data.train.y)
        arguments = {}
    with pytest.raises(CheckpointError, match=message):
        ho.fit(other, data, epochs=2, checkpoint=path, **arguments)
    equal_states(other, untouched)


@pytest.mark.parametrize(
    "options",
    [
        *({"num_outputs": 4}, {"shots": 100}, {"bridge": "twin"}, {"form": "full"}),
        *({"merge": "epoch"}, None),
    ],
    ids=["wider", "shots", "twin", "full", "merged", "classical"],
)
def test_checkpoint_of_another_circuit(options, data, make_quantum, make_network, path, aer_calls):
    ho.fit(make_quantum(), data, epochs=1, checkpoint=path)
    aer_calls.clear()
    network = make_network() if options is None else make_quantum(**options)
    with pytest.raises(CheckpointError, match=r"run\.pt"):
        ho.fit(network, data, epochs=2, checkpoint=path)
    assert aer_calls == []


@pytest.mark.parametrize("below", ["", "file/run.pt"])
def test_unwritable_paths(below, data, make_quantum, tmp_path, aer_calls):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(HybridOptError, match=r"folder|file"):
        ho.fit(make_quantum(), data, epochs=1, checkpoint=tmp_path / below)
    assert aer_calls == []


def test_description_of_a_network():
    network = nn.Sequential(nn.Linear(2, 3).double(), nn.BatchNorm1d(3))
    description = describe(network)
    assert description["0.weight"] == "float64(3, 2)"
    assert description["1.num_batches_tracked"] == "int64()"
    modules = {"module": "Sequential", "module 0": "Linear", "module 1": "BatchNorm1d"}
    assert list(description) == [*network.state_dict(), *modules]
    assert modules.items() <= description.items()


@pytest.mark.parametrize(
    ("before", "now", "message"),
    [
        ([], ["0.bias"], "file 0.bias"),
        (["0.weight", "0.bias"], [], "run 0.weight, 0.bias"),
        (["0.weight"], ["2.weight"], r"file 2.weight.*run 0.weight"),
        ("reversed", [], "order"),
    ],
)
def test_other_trained_parameters(before, now, message, data, make_network, equal_states, path):
    def train(network, frozen, epochs):
        for name in frozen if frozen != "reversed" else ():
            network.get_parameter(name).requires_grad_(False)
        parameters = [p for p in network.parameters() if p.requires_grad]
        optimizer = torch.optim.Adam(parameters[:: -1 if frozen == "reversed" else 1])
        ho.fit(network, data, epochs=epochs, optimizer=optimizer, checkpoint=path)

    train(make_network(), before, 1)
    other, untouched = make_network(), make_network()
    with pytest.raises(CheckpointError, match=f"parameters: .*{message}"):
        train(other, now, 2)
    equal_states(other, untouched)


class Remote(ho.AerExecutor):
    """An executor of somebody else, with a limit that may change and a connection."""

    changeable = ho.AerExecutor.changeable | {"max_jobs"}

    def __init__(self, mitigation="none", max_jobs=10, **options):
        super().__init__(**options)
        self.own = {"mitigation": mitigation, "max_jobs": max_jobs, "session": object()}

    def settings(self):
        return {**super().settings(), **self.own}


def depolarizing(strength):
    model = NoiseModel()
    model.add_all_qubit_quantum_error(depolarizing_error(strength, 1), ["ry"])
    return model


OTHER_EXECUTORS = {
    "precision": (ho.AerExecutor, lambda: ho.AerExecutor(precision="single"), "single"),
    "noise": (
        lambda: ho.AerExecutor(noise_model=depolarizing(0.01)),
        lambda: ho.AerExecutor(noise_model=depolarizing(0.02)),
        "noise_model",
    ),
    "without noise": (
        lambda: ho.AerExecutor(noise_model=depolarizing(0.01)), ho.AerExecutor, "noise_model"
    ),
    "class": (lambda: ho.AerExecutor(seed=1), Remote, "class='AerExecutor'.*class='Remote'"),
    "mitigation": (Remote, lambda: Remote("TREX"), "mitigation='none'.*mitigation='TREX'"),
}  # fmt: skip


@pytest.mark.parametrize("change", OTHER_EXECUTORS)
def test_checkpoint_names_the_setting_of_another_executor(change, data, make_network, path):
    first, second, message = OTHER_EXECUTORS[change]

    def make(executor):
        return ho.to_quantum(make_network(), "memory", synthesis="gates", executor=executor)

    ho.fit(make(first()), data, epochs=1, checkpoint=path, batch_size=22)
    assert b"object at" not in path.read_bytes()
    with pytest.raises(CheckpointError, match=message):
        ho.fit(make(second()), data, epochs=2, checkpoint=path, batch_size=22)
    ho.fit(make(first()), data, epochs=1, checkpoint=path, batch_size=22)


def test_resources_and_limits_may_change_when_a_run_is_resumed(data, make_quantum, path):
    def make(**options):
        network = make_quantum()
        network.source.executor = Remote(shots=100, **options)
        return network

    ho.fit(make(seed=1), data, epochs=1, checkpoint=path, batch_size=22)
    resumed = make(seed=2, max_jobs=99, strategy="table", max_memory="1 GB")
    assert ho.fit(resumed, data, epochs=2, checkpoint=path, batch_size=22).records[-1].epoch == 2
