"""The last layer is found in the order in which layers run, or the doubt is put into words."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

import hybridopt as ho
from hybridopt.errors import ArgumentError, ConversionError, UnknownNameError
from hybridopt.transfer import freeze
from hybridopt.transfer.last_layer import find_last_layer


class Backwards(nn.Module):
    """Layers are registered in another order than they run."""

    def __init__(self) -> None:
        super().__init__()
        self.out = nn.Linear(4, 2)
        self.inner = nn.Linear(3, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.inner(x).relu())


class Deciding(nn.Module):
    """What runs depends on the values of the input, which no symbol has."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(3, 4)
        self.out = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.inner(x)
        return self.out(x if bool((x > 0).all()) else -x)


class DecidingNormalised(Deciding):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(2)


class DecidingBackwards(nn.Module):
    """The order of registration misleads."""

    def __init__(self) -> None:
        super().__init__()
        self.out = nn.Linear(4, 2)
        self.inner = nn.Linear(3, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.inner(x)
        return self.out(x if bool((x > 0).all()) else -x)


class Functional(nn.Module):
    """The weights of its last layer stand in no layer."""

    def __init__(self, *, deciding: bool = False) -> None:
        super().__init__()
        self.deciding = deciding
        self.body = nn.Linear(3, 4)
        self.weight = nn.Parameter(torch.ones(2, 4))

    def forward(self, x: Tensor) -> Tensor:
        x = self.body(x).tanh()
        if self.deciding and bool((x > 0).all()):
            x = -x
        return nn.functional.linear(x, self.weight)


class Scaled(nn.Module):
    """What stands behind the last layer goes with any width, or with one."""

    def __init__(self, *widths: int, buffer: bool = False) -> None:
        super().__init__()
        self.out = nn.Linear(3, 2)
        if buffer:
            self.register_buffer("scale", torch.ones(widths))
        else:
            self.scale = nn.Parameter(torch.ones(widths))

    def forward(self, x: Tensor) -> Tensor:
        return self.out(x) * self.scale


class Reshaping(nn.Module):
    def __init__(self, *sizes: int) -> None:
        super().__init__()
        self.out, self.sizes = nn.Linear(3, 2), sizes

    def forward(self, x: Tensor) -> Tensor:
        return self.out(x).reshape(self.sizes)


class TwoHeads(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner, self.digit, self.place = nn.Linear(3, 4), nn.Linear(4, 2), nn.Linear(4, 1)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        x = self.inner(x)
        return {"digit": self.digit(x), "place": self.place(x)}


class Skipping(nn.Module):
    """A sum of two layers: neither can be replaced alone."""

    def __init__(self) -> None:
        super().__init__()
        self.short, self.long, self.longer = nn.Linear(3, 2), nn.Linear(3, 4), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.short(x) + self.longer(self.long(x).tanh())


class Recurring(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.step = nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.step(self.step(x).tanh())


class TwoNames(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 3)
        self.second = self.first

    def forward(self, x: Tensor) -> Tensor:
        return self.second(x)


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.LSTM(2, 3, batch_first=True)
        self.head = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x)[0][:, -1])


class Counting(nn.Module):
    """A forward pass that changes its module."""

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
    """No layer of torch, but it says what it maps."""

    def __init__(self) -> None:
        super().__init__()
        self.in_features, self.out_features = 4, 2
        self.matrix = nn.Parameter(torch.ones(4, 2))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.matrix


class Wide(nn.Module):
    """A whole network that says what it maps; its last layer is meant all the same."""

    def __init__(self) -> None:
        super().__init__()
        self.in_features, self.out_features = 3, 2
        self.inner, self.out = nn.Linear(3, 4), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.inner(x))


def attention() -> nn.Module:
    return nn.Sequential(nn.TransformerEncoderLayer(4, 2, 5, batch_first=True), nn.Linear(4, 3))


def nested() -> nn.Module:
    features = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten())
    classifier = nn.Sequential(nn.Dropout(), nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 4))
    return nn.ModuleDict({"features": features, "classifier": classifier})


class Named(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.parts = nested()

    def forward(self, x: Tensor) -> Tensor:
        return self.parts["classifier"](self.parts["features"](x))


@pytest.mark.parametrize(
    ("network", "name", "widths"),
    [
        (nn.Linear(5, 3), "", (5, 3)),
        (nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2), nn.Softmax(1)), "2", (4, 2)),
        (Backwards(), "out", (4, 2)),
        (Recurrent(), "head", (3, 2)),
        (attention(), "1", (4, 3)),
        (Named(), "parts.classifier.3", (6, 4)),
        (nn.Sequential(nn.Linear(3, 4), OwnLinear()), "1", (4, 2)),
        (Wide(), "out", (4, 2)),
        (nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 5, 1)), "2", (8, 5)),
        (nn.Sequential(nn.Linear(3, 4), spectral_norm(nn.Linear(4, 2))), "1", (4, 2)),
        (nn.Sequential(nn.Linear(3, 4), ho.DressedCircuit(4, 2, 3, 1)), "1", (4, 2)),
        (Counting(), "head", (3, 2)),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else None,
)
def test_finds_the_layer_that_gives_the_outputs(network, name, widths, aer_calls):
    found = find_last_layer(network)
    assert found.name == name
    assert (found.width("in"), found.width("out")) == widths
    assert aer_calls == []


