from __future__ import annotations

import random

import pytest
import torch
from torch.utils.data import (
    ConcatDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
)

from hybridopt.data import as_dataset
from hybridopt.data.torch_datasets import tensors_in_memory
from hybridopt.errors import DataError

X, Y = torch.randn(11, 3, generator=torch.Generator().manual_seed(3)), torch.arange(11) % 4
WHOLE = TensorDataset(X, Y)


class Own(Dataset):
    def __len__(self):
        return 11

    def __getitem__(self, row):
        return X[row], Y[row]


class Shifted(TensorDataset):
    """Dataset with its own rows: its tensors are not its samples."""

    def __getitem__(self, row):
        x, y = super().__getitem__(row)
        return x + 1, y


class Stream(IterableDataset):
    def __iter__(self):
        return iter(WHOLE[row] for row in range(11))


@pytest.mark.parametrize(
    "data",
    [
        WHOLE,
        Own(),
        Stream(),
        Subset(Own(), range(11)),
        ConcatDataset([Subset(WHOLE, [0, 1, 2]), Subset(Own(), range(3, 11))]),
        DataLoader(WHOLE, 4, shuffle=True, drop_last=True),
        DataLoader(Own(), 4, shuffle=True),
        DataLoader(Stream(), 4),
        DataLoader(WHOLE, batch_sampler=[[0, 1, 2, 3], [4, 5, 6, 7, 8, 9, 10]]),
        DataLoader([(X[:5], Y[:5]), (X[5:], Y[5:])], batch_size=None),
    ],
)
def test_all_samples_in_order(data):
    state = torch.get_rng_state()
    for _ in range(2):
        train = as_dataset(data).train
        assert torch.equal(train.x, X)
        assert torch.equal(train.y, Y)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    "sampler",
    [
        RandomSampler(WHOLE, replacement=True, num_samples=20),
        RandomSampler(WHOLE, num_samples=5),
        SubsetRandomSampler(range(5), torch.Generator().manual_seed(1)),
    ],
)
def test_other_samplers_repeat(sampler):
    random.seed(1)
    loader = DataLoader(WHOLE, 4, sampler=sampler)
    one, other = as_dataset(loader).train, as_dataset(loader).train
    assert torch.equal(one.x, other.x)
    assert len(one) == len(sampler)
    assert {tuple(row) for row in one.x.tolist()} <= {tuple(row) for row in X.tolist()}


def test_rows_of_a_derived_class_are_read():
    assert torch.equal(as_dataset(Shifted(X, Y)).train.x, X + 1)
    assert torch.equal(as_dataset(Subset(Shifted(X, Y), [3, 1])).train.x, X[[3, 1]] + 1)
    assert tensors_in_memory(Subset(Shifted(X, Y), [3, 1])) is None
    assert tensors_in_memory(ConcatDataset([WHOLE, Own()])) is None
    nested = ConcatDataset([Subset(Subset(WHOLE, [5, 2, 7]), [2, 0]), WHOLE])
    x, y = tensors_in_memory(nested)
    assert torch.equal(x, torch.cat([X[[7, 5]], X]))
    assert torch.equal(y, torch.cat([Y[[7, 5]], Y]))


def test_weights_and_several_inputs_of_a_loader():
    rows = [
        {"a": x, "b": x[:1], "target": int(y), "sample_weight": k / 2}
        for k, (x, y) in enumerate(zip(X, Y, strict=True))
    ]
    train = as_dataset(DataLoader(rows, 4)).train
    assert torch.equal(train.x["a"], X)
    assert torch.equal(train.x["b"], X[:, :1])
    assert torch.equal(train.sample_weight, torch.arange(11.0, dtype=torch.float64) / 2)


def test_batches_of_unequal_shapes_are_refused():
    ragged = [(X[:4], Y[:4]), (X[:4, :2], Y[:4])]
    with pytest.raises(DataError, match=r"`data`.*equal shapes.*DataLoader"):
        as_dataset(DataLoader(ragged, batch_size=None))
    with pytest.raises(DataError, match=r"`data`.*one sample.*DataLoader"):
        as_dataset(DataLoader([], batch_size=None))
