"""Small problems for training."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

import hybridopt as ho
from hybridopt.data import Dataset, Part

TEACHER = torch.tensor([[1.0, -0.5, 0.2], [0.3, 0.8, -1.0], [-0.7, 0.1, 0.9]])
NetworkMaker = Callable[..., nn.Module]


def _part(num_samples: int, seed: int, *, regression: bool) -> Part:
    x = torch.randn(num_samples, 3, generator=torch.Generator().manual_seed(seed))
    scores = x @ TEACHER
    return Part(x, scores[:, :2].tanh() if regression else scores.argmax(1))


def _dataset(task: str, num_classes: int | None) -> Dataset:
    train, test = (_part(n, seed, regression=not num_classes) for n, seed in ((22, 1), (8, 2)))
    return Dataset("tiny", task, train, test, num_classes=num_classes)


@pytest.fixture
def data() -> Dataset:
    """Three linearly separable classes; 22 training samples, 8 test samples."""
    return _dataset("classification", 3)


@pytest.fixture
def regression() -> Dataset:
    """Two real targets; 22 training samples, 8 test samples."""
    return _dataset("regression", None)


@pytest.fixture
def make_network() -> NetworkMaker:
    """Function that makes an MLP 3-4-k; 31 weights for three outputs."""

    def make(
        num_outputs: int = 3, *, dropout: float = 0.0, seed: int = 3, batch_norm: bool = False
    ) -> nn.Module:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            between = [nn.BatchNorm1d(4)] if batch_norm else []
            after = [nn.Dropout(dropout)] if dropout else []
            return nn.Sequential(
                nn.Linear(3, 4), *between, nn.Tanh(), *after, nn.Linear(4, num_outputs)
            )

    return make


@pytest.fixture
def make_quantum(make_network: NetworkMaker) -> Callable[..., ho.QuantumNetwork]:
    """Function that makes a quantum network, or one of its controls, from that MLP."""

    def make(
        bridge: str = "memory",
        *,
        shots: int | None = None,
        seed: int = 7,
        num_outputs: int = 3,
        dropout: float = 0.0,
        **options: object,
    ) -> ho.QuantumNetwork:
        network = make_network(num_outputs, dropout=dropout)
        executor = ho.AerExecutor(shots=shots, seed=seed)
        return ho.to_quantum(network, bridge, executor=executor, **options)

    return make


@pytest.fixture
def equal_states() -> Callable[[nn.Module, nn.Module], None]:
    """Assertion that two networks hold the same numbers, bitwise."""

    def check(one: nn.Module, other: nn.Module) -> None:
        first, second = one.state_dict(), other.state_dict()
        assert list(first) == list(second)
        for name, tensor in first.items():
            assert torch.equal(tensor, second[name]), name

    return check


@pytest.fixture
def train_by_hand() -> Callable[..., list[float]]:
    """Reference training loop; returns the mean loss of each epoch."""

    def train(
        network: nn.Module,
        x: Tensor,
        y: Tensor,
        optimizer: torch.optim.Optimizer,
        *,
        epochs: int = 10,
        batch_size: int | None = 8,
        seed: int = 0,
        max_steps: int = 10**6,
        after_step: Callable[[], object] = lambda: None,
        after_epoch: Callable[[], object] = lambda: None,
    ) -> list[float]:
        generator, losses, steps = torch.Generator().manual_seed(seed), [], 0
        for _ in range(epochs):
            order, total, seen = torch.arange(len(x)), 0.0, 0
            if batch_size is not None:
                order = torch.randperm(len(x), generator=generator)
            for rows in order.split(batch_size or len(x)):
                if steps == max_steps:
                    return [*losses, total / seen] if seen else losses
                optimizer.zero_grad()
                loss = cross_entropy(network(x[rows]), y[rows])
                loss.backward()
                optimizer.step()
                after_step()
                total, seen, steps = total + loss.item() * len(rows), seen + len(rows), steps + 1
            after_epoch()
            losses.append(total / seen)
        return losses

    return train
