from __future__ import annotations

import errno
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import hybridopt as ho
from hybridopt.errors import CheckpointError, HybridOptError, OutputError
from hybridopt.storage.architecture import describe
from hybridopt.training import checkpoint


def resumed_and_whole(make, data, path, **arguments):
    """Two epochs, then two more from the file; and four without a file."""
    ho.fit(make(), data() if callable(data) else data, epochs=2, checkpoint=path, **arguments)
    resumed, whole = make(), make()
    first = ho.fit(
        resumed, data() if callable(data) else data, epochs=4, checkpoint=path, **arguments
    )
    second = ho.fit(whole, data() if callable(data) else data, epochs=4, **arguments)
    assert first.train_loss == second.train_loss
    assert first.test_loss == second.test_loss
    assert (first.metric, first.settings, first.shots) == (
        second.metric, second.settings, second.shots
    )  # fmt: skip
    return resumed, whole


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
def test_resumes_to_the_numbers_of_an_uninterrupted_run(
    arguments, data, make_network, equal_states, tmp_path
):
    networks = resumed_and_whole(
        lambda: make_network(dropout=0.3), data, tmp_path / "run.pt", **arguments
    )
    equal_states(*networks)


@pytest.mark.parametrize("name", ["adam", "newton", "lbfgs"])
@pytest.mark.parametrize("bridge", ["memory", "twin"])
@pytest.mark.parametrize("merge", [None, "epoch"])
def test_resumes_on_the_circuit_with_shots(
    bridge, name, merge, data, make_quantum, equal_states, tmp_path
):
    def make():
        return make_quantum(bridge, shots=2048, merge=merge, dropout=0.2)

    options = {"max_iter": 3} if name == "lbfgs" else {}
    equal_states(*resumed_and_whole(make, data, tmp_path / "run.pt", optimizer=name, **options))


@pytest.mark.parametrize("own_generator", [False, True])
def test_resumes_with_a_shuffling_loader(own_generator, data, make_network, equal_states, tmp_path):
    pairs = TensorDataset(data.train.x, data.train.y)

    def loader():
        generator = torch.Generator().manual_seed(8) if own_generator else None
        return DataLoader(pairs, 5, shuffle=True, generator=generator)

    equal_states(*resumed_and_whole(make_network, loader, tmp_path / "run.pt"))


def test_resumes_after_an_interruption(data, make_network, equal_states, tmp_path):
    path, calls = tmp_path / "run.pt", []

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


def test_resuming_a_finished_run_trains_nothing(data, make_network, equal_states, tmp_path):
    path = tmp_path / "run.pt"
    one, other = make_network(), make_network()
    first = ho.fit(one, data, epochs=2, checkpoint=path)
    second = ho.fit(other, data, epochs=2, checkpoint=path)
    equal_states(one, other)
    assert (second.records, second.status) == (first.records, "epochs")


def test_resuming_keeps_the_reason_to_stop(data, make_network, tmp_path):
    path = tmp_path / "run.pt"
    arguments = {"optimizer": "gd", "tol": 0.05, "epochs": 50, "checkpoint": path}
    first = ho.fit(make_network(), data, **arguments)
    second = ho.fit(make_network(), data, **arguments)
    assert (first.status, second.status) == ("converged", "converged")
    assert second.records == first.records


def test_resuming_leaves_the_global_random_state_alone(data, make_network, tmp_path):
    ho.fit(make_network(), data, epochs=1, checkpoint=tmp_path / "run.pt")
    torch.manual_seed(1)
    expected = torch.rand(2)
    torch.manual_seed(1)
    ho.fit(make_network(), data, epochs=2, checkpoint=tmp_path / "run.pt")
    assert torch.equal(torch.rand(2), expected)


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
    "failure",
    [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt(), RuntimeError("torch")],
    ids=["disk", "ctrl-c", "torch"],
)
def test_is_written_whole_or_not_at_all(failure, data, make_network, tmp_path, monkeypatch):
    path = tmp_path / "run.pt"
    ho.fit(make_network(), data, epochs=1, checkpoint=path)
    before = path.read_bytes()

    def half(state, stream):
        stream.write(b"half of it")
        raise failure

    monkeypatch.setattr(torch, "save", half)
    if isinstance(failure, KeyboardInterrupt):
        assert ho.fit(make_network(), data, epochs=2, checkpoint=path).status == "interrupted"
    else:
        expected = OutputError if isinstance(failure, OSError) else RuntimeError
        with pytest.raises(expected):
            ho.fit(make_network(), data, epochs=2, checkpoint=path)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["run.pt"]


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", None], ids=["empty", "text", "cut"])
def test_a_damaged_file_is_refused(content, data, make_quantum, tmp_path, aer_calls):
    path = tmp_path / "run.pt"
    if content is None:
        ho.fit(make_quantum(), data, epochs=1, checkpoint=path)
        content = path.read_bytes()[:-200]
        aer_calls.clear()
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"run.pt is damaged or no checkpoint .* Delete it"):
        ho.fit(make_quantum(), data, checkpoint=path)
    assert path.read_bytes() == content
    assert aer_calls == []


class Unsafe:
    def __reduce__(self):
        return print, ("this must not run",)


def test_no_code_in_a_file_is_run(data, make_network, tmp_path, capsys):
    path = tmp_path / "run.pt"
    torch.save({"schema": 1, "settings": {}, "history": Unsafe()}, path)
    with pytest.raises(CheckpointError, match="damaged or no checkpoint"):
        ho.fit(make_network(), data, checkpoint=path)
    assert capsys.readouterr().out == ""


