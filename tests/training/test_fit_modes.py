"""Train and eval mode, batch statistics and folds: what fit does besides steps."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

import hybridopt as ho


@pytest.mark.parametrize("start", ["train", "eval"])
def test_train_and_eval_mode_are_given_back(start, data, make_network):
    network = make_network(batch_norm=True, dropout=0.3).train(start == "train")
    network[1].eval()  # a normalisation that is frozen on purpose
    before = {name: module.training for name, module in network.named_modules()}
    ho.fit(network, data, epochs=1)
    assert {name: module.training for name, module in network.named_modules()} == before


def test_a_normalisation_frozen_in_eval_mode_learns_no_statistics(data, make_network):
    network = make_network(batch_norm=True)
    network[1].eval()
    ho.fit(network, data, epochs=2)
    assert torch.equal(network[1].running_mean, torch.zeros(4))
    assert network[1].num_batches_tracked == 0


def test_mode_is_given_back_when_the_data_is_refused(data, make_network):
    network = make_network().eval()
    with pytest.raises(ho.errors.DataError):
        ho.fit(network, (data.train.x[:, :2], data.train.y))
    assert not network.training


def test_batch_statistics_are_learned_on_the_circuit_and_come_back(data, make_network):
    classical, network = make_network(batch_norm=True), make_network(batch_norm=True)
    quantum = ho.to_quantum(network)
    ho.fit(quantum, data, epochs=2)
    back = ho.to_classical(quantum)
    assert back[1].num_batches_tracked == 2
    assert not torch.equal(back[1].running_mean, classical[1].running_mean)


@pytest.mark.parametrize("name", ["adam", "lbfgs", "newton"])
def test_folds_after_every_epoch(name, data, make_quantum):
    network = make_quantum(merge="epoch")
    starts = [next(network.origin.buffers()).clone()]

    def note(record, trained):
        assert torch.count_nonzero(trained.angles) == 0
        starts.append(next(trained.origin.buffers()).clone())

    history = ho.fit(network, data, optimizer=name, epochs=3, callbacks=[note])
    assert history.train_loss[-1] < history.train_loss[0]
    assert all(not torch.equal(a, b) for a, b in pairwise(starts))


@pytest.mark.parametrize(("merge", "steps_kept"), [("epoch", 0), (None, 1)])
def test_lbfgs_forgets_steps_from_before_a_fold(merge, steps_kept, data, make_quantum):
    network = make_quantum(merge=merge)
    optimizer = torch.optim.LBFGS(network.parameters(), line_search_fn="strong_wolfe")
    seen = []
    ho.fit(
        network, data, optimizer=optimizer, epochs=2,
        callbacks=[lambda *_: seen.append(len(optimizer.state))],
    )  # fmt: skip
    assert seen == [steps_kept] * 2


def test_folding_lets_weights_leave_the_reach_of_their_scale(data, make_quantum):
    reach = 0.1
    moves = {}
    for merge in (None, "epoch"):
        quantum = make_quantum(scale=reach, merge=merge)
        before = [slot.clone() for slot in quantum.weights(quantum.exact_moves().detach())]
        ho.fit(quantum, data, optimizer="adam", lr=0.5, epochs=5, batch_size=4)
        after = quantum.weights(quantum.exact_moves().detach())
        moves[merge] = max(float((b - a).abs().max()) for a, b in zip(after, before, strict=True))
    assert moves[None] <= reach + 1e-6
    assert moves["epoch"] > 2 * reach
