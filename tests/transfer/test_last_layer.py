"""Search for the last layer in the order in which layers run; errors name all candidates."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

import hybridopt as ho
from hybridopt.errors import ArgumentError, ConversionError, UnknownNameError
from hybridopt.transfer import freeze
from hybridopt.transfer.last_layer import find_last_layer


class Network(nn.Module):
    """Parts in the order of registration, and a function as its forward pass."""

    def __init__(self, path, **parts) -> None:
        super().__init__()
        self.path = path
        for name, part in parts.items():
            if type(part) is Tensor:
                self.register_buffer(name, part)
            else:
                setattr(self, name, part)

    def forward(self, x: Tensor) -> Tensor:
        return self.path(self, x)


def inner_out(net: Network, x: Tensor) -> Tensor:
    return net.out(net.inner(x).relu())


def by_value(net: Network, x: Tensor) -> Tensor:
    """Branch on values, so that the forward pass cannot be traced."""
    x = net.inner(x)
    return net.out(x if bool((x > 0).all()) else -x)


def functional_by_value(net: Network, x: Tensor) -> Tensor:
    x = net.body(x)
    return nn.functional.linear(x if bool((x > 0).all()) else -x, net.weight)


def inner(**others) -> dict[str, nn.Module]:
    return {"inner": nn.Linear(3, 4), "out": nn.Linear(4, 2), **others}


def backwards() -> dict[str, nn.Module]:
    return {"out": nn.Linear(4, 2), "inner": nn.Linear(3, 4)}


def functional() -> dict[str, object]:
    return {"body": nn.Linear(3, 4), "weight": nn.Parameter(torch.ones(2, 4))}


def scaled(scale: Tensor) -> Network:
    return Network(lambda net, x: net.out(x) * net.scale, out=nn.Linear(3, 2), scale=scale)


def reshaped(*sizes: int) -> Network:
    return Network(lambda net, x: net.out(x).reshape(sizes), out=nn.Linear(3, 2))


TWO_HEADS = Network(
    lambda net, x: {"digit": net.digit(x := net.inner(x)), "place": net.place(x)},
    inner=nn.Linear(3, 4), digit=nn.Linear(4, 2), place=nn.Linear(4, 1),
)  # fmt: skip
SHARED = nn.Linear(3, 3)
TWO_NAMES = Network(lambda net, x: net.second(x), first=SHARED, second=SHARED)


class Counting(nn.Module):
    """Network that changes in its forward pass."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(3, 2)
        self.calls = 0
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        self.seen += 1
        return self.head(x + torch.rand(3))


class OwnLinear(nn.Module):
    """Layer that is not torch's and has ``in_features`` and ``out_features``."""

    def __init__(self) -> None:
        super().__init__()
        self.in_features, self.out_features = 4, 2
        self.matrix = nn.Parameter(torch.ones(4, 2))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.matrix


def wide() -> Network:
    """Return a whole network with ``in_features`` and ``out_features``."""
    network = Network(inner_out, **inner())
    network.in_features, network.out_features = 3, 2
    return network


def named() -> Network:
    features = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten())
    classifier = nn.Sequential(nn.Dropout(), nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 4))
    parts = nn.ModuleDict({"features": features, "classifier": classifier})
    return Network(lambda net, x: net.parts["classifier"](net.parts["features"](x)), parts=parts)


@pytest.mark.parametrize(
    ("network", "name", "widths"),
    [
        (nn.Linear(5, 3), "", (5, 3)),
        (nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2), nn.Softmax(1)), "2", (4, 2)),
        (Network(inner_out, **backwards()), "out", (4, 2)),
        (
            Network(
                lambda net, x: net.head(net.body(x)[0][:, -1]),
                body=nn.LSTM(2, 3, batch_first=True), head=nn.Linear(3, 2),
            ),
            "head",
            (3, 2),
        ),
        (
            nn.Sequential(nn.TransformerEncoderLayer(4, 2, 5, batch_first=True), nn.Linear(4, 3)),
            "1",
            (4, 3),
        ),
        (named(), "parts.classifier.3", (6, 4)),
        (nn.Sequential(nn.Linear(3, 4), OwnLinear()), "1", (4, 2)),
        (wide(), "out", (4, 2)),
        (nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 5, 1)), "2", (8, 5)),
        (nn.Sequential(nn.Linear(3, 4), spectral_norm(nn.Linear(4, 2))), "1", (4, 2)),
        (nn.Sequential(nn.Linear(3, 4), ho.DressedCircuit(4, 2, 3, 1)), "1", (4, 2)),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else None,
)  # fmt: skip
def test_finds_the_last_layer(network, name, widths, aer_calls):
    found = find_last_layer(network)
    assert found.name == name
    assert (found.width("in"), found.width("out")) == widths
    assert aer_calls == []


def test_search_changes_nothing():
    network = Counting()
    state = torch.get_rng_state()
    assert find_last_layer(network).name == "head"
    assert (network.calls, float(network.seen)) == (0, 0.0)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (TWO_HEADS, r"digit, place\).*head_layer='digit'"),
        (
            Network(
                lambda net, x: net.short(x) + net.longer(net.long(x).tanh()),
                short=nn.Linear(3, 2), long=nn.Linear(3, 4), longer=nn.Linear(4, 2),
            ),
            "longer, short",
        ),
        (Network(lambda net, x: net.step(net.step(x)), step=nn.Linear(3, 3)), "`step`.*several"),
        (TWO_NAMES, r"first, second\).*head_layer='second'"),
        (nn.LSTM(2, 3), "LSTM"),
        (nn.Sequential(nn.Flatten(), nn.ReLU()), "Sequential"),
        (nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)), r"`1` \(BatchNorm1d\).*`0`"),
        (
            Network(lambda net, x: nn.functional.linear(net.body(x), net.weight), **functional()),
            "`weight`.*`body`",
        ),
        (scaled(nn.Parameter(torch.ones(2))), "`scale`.*`out`"),
        (Network(by_value, **inner(norm=nn.LayerNorm(2))), r"`norm` \(LayerNorm\).*`out`"),
        (nn.Sequential(nn.Linear(3, 4), nn.GRU(4, 2)), r"`1` \(GRU\)"),
    ],
)  # fmt: skip
def test_ambiguous_networks(network, message):
    with pytest.raises(ConversionError, match=message):
        find_last_layer(network)