def test_other_files_of_torch_are_refused(data, make_network, tmp_path):
    path = tmp_path / "weights.pt"
    torch.save(make_network().state_dict(), path)
    with pytest.raises(CheckpointError, match="is no checkpoint of a training run"):
        ho.fit(make_network(), data, checkpoint=path)
    torch.save({"schema": 99, "settings": {}, "history": {}}, path)
    with pytest.raises(
        CheckpointError, match=r"has schema 99, .* reads schema 2. Update hybridopt"
    ):
        ho.fit(make_network(), data, checkpoint=path)


@pytest.mark.parametrize(
    ("network", "changed", "arguments", "message"),
    [
        ({"batch_norm": True}, {}, {}, "belongs to another network: `1.bias` is missing there"),
        ({}, {}, {"optimizer": "sgd"}, "written with optimizer='Adam'.*optimizer='SGD'"),
        ({}, {}, {"seed": 1}, "written with seed=0, but this run has seed=1"),
        ({}, {}, {"batch_size": 4}, "written with data="),
        ({}, {"train": 1.5}, {}, "written with data="),
        ({}, {}, {"lr": 0.5}, "lr"),
        ({}, {}, {"betas": (0.5, 0.9)}, "betas"),
    ],
    ids=["network", "optimizer", "seed", "batch-size", "data", "lr", "option"],
)
def test_a_checkpoint_of_another_run_is_refused(
    network, changed, arguments, message, data, make_network, equal_states, tmp_path
):
    path = tmp_path / "run.pt"
    ho.fit(make_network(), data, epochs=1, checkpoint=path)
    other, untouched = make_network(**network), make_network(**network)
    if changed:
        data = (data.train.x * changed["train"], data.train.y)
    with pytest.raises(CheckpointError, match=message):
        ho.fit(other, data, epochs=2, checkpoint=path, **arguments)
    equal_states(other, untouched)


@pytest.mark.parametrize("other", ["wider", "classical", "shots"])
def test_a_checkpoint_of_another_circuit_is_refused(
    other, data, make_quantum, make_network, tmp_path, aer_calls
):
    path = tmp_path / "run.pt"
    ho.fit(make_quantum(), data, epochs=1, checkpoint=path)
    aer_calls.clear()
    network = {
        "wider": lambda: make_quantum(num_outputs=4),
        "classical": make_network,
        "shots": lambda: make_quantum(shots=100),
    }[other]()
    with pytest.raises(CheckpointError, match=r"run\.pt"):
        ho.fit(network, data, epochs=2, checkpoint=path)
    assert aer_calls == []


def test_the_shapes_that_differ_are_named(data, make_network, tmp_path):
    path = tmp_path / "run.pt"
    ho.fit(make_network(), data, epochs=1, checkpoint=path)
    with pytest.raises(CheckpointError, match=r"`2.bias` is float32\(3,\) there and float32\(5,\)"):
        ho.fit(make_network(5), data, epochs=1, checkpoint=path)
    with pytest.raises(CheckpointError, match=r"`0.bias` is float32\(4,\) there and float64\(4,\)"):
        ho.fit(make_network().double(), data, epochs=1, checkpoint=path)


def unwritable(folder: Path, kind: str) -> Path:
    if kind == "a folder":
        return folder
    (folder / "file").write_text("in the way")
    return folder / "file" / "run.pt"


@pytest.mark.parametrize("kind", ["a folder", "below a file"])
def test_a_place_that_cannot_be_written_is_refused_at_once(
    kind, data, make_quantum, tmp_path, aer_calls
):
    with pytest.raises(HybridOptError, match=r"Cannot write|folder") as caught:
        ho.fit(make_quantum(), data, epochs=1, checkpoint=unwritable(tmp_path, kind))
    assert "Delete" not in str(caught.value)
    assert aer_calls == []


def test_description_of_a_network():
    network = nn.Sequential(nn.Linear(2, 3).double(), nn.BatchNorm1d(3))
    description = describe(network)
    assert description["0.weight"] == "float64(3, 2)"
    assert description["1.num_batches_tracked"] == "int64()"
    modules = {"module": "Sequential", "module 0": "Linear", "module 1": "BatchNorm1d"}
    assert list(description) == [*network.state_dict(), *modules]
    assert modules.items() <= description.items()


def frozen(network: nn.Module, *names: str) -> nn.Module:
    for name in names:
        network.get_parameter(name).requires_grad_(False)
    return network


@pytest.mark.parametrize(
    ("before", "now", "message"),
    [
        ([], ["0.bias"], "it holds 0.bias, that of this run does not"),
        (["0.weight", "0.bias"], [], "that of this run holds 0.weight, 0.bias, it does not"),
        (["0.weight"], ["2.weight"], "it holds 2.weight, .*of this run holds 0.weight, it does"),
    ],
)
def test_other_trained_parameters_are_refused(
    before, now, message, data, make_network, equal_states, tmp_path
):
    path = tmp_path / "run.pt"
    ho.fit(frozen(make_network(), *before), data, epochs=1, checkpoint=path)
    other, untouched = make_network(), make_network()
    with pytest.raises(CheckpointError, match=f"of other parameters: {message}.*the same callback"):
        ho.fit(frozen(other, *now), data, epochs=2, checkpoint=path)
    equal_states(other, untouched)


def test_parameters_in_another_order_are_refused(data, make_network, tmp_path):
    path = tmp_path / "run.pt"

    def train(epochs, *, backwards):
        network = make_network()
        optimizer = torch.optim.Adam([*network.parameters()][:: -1 if backwards else 1])
        ho.fit(network, data, epochs=epochs, optimizer=optimizer, checkpoint=path)

    train(1, backwards=True)
    train(2, backwards=True)
    with pytest.raises(CheckpointError, match="the same ones, in other groups or in another order"):
        train(3, backwards=False)
