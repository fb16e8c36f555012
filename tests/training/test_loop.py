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
    """Cross entropy that does something else from its call number ``at`` on, counted from 1."""

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
    """Gradient descent that is cut short between two tensors of its step number ``at``."""

    def __init__(self, params, at: int) -> None:
        super().__init__(params, lr=0.1)
        self.at, self.calls = at, 0

    def step(self, closure=None):
        self.calls += 1
        if self.calls < self.at:
            return super().step(closure)
        self.param_groups[0]["params"][0].data.add_(1.0)
        raise KeyboardInterrupt


def steps_by_hand(network, data, count, *, batch_size=8, lr=0.1):
    """The weights of ``network`` after ``count`` steps of SGD in the order of seed 0."""
    optimizer = torch.optim.SGD(network.parameters(), lr=lr)
    generator = torch.Generator().manual_seed(0)
    while count:
        for rows in torch.randperm(len(data.train), generator=generator).split(batch_size):
            optimizer.zero_grad()
            cross_entropy(network(data.train.x[rows]), data.train.y[rows]).backward()
            optimizer.step()
            count -= 1
            if not count:
                break
    return network


@pytest.mark.parametrize("shots", [None, 100])
@pytest.mark.parametrize("batch_size", [8, 22])
def test_counts_every_step_and_one_reading_an_epoch(
    shots, batch_size, data, make_quantum, aer_calls
):
    network = make_quantum(shots=shots)
    history = ho.fit(network, data, epochs=3, batch_size=batch_size)
    steps = math.ceil(22 / batch_size)
    settings = steps * network.step_cost(batch_size).settings + 1
    assert history.settings == [settings] * 3
    assert history.shots == [settings * (shots or 0)] * 3
    assert history.runs == [settings] * 3
    assert sum(aer_calls) == history.cost.runs
    assert history.cost == network.executor.usage


def test_counts_what_closure_optimizers_ask(data, make_quantum, aer_calls):
    for name in ("newton", "lbfgs"):
        before = sum(aer_calls)
        history = ho.fit(make_quantum(), data, optimizer=name, epochs=2)
        assert sum(aer_calls) - before == history.cost.settings
        assert min(history.settings) >= 3 + 1  # loss, gradient, a length tried; evaluation


def test_the_loss_of_an_epoch_weighs_batches_by_their_samples(data, make_network):
    network = make_network()
    losses = ho.fit(network, data, optimizer="sgd", lr=1e-30, batch_size=8, epochs=1).train_loss
    whole = cross_entropy(network(data.train.x), data.train.y).item()
    assert losses == [pytest.approx(whole, rel=1e-6)]  # weights that stand still, in float32


class Recorder:
    """Notes the stream of every reading of an executor, and at which step it was."""

    def __init__(self, executor, monkeypatch) -> None:
        self.steps: list[list[int]] = [[]]
        original = type(executor)._next_call

        def note(inner):
            call = original(inner)
            self.steps[-1].append(call)
            return call

        monkeypatch.setattr(type(executor), "_next_call", note)


