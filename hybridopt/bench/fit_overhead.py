"""What `fit` costs beside a hand-written torch loop."""

from __future__ import annotations

import copy

import torch
from torch import nn
from torch.nn import functional

from hybridopt._random import isolated
from hybridopt.bench.timing import Comparison, compare
from hybridopt.data import Dataset, load_dataset
from hybridopt.training import fit

BATCH_SIZE = 32
TARGET = 1.2  # fit may take so many times as long as the plain loop


def fit_overhead(*, repetitions: int = 7, epochs: int = 5) -> Comparison:
    """Time `fit(progress=False)` against a plain loop: digits, MLP 64-20-10, Adam, batch 32."""
    data = load_dataset("digits", seed=0)
    with isolated(0):
        network = nn.Sequential(nn.Linear(64, 20), nn.Tanh(), nn.Linear(20, 10))
    return compare(
        lambda: fit(copy.deepcopy(network), data, epochs=epochs, batch_size=BATCH_SIZE),
        lambda: plain_loop(copy.deepcopy(network), data, epochs=epochs),
        repetitions=repetitions,
    )


def plain_loop(network: nn.Module, data: Dataset, *, epochs: int) -> list[float]:
    """What a user writes by hand: shuffle, step, keep the loss, evaluate after each epoch."""
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    test = data.test
    assert test is not None
    losses = []
    for _ in range(epochs):
        network.train()
        total = 0.0
        for rows in torch.split(torch.randperm(len(data.train)), BATCH_SIZE):
            optimizer.zero_grad()
            loss = functional.cross_entropy(network(data.train.x[rows]), data.train.y[rows])
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            total += loss.item() * len(rows)
        network.eval()
        with torch.no_grad():
            functional.cross_entropy(network(test.x), test.y).item()
        losses.append(total / len(data.train))
    return losses
