from __future__ import annotations

import math

import pytest
import torch

import hybridopt as ho
from hybridopt.errors import ArgumentTypeError, TrainingError
from hybridopt.training import Callback


class Diary(Callback):
    """Notes every moment."""

    def __init__(self, stop_at=None):
        self.entries, self.stop_at = [], stop_at

    def _note(self, *entry):
        self.entries.append(entry)
        return entry == self.stop_at

    def on_fit_begin(self, network, history):
        self._note("begin", len(history), history.status)

    def on_step_end(self, loss, network):
        assert isinstance(loss, float)
        return self._note("step", sum(kind == "step" for kind, *_ in self.entries))

    def on_epoch_end(self, record, network):
        return self._note("epoch", record.epoch)

    def on_fit_end(self, network, history):
        self._note("end", len(history), history.status)


def test_every_moment_in_its_order(data, make_network):
    diary = Diary()
    ho.fit(make_network(), data, epochs=2, batch_size=11, callbacks=[diary])
    assert diary.entries == [
        ("begin", 0, "failed"),
        ("step", 0), ("step", 1), ("epoch", 1),
        ("step", 2), ("step", 3), ("epoch", 2),
        ("end", 2, "epochs"),
    ]  # fmt: skip


def test_looking_on_changes_nothing(data, make_network, equal_states):
    one, other = make_network(dropout=0.2), make_network(dropout=0.2)
    first = ho.fit(one, data, epochs=2, batch_size=5, callbacks=[Diary()])
    second = ho.fit(other, data, epochs=2, batch_size=5)
    equal_states(one, other)
    assert first.train_loss == second.train_loss


def test_an_epoch_can_be_the_last(data, make_network):
    diary, other = Diary(stop_at=("epoch", 2)), Diary()
    history = ho.fit(make_network(), data, epochs=5, callbacks=[diary, other])
    assert other.entries == diary.entries  # the others hear of it as well
    assert (history.status, len(history)) == ("callback", 2)
    assert diary.entries[-1] == ("end", 2, "callback")


def test_a_step_can_be_the_last(data, make_network, equal_states):
    stopped, by_hand = make_network(), make_network()
    diary = Diary(stop_at=("step", 1))
    history = ho.fit(
        stopped, data, optimizer="sgd", lr=0.3, batch_size=6, epochs=5, seed=4, callbacks=[diary]
    )
    order = torch.randperm(22, generator=torch.Generator().manual_seed(4))
    losses, optimizer = [], torch.optim.SGD(by_hand.parameters(), lr=0.3)
    for rows in order.split(6)[:2]:
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(by_hand(data.train.x[rows]), data.train.y[rows])
        loss.backward()
        losses.append(loss.item())
        optimizer.step()
    equal_states(stopped, by_hand)
    assert (history.status, history.train_loss) == ("callback", [pytest.approx(sum(losses) / 2)])
    assert [entry[0] for entry in diary.entries] == ["begin", "step", "step", "epoch", "end"]


def fail(loss, at):
    calls = []

    def failing(outputs, targets):
        value = torch.nn.functional.cross_entropy(outputs, targets)
        if not outputs.is_meta:
            calls.append(value)
            if len(calls) == at:
                return loss(value)
        return value

    return failing


def interrupt(_):
    raise KeyboardInterrupt


def test_the_end_comes_whatever_the_reason(data, make_network):
    diary = Diary()
    with pytest.raises(TrainingError):
        ho.fit(make_network(), data, loss=fail(lambda v: v * math.nan, 1), callbacks=[diary])
    assert diary.entries[-1] == ("end", 0, "failed")
    diary = Diary()
    assert ho.fit(make_network(), data, loss=fail(interrupt, 1), callbacks=[diary]).status == (
        "interrupted"
    )
    assert diary.entries[-1] == ("end", 0, "interrupted")


def test_a_resumed_run_brings_its_epochs(data, make_network, tmp_path):
    ho.fit(make_network(), data, epochs=2, checkpoint=tmp_path / "run.pt")
    diary = Diary()
    ho.fit(make_network(), data, epochs=3, checkpoint=tmp_path / "run.pt", callbacks=[diary])
    assert diary.entries[0][:2] == ("begin", 2)
    assert ("epoch", 3) in diary.entries


class WrongEpoch(Callback):
    def on_epoch_end(self):
        pass


class WrongEnd(Callback):
    def on_fit_end(self, network, history, third):
        pass


def changed(**moments):
    callback = Callback()
    vars(callback).update(moments)
    return callback


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("callbacks", "message"),
    [
        ([Diary], "holds the class Diary"),
        (Diary(), "must be a list of functions of"),
        ("diary", "must be a list of functions of"),
        ([None], "holds None"),
        ([lambda record: None], r"function '.*<lambda>' .*\(record, network\), but is \(record\)"),
        ([WrongEpoch()], r"method WrongEpoch.on_epoch_end .*\(record, network\), but is \(\)"),
        ([WrongEnd()], r"method WrongEnd.on_fit_end .*\(network, history\), .*'third'"),
        ([changed(on_step_end=3)], r"Callback.on_step_end in `callbacks` .* but is 3"),
    ],
)
def test_refused(callbacks, message, data, make_quantum, aer_calls):
    with pytest.raises(ArgumentTypeError, match=message):
        ho.fit(make_quantum(), data, callbacks=callbacks)
    assert aer_calls == []


def test_a_moment_of_the_object_alone_is_heard(data, make_network):
    heard = []
    callback = changed(on_step_end=lambda loss, network: heard.append(loss))
    ho.fit(make_network(), data, epochs=2, batch_size=11, callbacks=[callback])
    assert len(heard) == 4


class Failing(Diary):
    def __init__(self, moment):
        super().__init__()
        self.moment = moment

    def on_fit_begin(self, network, history):
        super().on_fit_begin(network, history)
        if self.moment == "begin":
            raise ZeroDivisionError("at the beginning")

    def on_fit_end(self, network, history):
        super().on_fit_end(network, history)
        if self.moment == "end":
            raise LookupError(f"number {id(self)}")


def test_only_who_began_comes_to_an_end(data, make_network):
    first, second, third = Diary(), Failing("begin"), Diary()
    with pytest.raises(ZeroDivisionError, match="at the beginning"):
        ho.fit(make_network(), data, callbacks=[first, second, third])
    assert [kind for kind, *_ in first.entries] == ["begin", "end"]
    assert [kind for kind, *_ in second.entries] == ["begin"]
    assert third.entries == []


def test_all_come_to_an_end_and_the_first_error_counts(data, make_network):
    callbacks = [Diary(), Failing("end"), Failing("end"), Diary()]
    with pytest.raises(LookupError, match=f"number {id(callbacks[1])}"):
        ho.fit(make_network(), data, epochs=1, callbacks=callbacks)
    assert [diary.entries[-1] for diary in callbacks] == [("end", 1, "epochs")] * 4


@pytest.mark.parametrize("epoch", [1, 2])
def test_weights_that_a_callback_spoils(epoch, data, make_network, tmp_path):
    def spoil(record, network):
        if record.epoch == epoch:
            with torch.no_grad():
                network[0].weight[0, 0] = math.nan

    network, path = make_network(), tmp_path / "run.pt"
    with pytest.raises(TrainingError, match=f"A callback left .* not finite after epoch {epoch}"):
        ho.fit(network, data, epochs=2, callbacks=[spoil], checkpoint=path)
    assert all(bool(p.isfinite().all()) for p in network.parameters())
    assert path.exists() == (epoch == 2)  # that of the epoch before
