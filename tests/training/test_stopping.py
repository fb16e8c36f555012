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


def test_gradient_descent_converges(data, make_network):
    history = ho.fit(make_network(), data, optimizer="gd", epochs=500, tol=1e-3)
    changes = [abs(b - a) for a, b in zip(history.train_loss, history.train_loss[1:], strict=False)]
    assert history.status == "converged"
    assert "`tol`" in history.reason
    assert changes[-1] <= 1e-3 < min(changes[:-1])


def test_patience_uses_the_test_loss(data, make_network):
    # overfits 22 samples, so that the test loss rises in the end
    history = ho.fit(make_network(), data, lr=0.1, epochs=2000, patience=3)
    assert history.status == "patience"
    assert history.test_loss.index(min(history.test_loss)) == len(history) - 4


def test_status_after_all_epochs(data, make_network):
    history = ho.fit(make_network(), data, epochs=2, tol=0.0, patience=50)
    assert (history.status, len(history)) == ("epochs", 2)
