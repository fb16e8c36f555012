from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

import hybridopt as ho
from hybridopt.data import Part
from hybridopt.errors import DataError
from hybridopt.optim import OPTIMIZERS, spec_of
from hybridopt.training.batches import LoaderBatches, TensorBatches, training_data

PART = Part(torch.arange(20.0).reshape(10, 2), torch.arange(10))


def batches(batch_size, seed=3):
    return TensorBatches(PART, batch_size, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("batch_size", "sizes"),
    [(None, [10]), (1, [1] * 10), (3, [3, 3, 3, 1]), (5, [5, 5]), (10, [10]), (32, [10])],
)
def test_every_sample_once_an_epoch(batch_size, sizes):
    cut = batches(batch_size)
    for _ in range(2):
        pieces = list(cut)
        assert [len(x) for x, _ in pieces] == sizes
        assert len(cut) == len(sizes)
        labels = torch.cat([y for _, y in pieces])
        assert sorted(labels.tolist()) == list(range(10))
        assert torch.equal(torch.cat([x for x, _ in pieces]), PART.x[labels])


def test_the_order_is_drawn_anew_each_epoch_from_the_seed():
    cut = batches(4)
    first, second = (torch.cat([y for _, y in cut]) for _ in range(2))
    assert not torch.equal(first, second)
    again = batches(4)
    assert torch.equal(torch.cat([y for _, y in again]), first)


def test_one_batch_of_all_keeps_the_order():
    ((x, y),) = batches(None)
    assert torch.equal(x, PART.x)
    assert torch.equal(y, PART.y)


@pytest.mark.parametrize(
    ("batch_size", "sizes"), [(None, {10}), (3, {3, 1}), (5, {5}), (10, {10}), (32, {10})]
)
def test_samples_come_in_every_size(batch_size, sizes):
    assert {len(x) for x, _ in batches(batch_size).samples()} == sizes


def test_fingerprint_tells_samples_apart():
    other = TensorBatches(Part(PART.x, PART.y.flip(0)), 3, torch.Generator())
    assert batches(3).fingerprint() == batches(3, seed=4).fingerprint()
    assert len({batches(3).fingerprint(), batches(4).fingerprint(), other.fingerprint()}) == 3


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_automatic_batch_size(name):
    network = nn.Linear(2, 10)
    prepared = training_data(PART, network, spec_of(name), "auto", torch.Generator())
    full = name in {"gd", "newton", "lbfgs"}
    assert prepared.batches.batch_size == (None if full else 32)
    assert (prepared.task, prepared.has_test) == ("classification", False)


def test_an_instance_has_the_batches_of_its_kind():
    network = nn.Linear(2, 10)
    for build, size in ((torch.optim.LBFGS, None), (torch.optim.SGD, 32), (torch.optim.AdamW, 32)):
        spec = spec_of(build(network.parameters(), lr=0.1))
        assert (
            training_data(PART, network, spec, "auto", torch.Generator()).batches.batch_size == size
        )


def test_a_loader_is_moved_to_the_networks_dtype():
    pair = TensorDataset(PART.x, PART.x[:, 0])
    loader = LoaderBatches(
        DataLoader(pair, 4), torch.float64, torch.device("cpu"), torch.Generator()
    )
    pieces = list(loader)
    assert [x.shape for x, _ in pieces] == [(4, 2), (4, 2), (2, 2)]
    assert {t.dtype for piece in pieces for t in piece} == {torch.float64}
    assert {y.shape[1:] for _, y in pieces} == {torch.Size([1])}
    assert loader.fingerprint() == "loader of 3 batches"


class Stream(IterableDataset):
    """Samples without a length; ``once`` gives them one time only."""

    def __init__(self, *, once: bool = False) -> None:
        self.rows = iter(zip(PART.x, PART.y, strict=True)) if once else None

    def __iter__(self):
        return self.rows or iter(zip(PART.x, PART.y, strict=True))


def test_a_stream_has_no_length():
    network = nn.Linear(2, 10)
    history = ho.fit(network, DataLoader(Stream(), 5), epochs=2, progress=True)
    assert len(history) == 2


def test_a_stream_that_runs_dry_is_refused_by_a_sentence():
    with pytest.raises(DataError, match="yields no batch"):
        ho.fit(nn.Linear(2, 10), DataLoader(Stream(once=True), 5), epochs=3)


def test_a_loader_shuffles_by_the_seed_of_fit():
    def losses(seed):
        torch.manual_seed(9)
        network = nn.Linear(2, 10)
        loader = DataLoader(TensorDataset(PART.x, PART.y), 3, shuffle=True)
        return ho.fit(network, loader, epochs=2, seed=seed).train_loss

    assert losses(1) == losses(1)
    assert losses(1) != losses(2)


def test_a_bad_batch_later_on_is_refused_by_a_sentence():
    bad = torch.full((4, 2), float("nan")), torch.zeros(4, dtype=torch.int64)
    with pytest.raises(DataError, match="`x` must be finite"):
        ho.fit(nn.Linear(2, 10), DataLoader([(PART.x, PART.y), bad], batch_size=None), epochs=1)


def test_a_loader_may_drop_its_last_batch():
    loader = DataLoader(TensorDataset(PART.x, PART.y), 5, drop_last=True)
    assert len(ho.fit(nn.Linear(2, 10), loader, epochs=1)) == 1
