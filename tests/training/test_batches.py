from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

import hybridopt as ho
from hybridopt.data import Part
from hybridopt.errors import DataError
from hybridopt.optim import spec_of
from hybridopt.training.batches import LoaderBatches, TensorBatches, training_data

PART = Part(torch.arange(20.0).reshape(10, 2), torch.arange(10))


def batches(batch_size, seed=3):
    return TensorBatches(PART, batch_size, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("batch_size", "sizes"),
    [(None, [10]), (1, [1] * 10), (3, [3, 3, 3, 1]), (5, [5, 5]), (10, [10]), (32, [10])],
)
def test_each_epoch_has_every_sample_once(batch_size, sizes):
    cut = batches(batch_size)
    for _ in range(2):
        pieces = list(cut)
        assert [len(one.x) for one in pieces] == sizes
        assert len(cut) == len(sizes)
        labels = torch.cat([one.y for one in pieces])
        assert sorted(labels.tolist()) == list(range(10))
        assert torch.equal(torch.cat([one.x for one in pieces]), PART.x[labels])
    assert {len(one.x) for one in cut.samples()} == set(sizes)
    if batch_size is None:
        assert torch.equal(labels, PART.y)


def test_order_differs_between_epochs_and_follows_the_seed():
    cut = batches(4)
    first, second = (torch.cat([one.y for one in cut]) for _ in range(2))
    assert not torch.equal(first, second)
    assert torch.equal(torch.cat([one.y for one in batches(4)]), first)


def test_fingerprint_distinguishes_samples():
    other = TensorBatches(Part(PART.x, PART.y.flip(0)), 3, torch.Generator())
    assert batches(3).fingerprint() == batches(3, seed=4).fingerprint()
    assert len({batches(3).fingerprint(), batches(4).fingerprint(), other.fingerprint()}) == 3


@pytest.mark.parametrize(
    ("optimizer", "size"),
    [
        *(("gd", None), ("newton", None), ("lbfgs", None), ("sgd", 32), ("adam", 32)),
        *((torch.optim.LBFGS, None), (torch.optim.SGD, 32), (torch.optim.AdamW, 32)),
    ],
)
def test_automatic_batch_size(optimizer, size):
    network = nn.Linear(2, 10)
    spec = spec_of(optimizer if isinstance(optimizer, str) else optimizer(network.parameters(), 1))
    prepared = training_data(PART, network, spec, "auto", torch.Generator())
    assert prepared.batches.batch_size == size
    assert (prepared.task, prepared.has_test) == ("classification", False)


def test_loader_batches_get_the_dtype_of_the_network():
    pair = TensorDataset(PART.x, PART.x[:, 0])
    loader = LoaderBatches(
        DataLoader(pair, 4), torch.float64, torch.device("cpu"), torch.Generator()
    )
    pieces = list(loader)
    assert [one.x.shape for one in pieces] == [(4, 2), (4, 2), (2, 2)]
    assert {t.dtype for piece in pieces for t in piece[:2]} == {torch.float64}
    assert {one.y.shape[1:] for one in pieces} == {torch.Size([1])}
    assert loader.fingerprint() == "loader of 3 batches"


class Stream(IterableDataset):
    """Samples without a length; with ``once``, only the first epoch has samples."""

    def __init__(self, *, once: bool = False) -> None:
        self.rows = iter(zip(PART.x, PART.y, strict=True)) if once else None

    def __iter__(self):
        return self.rows or iter(zip(PART.x, PART.y, strict=True))


def test_streams_without_a_length():
    history = ho.fit(nn.Linear(2, 10), DataLoader(Stream(), 5), epochs=2, progress=True)
    assert len(history) == 2
    with pytest.raises(DataError, match="`data`"):
        ho.fit(nn.Linear(2, 10), DataLoader(Stream(once=True), 5), epochs=3)


def test_loader_shuffles_by_the_seed_of_fit():
    def losses(seed):
        torch.manual_seed(9)
        network = nn.Linear(2, 10)
        loader = DataLoader(TensorDataset(PART.x, PART.y), 3, shuffle=True, drop_last=True)
        return ho.fit(network, loader, epochs=2, seed=seed).train_loss

    assert losses(1) == losses(1)
    assert losses(1) != losses(2)


def test_later_loader_batches_are_checked():
    bad = torch.full((4, 2), float("nan")), torch.zeros(4, dtype=torch.int64)
    with pytest.raises(DataError, match="`x`"):
        ho.fit(nn.Linear(2, 10), DataLoader([(PART.x, PART.y), bad], batch_size=None), epochs=1)
