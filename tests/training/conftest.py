"""Small problems for training."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

import hybridopt as ho
from hybridopt.data import Dataset, Part

TEACHER = torch.tensor([[1.0, -0.5, 0.2], [0.3, 0.8, -1.0], [-0.7, 0.1, 0.9]])
NetworkMaker = Callable[..., nn.Module]


def _part(num_samples: int, seed: int, *, regression: bool) -> Part:
    x = torch.randn(num_samples, 3, generator=torch.Generator().manual_seed(seed))
    scores = x @ TEACHER
    return Part(x, scores[:, :2].tanh() if regression else scores.argmax(1))


@pytest.fixture
def data() -> Dataset:
    """Three classes that one linear layer can tell apart; 22 training samples, 8 for testing."""
    train, test = _part(22, 1, regression=False), _part(8, 2, regression=False)
    return Dataset("tiny", "classification", train, test, num_classes=3)


@pytest.fixture
def regression() -> Dataset:
    """Two real targets; 22 training samples, 8 for testing."""
    return Dataset(
        "tiny", "regression", _part(22, 1, regression=True), _part(8, 2, regression=True)
    )


@pytest.fixture
def make_network() -> NetworkMaker:
    """Makes an MLP 3-4-k with weights of its own seed: 31 weights for three outputs."""

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
    """Makes that MLP a quantum network, or one of its controls."""

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
    """Asserts that two networks hold the same numbers, bitwise."""

    def check(one: nn.Module, other: nn.Module) -> None:
        first, second = one.state_dict(), other.state_dict()
        assert list(first) == list(second)
        for name, tensor in first.items():
            assert torch.equal(tensor, second[name]), name

    return check
