from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

import hybridopt as ho
from hybridopt.errors import TrainingError
from hybridopt.training.loop import FrozenRandomStream, WeightSnapshot, executors_of

NAN = math.nan


class Failing:
    """Cross entropy, changed by ``what`` from call number ``at``, counted from 1."""

    def __init__(self, at: int, what) -> None:
        self.at, self.what, self.calls = at, what, 0

    def __call__(self, outputs, targets):
        loss = cross_entropy(outputs, targets)
        if outputs.is_meta:
            return loss
        self.calls += 1
        return self.what(loss) if self.calls >= self.at else loss


def interrupt(loss):
    raise KeyboardInterrupt


class Interrupted(torch.autograd.Function):
    @staticmethod
    def forward(ctx, loss):
        return loss.clone()

    @staticmethod
    def backward(ctx, gradient):
        raise KeyboardInterrupt


class InterruptedStep(torch.optim.SGD):
    """Gradient descent, interrupted between two tensors of its step number ``at``."""

    def __init__(self, params, at: int) -> None:
        super().__init__(params, lr=0.1)
        self.at, self.calls = at, 0

    def step(self, closure=None):
        self.calls += 1
        if self.calls < self.at:
            return super().step(closure)
        self.param_groups[0]["params"][0].data.add_(1.0)
        raise KeyboardInterrupt


@pytest.mark.parametrize("shots", [None, 100])
@pytest.mark.parametrize("batch_size", [8, 22])
def test_cost_of_steps_and_evaluation(shots, batch_size, data, make_quantum, aer_calls):
    network = make_quantum(shots=shots)
    history = ho.fit(network, data, epochs=3, batch_size=batch_size)
    steps = math.ceil(22 / batch_size)
    settings = steps * network.step_cost(batch_size).settings + 1
    assert history.settings == [settings] * 3
    assert history.shots == [settings * (shots or 0)] * 3
    assert history.runs == [settings] * 3
    assert sum(aer_calls) == history.cost.runs
    assert history.cost == network.executor.usage


def test_cost_of_closure_optimizers(data, make_quantum, aer_calls):
    for name in ("newton", "lbfgs"):
        before = sum(aer_calls)
        history = ho.fit(make_quantum(), data, optimizer=name, epochs=2)
        assert sum(aer_calls) - before == history.cost.settings
        assert min(history.settings) >= 3 + 1  # loss, gradient, a length tried; evaluation


def test_epoch_loss_weighs_batches_by_their_samples(data, make_network):
    network = make_network()
    losses = ho.fit(network, data, optimizer="sgd", lr=1e-30, batch_size=8, epochs=1).train_loss
    whole = cross_entropy(network(data.train.x), data.train.y).item()
    assert losses == [pytest.approx(whole, rel=1e-6)]  # constant weights, in float32


class Recorder:
    """Records the random stream of every call of an executor, in one list per step."""

    def __init__(self, executor, monkeypatch) -> None:
        self.steps: list[list[int]] = [[]]
        original = type(executor)._next_call

        def note(inner):
            call = original(inner)
            self.steps[-1].append(call)
            return call

        monkeypatch.setattr(type(executor), "_next_call", note)


@pytest.mark.parametrize(("name", "options"), [("newton", {}), ("lbfgs", {"max_iter": 3})])
def test_shot_noise_is_fixed_within_a_step_and_new_between_steps(
    name, options, data, make_quantum, monkeypatch
):
    network = make_quantum(shots=4096)
    recorder = Recorder(network.executor, monkeypatch)
    ho.fit(
        network, (data.train.x, data.train.y), optimizer=name, epochs=3, batch_size=11,
        callbacks=[lambda *_: recorder.steps.append([])], **options,
    )  # fmt: skip
    epochs = recorder.steps[:-1]
    seen: set[int] = set()
    for calls in epochs:
        assert len(calls) > len(set(calls))  # the loss was evaluated again with the same noise
        assert seen.isdisjoint(calls)
        seen.update(calls)
    assert sorted(seen) == list(range(len(seen)))  # no part of the stream is skipped