@pytest.mark.parametrize(
    ("network", "behind"),
    [
        (nn.Sequential(nn.Linear(3, 2), nn.LayerNorm(2, elementwise_affine=False)), "`1`"),
        (nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2, affine=False)), "`1`"),
        (nn.Sequential(nn.Linear(3, 2), nn.Unflatten(1, (1, 2))), "`1`"),
        (scaled(torch.ones(2)), "`scale`"),
        (reshaped(-1, 2), "`reshape`"),
    ],
    ids=["layer-norm", "batch-norm", "unflatten", "buffer", "reshape"],
)
def test_layers_of_one_width_behind_the_last_layer(network, behind):
    last = "0" if isinstance(network, nn.Sequential) else "out"
    assert find_last_layer(network, num_outputs=2).name == last
    assert ho.transfer(network)(torch.ones(5, 3)).numel() == 10
    with pytest.raises(ConversionError, match=rf"{behind}.*`{last}`"):
        ho.transfer(network, num_outputs=3)


@pytest.mark.parametrize(
    "network",
    [
        scaled(nn.Parameter(torch.ones(()))),
        scaled(nn.Parameter(torch.ones(1))),
        scaled(torch.ones(1, 1)),
        reshaped(-1, 1),
        nn.Sequential(
            nn.Linear(3, 2), nn.BatchNorm1d(2, affine=False, track_running_stats=False), nn.Tanh()
        ),
    ],
)
def test_layers_of_any_width_behind_the_last_layer(network):
    assert ho.transfer(network, num_outputs=3)(torch.ones(5, 3)).numel() == 15


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("path", "parts", "name"),
    [
        (by_value, inner(), "out"),
        (by_value, backwards(), "inner"),
        (functional_by_value, functional(), "body"),
    ],
)
def test_warning_for_a_guess_by_the_order_of_registration(path, parts, name):
    network = Network(path, **parts)
    with pytest.warns(UserWarning, match=rf"Network.*`{name}`.*head_layer='{name}'") as caught:
        ho.transfer(network)
    assert caught[0].filename == __file__
    assert ho.transfer(network, head_layer=name) is not None


def test_untraceable_network_with_one_candidate():
    network = Network(by_value, inner=nn.Identity(), out=nn.Linear(4, 2))
    assert not find_last_layer(network).guessed
    network.shape = nn.Unflatten(1, (1, 2))
    assert find_last_layer(network).name == "out"
    with pytest.raises(ConversionError, match=r"`shape`.*`out`"):
        find_last_layer(network, num_outputs=3)


def test_parallel_wrappers():
    inner = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    for network, name in [
        (nn.DataParallel(inner), "module.2"),
        (nn.Sequential(nn.DataParallel(inner), nn.Softmax(1)), "0.module.2"),
        (nn.DataParallel(nn.DataParallel(nn.Linear(3, 2))), "module.module"),
    ]:
        network.get_submodule(name.partition("module")[0].rstrip(".")).device_ids = [0]
        found = find_last_layer(network)
        assert (found.name, found.guessed) == (name, False)
    target = ho.transfer(nn.DataParallel(inner), num_outputs=3)
    trained = [name for name, p in target.named_parameters() if p.requires_grad]
    assert trained == ["module.2.weight", "module.2.bias"]
    assert target(torch.ones(5, 3)).shape == (5, 3)


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
def test_compiled_networks():
    script = torch.jit.script(nn.Sequential(nn.Linear(3, 2)))
    for network, what in [
        (script, "RecursiveScriptModule"),
        (torch.jit.trace(nn.Linear(3, 2), torch.ones(1, 3)), "TracedModule"),
        (nn.Sequential(script, nn.Linear(2, 2)), "`0`"),
    ]:
        for use in (ho.transfer, lambda n: freeze(n, [""])):
            with pytest.raises(ConversionError, match=rf"`network`.*TorchScript.*{what}"):
                use(network)


def test_layer_by_name():
    assert find_last_layer(TWO_HEADS, "place").width("out") == 1
    assert find_last_layer(TWO_NAMES, "second").name == "second"
    assert find_last_layer(named(), "parts.classifier").width("in") == 8  # inputs of the part
    normalised = nn.Sequential(nn.Linear(3, 4), nn.Sequential(nn.Linear(4, 2), nn.BatchNorm1d(2)))
    assert find_last_layer(normalised, "1").width("in") == 4


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("parts.clasifier", UnknownNameError, "'parts.classifier'"),
        ("tail", UnknownNameError, "'tail'.* parts, "),
        ("parts.features.1", ArgumentError, "`parts.features.1`.*ReLU"),
        ("parts.features", ArgumentError, "`0`.*'parts.features.0'"),
    ],
)
def test_wrong_names(name, error, message):
    with pytest.raises(error, match=message):
        find_last_layer(named(), name)
