"""Modes, batch statistics and merges in `fit`."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

import hybridopt as ho


@pytest.mark.parametrize("start", ["train", "eval"])
def test_modes_are_restored(start, data, make_network):
    network = make_network(batch_norm=True, dropout=0.3).train(start == "train")
    network[1].eval()  # a frozen normalisation
    before = {name: module.training for name, module in network.named_modules()}
    ho.fit(network, data, epochs=1)
    assert {name: module.training for name, module in network.named_modules()} == before
    if start == "train":
        assert torch.equal(network[1].running_mean, torch.zeros(4))
        assert network[1].num_batches_tracked == 0
    with pytest.raises(ho.errors.DataError):
        ho.fit(network, (data.train.x[:, :2], data.train.y))
    assert {name: module.training for name, module in network.named_modules()} == before


def test_batch_statistics_of_a_quantum_network(data, make_network):
    classical, network = make_network(batch_norm=True), make_network(batch_norm=True)
    quantum = ho.to_quantum(network)
    ho.fit(quantum, data, epochs=2)
    back = ho.to_classical(quantum)
    assert back[1].num_batches_tracked == 2
    assert not torch.equal(back[1].running_mean, classical[1].running_mean)


@pytest.mark.parametrize("name", ["adam", "lbfgs", "newton"])
def test_merges_after_every_epoch(name, data, make_quantum):
    network = make_quantum(merge="epoch")
    starts = [next(network.origin.buffers()).clone()]

    def note(record, trained):
        assert torch.count_nonzero(trained.angles) == 0
        starts.append(next(trained.origin.buffers()).clone())

    history = ho.fit(network, data, optimizer=name, epochs=3, callbacks=[note])
    assert history.train_loss[-1] < history.train_loss[0]
    assert all(not torch.equal(a, b) for a, b in pairwise(starts))


@pytest.mark.parametrize(("merge", "steps_kept"), [("epoch", 0), (None, 1)])
def test_a_merge_clears_the_state_of_lbfgs(merge, steps_kept, data, make_quantum):
    network = make_quantum(merge=merge)
    optimizer = torch.optim.LBFGS(network.parameters(), line_search_fn="strong_wolfe")
    seen = []
    ho.fit(
        network, data, optimizer=optimizer, epochs=2,
        callbacks=[lambda *_: seen.append(len(optimizer.state))],
    )  # fmt: skip
    assert seen == [steps_kept] * 2


def test_merges_let_weights_move_beyond_the_scale(data, make_quantum):
    scale = 0.1
    moves = {}
    for merge in (None, "epoch"):
        quantum = make_quantum(scale=scale, merge=merge)
        before = [slot.clone() for slot in quantum.weights(quantum.exact_moves().detach())]
        ho.fit(quantum, data, optimizer="adam", lr=0.5, epochs=5, batch_size=4)
        after = quantum.weights(quantum.exact_moves().detach())
        moves[merge] = max(float((b - a).abs().max()) for a, b in zip(after, before, strict=True))
    assert moves[None] <= scale + 1e-6
    assert moves["epoch"] > 2 * scale