def test_shot_noise_is_new_in_every_step_of_other_optimizers(data, make_quantum, monkeypatch):
    network = make_quantum(shots=64)
    recorder = Recorder(network.executor, monkeypatch)
    ho.fit(network, data, epochs=3, batch_size=8)
    (calls,) = recorder.steps
    assert calls == list(range(3 * (3 * 2 + 1)))


def test_frozen_streams_repeat_and_continue(make_quantum):
    network = make_quantum(shots=64)
    stream = FrozenRandomStream([network.executor])
    first = network.moves().detach()
    network.moves()
    stream.rewind()
    assert torch.equal(network.moves().detach(), first)
    stream.release()
    assert network.executor.state_dict()["calls"] == 2
    assert not torch.equal(network.moves().detach(), first)


def test_executors_are_listed_once(make_quantum, make_network):
    quantum = make_quantum()
    both = nn.Sequential(quantum, quantum, make_quantum(), make_network())
    assert executors_of(both) == [both[0].executor, both[2].executor]
    assert executors_of(make_network()) == []


def test_a_snapshot_holds_parameters_and_buffers(make_network, data):
    network = make_network(batch_norm=True)
    good = WeightSnapshot(network)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    network(data.train.x)
    nn.init.ones_(network[0].weight)
    good.restore()
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, before[name])


@pytest.fixture
def after_steps(data, make_network, train_by_hand):
    """Function that makes a network after a number of steps of SGD with seed 0."""

    def make(count, **options):
        network = make_network(**options)
        optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
        train_by_hand(network, data.train.x, data.train.y, optimizer, max_steps=count)
        return network

    return make


@pytest.mark.parametrize("kind", ["classical", "memory", "twin"])
@pytest.mark.parametrize("name", ["adam", "newton", "lbfgs"])
def test_infinite_loss_names_epoch_and_batch(name, kind, data, make_network, make_quantum):
    network = make_network() if kind == "classical" else make_quantum(kind)
    seen = []

    def poisoned(outputs, targets):
        loss = cross_entropy(outputs, targets)
        if seen and not outputs.is_meta and outputs.requires_grad:
            return loss * NAN
        return loss

    with pytest.raises(TrainingError, match=r"epoch 2.*nan.*batch 1"):
        ho.fit(
            network, data, optimizer=name, batch_size=11, epochs=3, loss=poisoned,
            callbacks=[lambda record, _: seen.append(record)],
        )  # fmt: skip
    assert len(seen) == 1
    assert all(torch.isfinite(tensor).all() for tensor in network.state_dict().values())


@pytest.mark.parametrize(
    ("at", "change", "steps", "message"),
    [
        (3, lambda loss: loss * NAN, 1, "epoch 1.*nan.*batch 3"),
        (1, lambda loss: loss + math.inf, 0, "inf.*batch 1"),
        (1, lambda loss: loss - math.inf, 0, "-inf.*batch 1"),
        # the gradient, not the loss, is infinite
        (3, lambda loss: loss + (loss - loss.detach()).abs().sqrt(), 2, "epoch 1.*weight.*last"),
        (4, lambda loss: loss * NAN, 2, "epoch 1.*test loss.*nan"),
    ],
    ids=["nan", "inf", "-inf", "gradient", "test-loss"],
)
def test_last_weights_with_a_finite_loss_are_restored(
    at, change, steps, message, data, make_network, equal_states, after_steps
):
    network = make_network()
    with pytest.raises(TrainingError, match=message):
        ho.fit(network, data, optimizer="sgd", batch_size=8, loss=Failing(at, change))
    equal_states(network, after_steps(steps))


