"""Networks of every kind with their inputs, and every bridge."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import linear
from torch.nn.utils.parametrizations import weight_norm

from hybridopt.bridges import Bridge, Generator, Memory, Mesh, RandomSubspace, Twin, WalshSubspace


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.LSTM(2, 2, batch_first=True, bidirectional=True)
        self.head = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x)[0][:, -1])


class Tied(nn.Module):
    """Network with one weight for embedding and output layer."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(5, 3)
        self.head = nn.Linear(3, 5)
        self.head.weight = self.words.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.words(x).tanh())


class Twice(nn.Module):
    """Network that calls one layer twice under two names."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 3)
        self.second = self.first

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x).tanh())


class Scalar(nn.Module):
    """Network with a scalar, a vector and an empty parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(1.5))
        self.direction = nn.Parameter(torch.randn(3))
        self.nothing = nn.Parameter(torch.empty(0))

    def forward(self, x: Tensor) -> Tensor:
        return self.gain * (x @ self.direction)


class Gated(nn.Module):
    """Network with keywords, weights in containers, and a dictionary as output."""

    def __init__(self) -> None:
        super().__init__()
        self.rows = nn.ParameterList([torch.randn(2, 3), torch.randn(3, 2)])
        self.biases = nn.ParameterDict({"inner": torch.randn(2), "outer": torch.randn(3)})

    def forward(self, x: Tensor, *, gate: float, skip: bool = False) -> dict[str, Tensor]:
        inner = linear(x, self.rows[0], self.biases["inner"]).tanh() * gate
        outer = linear(inner, self.rows[1], self.biases["outer"])
        return {"outer": outer + x if skip else outer}


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.TransformerEncoderLayer(4, 2, 5, dropout=0.0, batch_first=True)
        self.head = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x).mean(1))


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2))


def convolution() -> nn.Module:
    layers = [nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(8, 3))


def frozen() -> nn.Module:
    network = mlp()
    network[0].weight.requires_grad_(False)
    network[2].bias.requires_grad_(False)
    network.register_buffer("constant", torch.randn(2))
    return network


def normalised() -> nn.Module:
    return nn.Sequential(weight_norm(nn.Linear(3, 4)), nn.Tanh(), nn.Linear(4, 2))


def partly_evaluating() -> nn.Module:
    network = convolution()
    network[1].eval()
    return network


@dataclass
class Case:
    """Network and its inputs."""

    network: nn.Module
    x: Tensor
    kwargs: dict[str, Any] = field(default_factory=dict)

    @property
    def dtype(self) -> torch.dtype:
        return next(self.network.parameters()).dtype

    @property
    def precision(self) -> float:
        """Tolerance of outputs: 100 roundings of numbers of order 10."""
        return 1000 * torch.finfo(self.dtype).eps

    def outputs(self, network: nn.Module) -> Tensor:
        result = network(self.x, **self.kwargs)
        return result["outer"] if isinstance(result, dict) else result

    def loss(self, network: nn.Module) -> Tensor:
        return (self.outputs(network) - 0.5).square().mean()


@dataclass(frozen=True)
class Recipe:
    """Function that makes the same case in each call."""

    make: Callable[[], nn.Module]
    inputs: Callable[[], Tensor]
    dtype: torch.dtype = torch.float32
    training: bool = True
    kwargs: dict[str, Any] = field(default_factory=dict)
    no_mesh: str = ""  # pattern of the error of the mesh bridge; empty if there is none

    def __call__(self) -> Case:
        with torch.random.fork_rng():
            torch.manual_seed(7)
            network, x = self.make().to(self.dtype), self.inputs()
        x = x.to(self.dtype) if x.is_floating_point() else x
        return Case(network if self.training else network.eval(), x, self.kwargs)


def vectors() -> Tensor:
    return torch.randn(4, 3)


def images() -> Tensor:
    return torch.randn(4, 1, 4, 4)


def words() -> Tensor:
    return torch.tensor([[0, 4, 2], [1, 1, 3]])


def sequences() -> Tensor:
    return torch.randn(4, 3, 2)


def tokens() -> Tensor:
    return torch.randn(2, 3, 4)