@pytest.mark.parametrize(("name", "options"), [("newton", {}), ("lbfgs", {"max_iter": 3})])
def test_noise_is_held_within_a_step_and_never_shared_by_steps(
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
        assert len(calls) > len(set(calls))  # the loss was asked again with the same noise
        assert seen.isdisjoint(calls)
        seen.update(calls)
    assert sorted(seen) == list(range(len(seen)))  # and no part of the stream is skipped


def test_noise_is_new_in_every_step_of_other_optimizers(data, make_quantum, monkeypatch):
    network = make_quantum(shots=64)
    recorder = Recorder(network.executor, monkeypatch)
    ho.fit(network, data, epochs=3, batch_size=8)
    (calls,) = recorder.steps
    assert calls == list(range(3 * (3 * 2 + 1)))


def test_frozen_streams_repeat_and_go_on_behind(make_quantum):
    network = make_quantum(shots=64)
    held = FrozenRandomStream([network.executor])
    first = network.moves().detach()
    network.moves()
    held.rewind()
    assert torch.equal(network.moves().detach(), first)
    held.release()
    assert network.executor.state_dict()["calls"] == 2
    assert not torch.equal(network.moves().detach(), first)


def test_executors_are_found_once(make_quantum, make_network):
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


@pytest.mark.parametrize("kind", ["classical", "memory", "twin"])
@pytest.mark.parametrize("name", ["adam", "newton", "lbfgs"])
def test_a_loss_that_is_not_finite_names_epoch_and_batch(
    name, kind, data, make_network, make_quantum
):
    network = make_network() if kind == "classical" else make_quantum(kind)
    seen = []

    def poisoned(outputs, targets):
        loss = cross_entropy(outputs, targets)
        if seen and not outputs.is_meta and outputs.requires_grad:
            return loss * NAN
        return loss

    pattern = "Training stopped in epoch 2: the loss is nan in batch 1. .* Lower the learning rate"
    with pytest.raises(TrainingError, match=pattern):
        ho.fit(
            network, data, optimizer=name, batch_size=11, epochs=3, loss=poisoned,
            callbacks=[lambda record, _: seen.append(record)],
        )  # fmt: skip
    assert len(seen) == 1
    assert all(torch.isfinite(tensor).all() for tensor in network.state_dict().values())


def test_the_last_weights_with_a_finite_loss_are_left(data, make_network, equal_states):
    network = make_network()
    with pytest.raises(TrainingError, match="epoch 1: the loss is nan in batch 3"):
        ho.fit(
            network, data, optimizer="sgd", batch_size=8, loss=Failing(3, lambda loss: loss * NAN)
        )
    equal_states(network, steps_by_hand(make_network(), data, 1))


@pytest.mark.parametrize("value", [math.inf, -math.inf])
def test_infinite_losses_are_named(value, data, make_network):
    with pytest.raises(TrainingError, match=f"the loss is {value} in batch 1"):
        ho.fit(make_network(), data, loss=Failing(1, lambda loss: loss + value))


def test_weights_that_overflow_in_the_last_batch(data, make_network, equal_states):
    network = make_network()
    # the gradient, not the loss, is not finite
    broken = Failing(3, lambda loss: loss + (loss - loss.detach()).abs().sqrt())
    with pytest.raises(
        TrainingError, match=r"epoch 1: a weight .*is no longer finite after the last"
    ):
        ho.fit(network, (data.train.x, data.train.y), optimizer="sgd", batch_size=8, loss=broken)
    equal_states(network, steps_by_hand(make_network(), data, 2))


def test_divergence_is_noticed_and_undone(regression, make_network):
    network = nn.Linear(3, 2)
    with pytest.raises(TrainingError, match=r"Training stopped in epoch \d+"):
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


def test_a_mask_of_infinities_is_no_divergence(data):
    class Masked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(3, 3)
            self.register_buffer("mask", torch.tensor([0.0, 0.0, -math.inf]))

        def forward(self, x):
            return self.linear(x) + torch.nan_to_num(self.mask, neginf=-5.0)

    assert len(ho.fit(Masked(), data, epochs=2)) == 2


def test_a_test_loss_that_is_not_finite(data, make_network):
    network = make_network()
    poison = Failing(2, lambda loss: loss * NAN)  # first the step, then the evaluation
    with pytest.raises(TrainingError, match="epoch 1: the test loss is nan after the last batch"):
        ho.fit(network, data, batch_size=None, loss=poison)
    assert all(torch.isfinite(p).all() for p in network.parameters())


@pytest.mark.parametrize("whole_steps", [0, 2, 4])
def test_interrupted_in_the_loss(whole_steps, data, make_network, equal_states):
    network = make_network()
    loss = Failing(whole_steps + 1, interrupt)
    history = ho.fit(
        network, (data.train.x, data.train.y), optimizer="sgd", batch_size=8, epochs=3, loss=loss
    )
    assert (history.status, len(history)) == ("interrupted", whole_steps // 3)
    expected = steps_by_hand(make_network(), data, whole_steps) if whole_steps else make_network()
    equal_states(network, expected)


def test_interrupted_in_the_backward_pass(data, make_network, equal_states):
    network = make_network()
    loss = Failing(5, Interrupted.apply)
    history = ho.fit(
        network, (data.train.x, data.train.y), optimizer="sgd", batch_size=8, epochs=3, loss=loss
    )
    assert (history.status, len(history)) == ("interrupted", 1)
    equal_states(network, steps_by_hand(make_network(), data, 4))


def test_interrupted_in_the_middle_of_a_step(data, make_network, equal_states):
    network = make_network()
    optimizer = InterruptedStep(network.parameters(), at=5)
    history = ho.fit(
        network, (data.train.x, data.train.y), optimizer=optimizer, batch_size=8, epochs=3
    )
    assert (history.status, len(history)) == ("interrupted", 1)
    equal_states(network, steps_by_hand(make_network(), data, 4))


def test_interrupted_in_a_callback(data, make_network, equal_states):
    network = make_network()
    history = ho.fit(
        network, data, optimizer="sgd", batch_size=8, epochs=3, callbacks=[lambda *_: interrupt(0)]
    )
    assert (history.status, len(history)) == ("interrupted", 1)
    assert "keyboard" in history.reason
    equal_states(network, steps_by_hand(make_network(), data, 3))


def test_interrupted_in_the_evaluation(data, make_network, equal_states):
    network = make_network(dropout=0.1)
    network[2] = nn.Identity()
    loss = Failing(4, interrupt)  # three steps, then the evaluation
    history = ho.fit(network, data, optimizer="sgd", batch_size=8, epochs=3, loss=loss)
    assert (history.status, len(history), network.training) == ("interrupted", 0, True)
    by_hand = make_network(dropout=0.1)
    by_hand[2] = nn.Identity()
    equal_states(network, steps_by_hand(by_hand, data, 3))


@pytest.mark.parametrize("name", ["adam", "lbfgs"])
def test_interrupted_on_the_circuit(name, data, make_quantum, monkeypatch, equal_states):
    network, reference = make_quantum(merge="epoch"), make_quantum(merge="epoch")
    ho.fit(reference, data, optimizer=name, epochs=2)
    run, readings = type(network.executor).run, []

    def interrupted_in_the_third_epoch(executor, job):
        if len(readings) == 2:
            raise KeyboardInterrupt
        return run(executor, job)

    monkeypatch.setattr(type(network.executor), "run", interrupted_in_the_third_epoch)
    history = ho.fit(
        network, data, optimizer=name, epochs=5,
        callbacks=[lambda record, _: readings.append(record)],
    )  # fmt: skip
    assert (history.status, len(history)) == ("interrupted", 2)
    equal_states(network, reference)


def test_training_goes_on_after_an_interruption(data, make_quantum):
    network = make_quantum(shots=1024)
    first = ho.fit(network, data, epochs=5, loss=Failing(3, interrupt))
    second = ho.fit(network, data, epochs=2)
    assert (first.status, second.status, len(second)) == ("interrupted", "epochs", 2)