def test_divergence_is_detected(regression):
    network = nn.Linear(3, 2)
    with pytest.raises(TrainingError, match=r"epoch \d+"):
        ho.fit(network, regression, optimizer="gd", lr=1e9, epochs=50)
    assert all(torch.isfinite(p).all() for p in network.parameters())
    loss = nn.functional.mse_loss(network(regression.train.x), regression.train.y)
    assert math.isfinite(loss.item())


@pytest.mark.parametrize("with_test", [True, False])
def test_statistics_that_overflow_in_the_last_batch(with_test, data, make_network):
    network = make_network(batch_norm=True)
    x = data.train.x.clone()
    x[:, 0] = torch.where(torch.arange(22) % 2 == 0, 3e38, -3e38)  # their variance overflows
    data = ho.Dataset(
        "large", "classification", type(data.train)(x, data.train.y),
        data.test if with_test else None, num_classes=3,
    )  # fmt: skip
    with pytest.raises(TrainingError, match="epoch 1"):
        ho.fit(network, data, batch_size=None, epochs=1)
    assert all(torch.isfinite(tensor).all() for tensor in network.state_dict().values())


def test_infinite_constants_are_allowed(data):
    class Masked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(3, 3)
            self.register_buffer("mask", torch.tensor([0.0, 0.0, -math.inf]))

        def forward(self, x):
            return self.linear(x) + torch.nan_to_num(self.mask, neginf=-5.0)

    assert len(ho.fit(Masked(), data, epochs=2)) == 2


class Unregistered(nn.Module):
    """Network that computes with a list of weights outside its modules."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 3)
        self.weights = [self.layer.weight]

    def forward(self, x):
        return x @ self.weights[0].T


def test_loss_without_trained_parameters(data):
    with pytest.raises(TrainingError, match=r"`loss`.*parameter"):
        ho.fit(ho.to_quantum(Unregistered()), data, epochs=1)


@pytest.mark.parametrize(
    ("where", "steps", "epochs"),
    [
        *(("loss", 0, 0), ("loss", 2, 0), ("loss", 4, 1), ("backward", 4, 1), ("optimizer", 4, 1)),
        *(("evaluation", 3, 0), ("callback", 3, 1)),
    ],
)
def test_interrupted(where, steps, epochs, data, make_network, equal_states, after_steps):
    network = make_network(dropout=1e-9)  # has a train mode, drops nothing
    samples = data if where == "evaluation" else (data.train.x, data.train.y)
    arguments = {"optimizer": "sgd"}
    if where == "optimizer":
        arguments["optimizer"] = InterruptedStep(network.parameters(), at=steps + 1)
    elif where == "callback":
        arguments["callbacks"] = [lambda *_: interrupt(0)]
    else:
        change = Interrupted.apply if where == "backward" else interrupt
        arguments["loss"] = Failing(steps + 1, change)
    history = ho.fit(network, samples, batch_size=8, epochs=3, **arguments)
    assert (history.status, len(history), network.training) == ("interrupted", epochs, True)
    assert "keyboard" in history.reason
    equal_states(network, after_steps(steps, dropout=1e-9))


@pytest.mark.parametrize("name", ["adam", "lbfgs"])
def test_interrupted_on_the_circuit(name, data, make_quantum, monkeypatch, equal_states):
    network, reference = make_quantum(merge="epoch"), make_quantum(merge="epoch")
    ho.fit(reference, data, optimizer=name, epochs=2)
    run, epochs = type(network.executor).run, []

    def interrupted_in_the_third_epoch(executor, job):
        if len(epochs) == 2:
            raise KeyboardInterrupt
        return run(executor, job)

    with monkeypatch.context() as patch:
        patch.setattr(type(network.executor), "run", interrupted_in_the_third_epoch)
        history = ho.fit(
            network, data, optimizer=name, epochs=5,
            callbacks=[lambda record, _: epochs.append(record)],
        )  # fmt: skip
    assert (history.status, len(history)) == ("interrupted", 2)
    equal_states(network, reference)
    assert ho.fit(network, data, optimizer=name, epochs=2).status == "epochs"