NO_LAYER = "`network` must have a trainable Linear"
NO_ATTENTION = r"`body.self_attn` .*MultiheadAttention"
RECIPES = {
    "linear": Recipe(lambda: nn.Linear(3, 2), vectors),
    "mlp": Recipe(mlp, vectors),
    "mlp-double": Recipe(mlp, vectors, torch.float64),
    "mlp-eval": Recipe(mlp, vectors, training=False),
    "convolution": Recipe(convolution, images),
    "convolution-eval": Recipe(convolution, images, training=False),
    "convolution-partly-eval": Recipe(partly_evaluating, images),
    "embedding": Recipe(lambda: nn.Embedding(5, 3), words, no_mesh=NO_LAYER),
    "lstm": Recipe(
        Recurrent,
        sequences,
        no_mesh=r"`body` .*LSTM.*keep_classical=\['body'\]",
    ),
    "attention": Recipe(Attention, tokens, no_mesh=NO_ATTENTION),
    "attention-eval": Recipe(Attention, tokens, training=False, no_mesh=NO_ATTENTION),
    "tied": Recipe(Tied, words, no_mesh="`head` .*`words`"),
    "twice": Recipe(Twice, vectors),
    "frozen": Recipe(frozen, vectors),
    "weight-norm": Recipe(
        normalised,
        vectors,
        no_mesh="`0` .*ParametrizedLinear",
    ),
    "scalar": Recipe(Scalar, vectors, no_mesh=NO_LAYER),
    "keywords": Recipe(Gated, vectors, kwargs={"gate": 0.5, "skip": True}, no_mesh=NO_LAYER),
}
NETWORKS = [pytest.param(recipe, id=name) for name, recipe in RECIPES.items()]
BRIDGES = [
    pytest.param(Memory(), id="memory"),
    pytest.param(Memory(form="full"), id="full"),
    pytest.param(Memory(synthesis="gates"), id="gates"),
    pytest.param(Memory(num_angles=4), id="sparse-memory"),
    pytest.param(Twin(), id="twin"),
    pytest.param(RandomSubspace(num_parameters=4), id="random-subspace"),
    pytest.param(WalshSubspace(num_parameters=4), id="walsh-subspace"),
    pytest.param(Generator(num_angles=7), id="generator"),
    pytest.param(Generator(depth=2, frozen=True, mapping="tanh", width=3), id="generator-frozen"),
    pytest.param(Twin(of=Generator(num_angles=7)), id="generator-twin"),
    pytest.param(Mesh(readout="process"), id="mesh"),
    pytest.param(Twin(of=Mesh(readout="process")), id="mesh-twin"),
]


def original(bridge: Bridge) -> Bridge:
    """Return the bridge of a twin, or the bridge itself."""
    return bridge.of if isinstance(bridge, Twin) else bridge


def pairs(*, carried: bool = True, only: Collection[str] = RECIPES) -> list[Any]:
    """Return the pairs of network and bridge that can be converted, or those that cannot."""
    return [
        pytest.param(recipe, bridge.values[0], id=f"{name}-{bridge.id}")
        for name, recipe in RECIPES.items()
        for bridge in BRIDGES
        if name in only
        and carried != (recipe.no_mesh != "" and isinstance(original(bridge.values[0]), Mesh))
    ]


def snapshot(network: nn.Module) -> dict[str, Any]:
    """Return everything in a network that could change by accident."""
    return {
        "state": {name: bits(tensor) for name, tensor in network.state_dict().items()},
        "dtypes": {name: tensor.dtype for name, tensor in network.state_dict().items()},
        "trainable": {name: p.requires_grad for name, p in network.named_parameters()},
        "gradients": {name: p.grad is None for name, p in network.named_parameters()},
        "modes": [(name, module.training) for name, module in network.named_modules()],
        "classes": [type(module) for module in network.modules()],
        "ties": ties(network),
    }


def bits(tensor: Tensor) -> bytes:
    """Return the bytes of a tensor, which distinguish -0.0 from 0.0."""
    return bytes(tensor.detach().clone().contiguous().reshape(-1).view(torch.uint8).tolist())


def ties(network: nn.Module) -> list[tuple[str, ...]]:
    """Return the groups of names that share one parameter."""
    names: dict[int, list[str]] = {}
    for name, parameter in network.named_parameters(remove_duplicate=False):
        names.setdefault(id(parameter), []).append(name)
    return [tuple(group) for group in names.values()]
