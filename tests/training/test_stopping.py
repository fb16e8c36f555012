from __future__ import annotations

import pytest

import hybridopt as ho
from hybridopt.training.history import EpochRecord, History
from hybridopt.training.loop import StoppingRule


def history_of(train_losses, test_losses=None):
    test_losses = test_losses or [None] * len(train_losses)
    pairs = enumerate(zip(train_losses, test_losses, strict=True), start=1)
    records = [EpochRecord(n, train, test, None, 0.0, 0, 0, 0) for n, (train, test) in pairs]
    return History("accuracy", records)


@pytest.mark.parametrize(
    ("rule", "train", "test", "status"),
    [
        (StoppingRule(), [1.0, 1.0, 1.0], None, None),
        (StoppingRule(tol=0.1), [1.0], None, None),
        (StoppingRule(tol=0.125), [1.0, 0.875], None, "converged"),
        (StoppingRule(tol=0.125), [1.0, 0.75], None, None),
        (StoppingRule(tol=0.125), [1.0, 1.0625], None, "converged"),
        (StoppingRule(tol=0.0), [1.0, 0.5, 0.5], None, "converged"),
        (StoppingRule(patience=1), [1.0], None, None),
        (StoppingRule(patience=1), [1.0, 2.0], None, "patience"),
        (StoppingRule(patience=1), [1.0, 1.0], None, "patience"),
        (StoppingRule(patience=2), [1.0, 2.0], None, None),
        (StoppingRule(patience=2), [1.0, 2.0, 0.5, 0.6], None, None),
        (StoppingRule(patience=2), [1.0, 2.0, 1.5], None, "patience"),
        (StoppingRule(patience=2), [3.0, 2.0, 1.0], [1.0, 2.0, 3.0], "patience"),
        (StoppingRule(patience=2), [1.0, 2.0, 3.0], [3.0, 2.0, 1.0], None),
        (StoppingRule(tol=0.1, patience=1), [1.0, 1.05], None, "converged"),
    ],
)
def test_rule(rule, train, test, status):
    assert rule.status(history_of(train, test)) == status


def test_gradient_descent_ends_when_the_loss_stands_still(data, make_network):
    history = ho.fit(make_network(), data, optimizer="gd", epochs=500, tol=1e-3)
    changes = [abs(b - a) for a, b in zip(history.train_loss, history.train_loss[1:], strict=False)]
    assert history.status == "converged"
    assert "`tol`" in history.reason
    assert changes[-1] <= 1e-3 < min(changes[:-1])


def test_patience_watches_the_test_loss(data, make_network):
    # learns its 22 samples by heart, so that the loss of the others rises in the end
    history = ho.fit(make_network(), data, lr=0.1, epochs=2000, patience=3)
    assert history.status == "patience"
    assert min(history.test_loss[-3:]) >= min(history.test_loss)
    assert history.test_loss.index(min(history.test_loss)) == len(history) - 4


def test_a_callback_ends_training(data, make_network):
    seen = []

    def second(record, network):
        seen.append((record.epoch, network.training))
        return record.epoch == 2

    history = ho.fit(make_network(), data, epochs=5, callbacks=[second, lambda *_: None])
    assert (history.status, len(history), seen) == ("callback", 2, [(1, True), (2, True)])


def test_every_callback_hears_of_the_last_epoch(data, make_network):
    seen = []
    ho.fit(
        make_network(), data, epochs=3,
        callbacks=[lambda *_: True, lambda record, _: seen.append(record.epoch)],
    )  # fmt: skip
    assert seen == [1]


def test_epochs_is_the_status_of_a_run_that_nothing_ended(data, make_network):
    history = ho.fit(make_network(), data, epochs=2, tol=0.0, patience=50)
    assert (history.status, history.reason) == ("epochs", "all epochs are done")


def test_an_error_in_a_callback_is_not_hidden(data, make_network):
    def broken(record, network):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        ho.fit(make_network(), data, callbacks=[broken])
