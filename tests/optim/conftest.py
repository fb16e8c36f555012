"""Networks of every kind, each with a batch and a loss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, linear, mse_loss


@dataclass
class Case:
    """Network with a batch and a loss."""

    network: nn.Module
    x: Tensor
    y: Tensor
    loss: Callable[[Tensor, Tensor], Tensor] = cross_entropy

    def convert(self, dtype: torch.dtype) -> None:
        self.network.to(dtype)
        self.x, self.y = (t.to(dtype) if t.is_floating_point() else t for t in (self.x, self.y))

    def closure(self) -> Tensor:
        return self.loss(self.network(self.x), self.y)

    def closure_with_outputs(self) -> tuple[Tensor, Tensor]:
        outputs = self.network(self.x)
        return self.loss(outputs, self.y), outputs


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.LSTM(3, 3, batch_first=True)
        self.head = nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x)[0][:, -1])


class Attention(nn.Module):
    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__()
        self.body = nn.TransformerEncoderLayer(4, 2, 5, dropout=dropout, batch_first=True)
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x).mean(1))


class Words(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Embedding(6, 4)
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x).mean(1).tanh())


class Tied(nn.Module):
    """Autoencoder with tied weights."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Linear(4, 3)
        self.bias = nn.Parameter(torch.zeros(4))

    def forward(self, x: Tensor) -> Tensor:
        return linear(self.encoder(x).tanh(), self.encoder.weight.T, self.bias)


def dense(width: int, *between: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Linear(4, width), *between, nn.Linear(width, 3))


def partly_frozen() -> nn.Module:
    network = dense(5, nn.Tanh())
    network[0].weight.requires_grad_(False)
    network.register_parameter("unused", nn.Parameter(torch.ones(2)))
    return network


def convolution() -> nn.Module:
    layers = [nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(8, 3))


def grouped() -> nn.Module:  # GroupNorm's second derivative has no batching rule
    layers = [nn.Conv1d(3, 4, 3, padding=1), nn.GroupNorm(2, 4), nn.GELU(), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(20, 3))


NETWORKS: dict[str, tuple[Callable[[], nn.Module], Callable[[], Tensor]]] = {
    "linear": (lambda: nn.Linear(4, 3), lambda: torch.randn(12, 4)),
    "tanh": (lambda: dense(5, nn.Tanh()), lambda: torch.randn(12, 4)),
    "relu": (lambda: dense(8, nn.ReLU()), lambda: torch.randn(12, 4)),
    "convolution": (convolution, lambda: torch.randn(12, 1, 6, 6)),
    "grouped": (grouped, lambda: torch.randn(12, 3, 5)),
    "embedding": (Words, lambda: torch.randint(0, 6, (12, 5))),
    "lstm": (Recurrent, lambda: torch.randn(12, 4, 3)),
    "attention": (Attention, lambda: torch.randn(12, 4, 4)),
    "attention-dropout": (lambda: Attention(dropout=0.2), lambda: torch.randn(12, 4, 4)),
    "dropout": (lambda: dense(8, nn.Tanh(), nn.Dropout(0.5)), lambda: torch.randn(12, 4)),
    "partly-frozen": (partly_frozen, lambda: torch.randn(12, 4)),
    "tied": (Tied, lambda: torch.randn(12, 4)),
}


def make_case(kind: str) -> Case:
    with torch.random.fork_rng():
        torch.manual_seed(5)
        make_network, make_x = NETWORKS[kind]
        x, network = make_x(), make_network()
        tied = kind == "tied"
        y = x if tied else torch.randint(0, 3, (12,))
        case = Case(network, x, y, mse_loss if tied else cross_entropy)
        case.convert(torch.float64)
        return case


@pytest.fixture(params=list(NETWORKS))
def case(request) -> Case:
    """A network of each kind in double precision."""
    return make_case(request.param)


@pytest.fixture
def tanh_case() -> Case:
    return make_case("tanh")


@pytest.fixture
def dropout_case() -> Case:
    return make_case("dropout")