def test_leaves_the_network_and_the_random_numbers_as_they_are():
    network = Counting()
    state = torch.get_rng_state()
    find_last_layer(network)
    assert (network.calls, float(network.seen)) == (0, 0.0)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (TwoHeads(), r"come from several layers: digit, place\. .*head_layer='digit'"),
        (Skipping(), r"come from several layers: longer, short"),
        (Recurring(), r"last layer `step` of Recurring runs several times"),
        (TwoNames(), r"has several names: first, second\. .*head_layer='second'"),
        (nn.LSTM(2, 3), r"LSTM ends with no layer that maps features"),
        (nn.Sequential(nn.Flatten(), nn.ReLU()), r"ends with no layer that maps"),
        (
            nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)),
            r"layer `1` \(BatchNorm1d\) comes behind",
        ),
        (Functional(), r"tensor `weight` comes behind .*`body`"),
        (Scaled(2), r"tensor `scale` comes behind .*`out`"),
        (DecidingNormalised(), r"layer `norm` \(LayerNorm\) comes behind .*`out`"),
        (nn.Sequential(nn.Linear(3, 4), nn.GRU(4, 2)), r"`1` \(GRU\) comes behind"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else None,
)
def test_puts_doubt_into_words(network, message):
    with pytest.raises(ConversionError, match=message):
        find_last_layer(network)


@pytest.mark.parametrize(
    ("network", "behind"),
    [
        (nn.Sequential(nn.Linear(3, 2), nn.LayerNorm(2, elementwise_affine=False)),
         r"layer `1` \(LayerNorm\)"),
        (nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2, affine=False)),
         r"layer `1` \(BatchNorm1d\)"),
        (nn.Sequential(nn.Linear(3, 2), nn.Unflatten(1, (1, 2))), r"layer `1` \(Unflatten\)"),
        (Scaled(2, buffer=True), r"tensor `scale`"),
        (Reshaping(-1, 2), r"call `reshape`"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else None,
)  # fmt: skip
def test_what_takes_one_width_alone_is_refused_for_another(network, behind):
    last = "0" if isinstance(network, nn.Sequential) else "out"
    assert find_last_layer(network, num_outputs=2).name == last
    assert ho.transfer(network)(torch.ones(5, 3)).numel() == 10
    with pytest.raises(ConversionError, match=rf"{behind} comes behind .*`{last}`"):
        ho.transfer(network, num_outputs=3)


@pytest.mark.parametrize(
    "network",
    [
        Scaled(),
        Scaled(1),
        Scaled(1, 1, buffer=True),
        Reshaping(-1, 1),
        nn.Sequential(
            nn.Linear(3, 2), nn.BatchNorm1d(2, affine=False, track_running_stats=False), nn.Tanh()
        ),
    ],
)
def test_what_takes_any_width_may_come_behind(network):
    assert ho.transfer(network, num_outputs=3)(torch.ones(5, 3)).numel() == 15


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("network", "name"),
    [(Deciding(), "out"), (DecidingBackwards(), "inner"), (Functional(deciding=True), "body")],
)
def test_a_guess_by_the_order_of_registration_is_said_to_be_one(network, name):
    message = rf"{type(network).__name__} depends on values .*`{name}` .*head_layer='{name}'"
    with pytest.warns(UserWarning, match=message) as caught:
        ho.transfer(network)
    assert caught[0].filename == __file__
    assert ho.transfer(network, head_layer=name) is not None


def test_a_guess_without_a_choice_and_one_behind():
    class Single(Deciding):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Identity()

    assert find_last_layer(Single()).name == "out"
    network = Single()
    network.shape = nn.Unflatten(1, (1, 2))
    assert find_last_layer(network).name == "out"
    with pytest.raises(ConversionError, match=r"layer `shape` \(Unflatten\) comes behind"):
        find_last_layer(network, num_outputs=3)


def test_wrappers_are_looked_through():
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
    assert [n for n, p in target.named_parameters() if p.requires_grad] == [
        "module.2.weight", "module.2.bias",
    ]  # fmt: skip
    assert target(torch.ones(5, 3)).shape == (5, 3)


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
def test_compiled_networks_are_refused():
    script = torch.jit.script(nn.Sequential(nn.Linear(3, 2)))
    for network, what in [
        (script, "The network RecursiveScriptModule"),
        (torch.jit.trace(nn.Linear(3, 2), torch.ones(1, 3)), "The network "),
        (nn.Sequential(script, nn.Linear(2, 2)), "Layer `0`"),
    ]:
        for use in (ho.transfer, lambda n: freeze(n, [""])):
            with pytest.raises(ConversionError, match=rf"{what}.* compiled by torch\.jit"):
                use(network)


def test_a_name_settles_it():
    assert find_last_layer(TwoHeads(), "place").width("out") == 1
    assert find_last_layer(TwoNames(), "second").name == "second"
    assert find_last_layer(Named(), "parts.classifier").width("in") == 8  # what comes into the part
    normalised = nn.Sequential(nn.Linear(3, 4), nn.Sequential(nn.Linear(4, 2), nn.BatchNorm1d(2)))
    assert find_last_layer(normalised, "1").width("in") == 4


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("parts.clasifier", UnknownNameError, "Did you mean 'parts.classifier'"),
        ("tail", UnknownNameError, "Unknown layer 'tail'. Known: parts, "),
        ("parts.features.1", ArgumentError, r"`parts.features.1` is a ReLU without a Linear"),
        ("parts.features", ArgumentError, r"begins with the convolution `0`.*'parts.features.0'"),
    ],
)
def test_refuses_names_that_settle_nothing(name, error, message):
    with pytest.raises(error, match=message):
        find_last_layer(Named(), name)
