from __future__ import annotations

import math

import pytest
import torch

import hybridopt as ho
from hybridopt.errors import ArgumentTypeError, TrainingError
from hybridopt.training import Callback


class Recorder(Callback):
    """Records every event; may stop training or fail at one of them."""

    def __init__(self, stop_at=None, fail_at=None):
        self.entries, self.stop_at, self.fail_at = [], stop_at, fail_at

    def _note(self, *entry):
        self.entries.append(entry)
        if entry[0] == self.fail_at:
            raise LookupError(f"number {id(self)}")
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


def test_order_of_events(data, make_network, equal_states):
    recorder, one, other = Recorder(), make_network(dropout=0.2), make_network(dropout=0.2)
    first = ho.fit(one, data, epochs=2, batch_size=11, callbacks=[recorder])
    assert recorder.entries == [
        ("begin", 0, "failed"),
        ("step", 0), ("step", 1), ("epoch", 1),
        ("step", 2), ("step", 3), ("epoch", 2),
        ("end", 2, "epochs"),
    ]  # fmt: skip
    second = ho.fit(other, data, epochs=2, batch_size=11)
    equal_states(one, other)  # the callback changed nothing
    assert first.train_loss == second.train_loss


def test_stop_after_an_epoch(data, make_network):
    stopping, other, seen = Recorder(stop_at=("epoch", 2)), Recorder(), []
    history = ho.fit(
        make_network(), data, epochs=5,
        callbacks=[stopping, other, lambda record, net: seen.append((record.epoch, net.training))],
    )  # fmt: skip
    assert (history.status, len(history)) == ("callback", 2)
    assert stopping.entries[-1] == ("end", 2, "callback")
    assert other.entries == stopping.entries
    assert seen == [(1, True), (2, True)]


def test_stop_after_a_step(data, make_network, equal_states, train_by_hand):
    stopped, by_hand = make_network(), make_network()
    recorder = Recorder(stop_at=("step", 1))
    history = ho.fit(
        stopped, data, optimizer="sgd", lr=0.3, batch_size=6, epochs=5, seed=4, callbacks=[recorder]
    )
    losses = train_by_hand(
        by_hand, data.train.x, data.train.y, torch.optim.SGD(by_hand.parameters(), lr=0.3),
        epochs=1, batch_size=6, seed=4, max_steps=2,
    )  # fmt: skip
    equal_states(stopped, by_hand)
    assert (history.status, history.train_loss) == ("callback", pytest.approx(losses))
    assert [entry[0] for entry in recorder.entries] == ["begin", "step", "step", "epoch", "end"]


def interrupt(_):
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("change", "status"), [(lambda loss: loss * math.nan, "failed"), (interrupt, "interrupted")]
)
def test_on_fit_end_runs_after_failures(change, status, data, make_network):
    def failing(outputs, targets):
        loss = torch.nn.functional.cross_entropy(outputs, targets)
        return loss if outputs.is_meta else change(loss)

    recorder = Recorder()
    try:
        ho.fit(make_network(), data, loss=failing, callbacks=[recorder])
    except TrainingError:
        assert status == "failed"
    assert recorder.entries[-1] == ("end", 0, status)


def test_resumed_run_has_its_earlier_epochs(data, make_network, tmp_path):
    ho.fit(make_network(), data, epochs=2, checkpoint=tmp_path / "run.pt")
    recorder = Recorder()
    ho.fit(make_network(), data, epochs=3, checkpoint=tmp_path / "run.pt", callbacks=[recorder])
    assert recorder.entries[0][:2] == ("begin", 2)
    assert ("epoch", 3) in recorder.entries


def changed(**methods):
    callback = Callback()
    vars(callback).update(methods)
    return callback


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("callbacks", "message"),
    [
        ([Recorder], "`callbacks`.* class Recorder"),
        (Recorder(), "`callbacks`"),
        ("recorder", "`callbacks`"),
        ([None], "`callbacks`.*None"),
        ([lambda record: None], r"<lambda>.*`callbacks`.*\(record\)"),
        ([changed(on_epoch_end=lambda: None)], r"Callback.on_epoch_end.*`callbacks`.*\(\)"),
        ([changed(on_fit_end=lambda a, b, third: None)], r"on_fit_end.*`callbacks`.*'third'"),
        ([changed(on_step_end=3)], r"Callback.on_step_end.*`callbacks`.*3"),
    ],
)
def test_wrong_callbacks(callbacks, message, data, make_quantum, aer_calls):
    with pytest.raises(ArgumentTypeError, match=message):
        ho.fit(make_quantum(), data, callbacks=callbacks)
    assert aer_calls == []


def test_method_of_an_instance_is_called(data, make_network):
    losses = []
    callback = changed(on_step_end=lambda loss, network: losses.append(loss))
    ho.fit(make_network(), data, epochs=2, batch_size=11, callbacks=[callback])
    assert len(losses) == 4


def test_on_fit_end_needs_on_fit_begin(data, make_network):
    first, second, third = Recorder(), Recorder(fail_at="begin"), Recorder()
    with pytest.raises(LookupError, match=f"number {id(second)}"):
        ho.fit(make_network(), data, callbacks=[first, second, third])
    kinds = [[kind for kind, *_ in recorder.entries] for recorder in (first, second, third)]
    assert kinds == [["begin", "end"], ["begin"], []]


def test_every_on_fit_end_runs_and_the_first_error_is_raised(data, make_network):
    callbacks = [Recorder(), Recorder(fail_at="end"), Recorder(fail_at="end"), Recorder()]
    with pytest.raises(LookupError, match=f"number {id(callbacks[1])}"):
        ho.fit(make_network(), data, epochs=1, callbacks=callbacks)
    assert [recorder.entries[-1] for recorder in callbacks] == [("end", 1, "epochs")] * 4


@pytest.mark.parametrize("epoch", [1, 2])
def test_weights_that_a_callback_makes_infinite(epoch, data, make_network, tmp_path):
    def spoil(record, network):
        if record.epoch == epoch:
            with torch.no_grad():
                network[0].weight[0, 0] = math.nan

    network, path = make_network(), tmp_path / "run.pt"
    with pytest.raises(TrainingError, match=f"callbacks of epoch {epoch}"):
        ho.fit(network, data, epochs=2, callbacks=[spoil], checkpoint=path)
    assert all(bool(p.isfinite().all()) for p in network.parameters())
    assert path.exists() == (epoch == 2)  # written after the epoch before
