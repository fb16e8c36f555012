"""Pretrained bodies with new heads: the four combinations of Mari et al."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch import Tensor, nn

import hybridopt as ho
from hybridopt.errors import ArgumentError, ArgumentTypeError, ConversionError, UnknownNameError

GENERATOR = torch.Generator().manual_seed(11)
X = torch.randn(30, 5, generator=GENERATOR, dtype=torch.float64)
Y = torch.arange(30) % 3
QUANTUM_HEADS = ["dressed", "memory", "mesh"]


def network(outputs: int = 2) -> nn.Sequential:
    torch.manual_seed(6)
    layers = [nn.Linear(5, 6), nn.Tanh(), nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, outputs)]
    return nn.Sequential(*layers).double()


def classical_source() -> nn.Module:
    source = network()
    ho.fit(source, (X, Y % 2), epochs=2)
    return source


def bridged_source() -> nn.Module:
    """Return a network whose angles were trained."""
    source = ho.to_quantum(network(), "memory")
    ho.fit(source, (X, Y % 2), epochs=2)
    return source


def dressed_source() -> nn.Module:
    """Return a network that was trained with a circuit as its head."""
    source = ho.transfer(network(), num_outputs=2, head="dressed", freeze="none")
    ho.fit(source, (X, Y % 2), epochs=2)
    return source


def body_of(source: nn.Module) -> nn.Module:
    plain = ho.to_classical(source) if isinstance(source, ho.QuantumNetwork) else source
    return plain[:4]


@pytest.mark.parametrize("make", [classical_source, bridged_source, dressed_source])
@pytest.mark.parametrize("head", ["linear", *QUANTUM_HEADS])
def test_four_combinations(make, head, aer_calls):
    source = make()
    before = copy.deepcopy(source).state_dict()
    aer_calls.clear()
    target = ho.transfer(source, num_outputs=3, head=head)
    assert aer_calls == []
    assert type(target) is nn.Sequential
    torch.testing.assert_close(target[:4](X), body_of(source)(X), rtol=0, atol=0)

    history = ho.fit(target, (X, Y), epochs=2, batch_size=10)
    assert (history.cost.settings > 0) == bool(aer_calls) == (head in QUANTUM_HEADS)
    assert history.train_loss[1] < history.train_loss[0]
    torch.testing.assert_close(target[:4](X), body_of(source)(X), rtol=0, atol=0)

    for key, tensor in source.state_dict().items():
        assert torch.equal(tensor, before[key]), key
    classical = target if head == "linear" else ho.to_classical(target)
    expected = target.eval()(X)
    aer_calls.clear()
    torch.testing.assert_close(classical.eval()(X), expected, rtol=0, atol=1e-10)
    assert aer_calls == []


def test_newton_on_a_linear_head_solves_least_squares():
    targets = torch.randn(30, 3, generator=GENERATOR, dtype=torch.float64)
    target = ho.transfer(network(), num_outputs=3)
    ho.fit(target, (X, targets), optimizer="newton", epochs=1)
    features = torch.cat([network()[:4](X), torch.ones(30, 1, dtype=torch.float64)], dim=1).detach()
    best = torch.linalg.lstsq(features, targets).solution
    torch.testing.assert_close(target[4].weight.detach(), best[:4].T, rtol=0, atol=1e-8)
    torch.testing.assert_close(target[4].bias.detach(), best[4], rtol=0, atol=1e-8)


@pytest.mark.parametrize("head", ["linear", *QUANTUM_HEADS])
def test_copy_pickle_and_state_dict(head):
    target = ho.transfer(network(), num_outputs=3, head=head)
    expected = target(X)
    for other in (copy.deepcopy(target), pickle.loads(pickle.dumps(target))):
        torch.testing.assert_close(other(X), expected, rtol=0, atol=0)
    other = ho.transfer(network(), num_outputs=3, head=head, seed=1)
    other.load_state_dict(target.state_dict())
    torch.testing.assert_close(other(X), expected, rtol=0, atol=0)


def test_whole_network_can_become_quantum():
    target = ho.transfer(network(), num_outputs=3, freeze="none")
    quantum = ho.to_quantum(target)
    torch.testing.assert_close(quantum(X), target(X), rtol=0, atol=1e-12)
    again = ho.transfer(quantum, num_outputs=5)
    assert again(X).shape == (30, 5)


def test_mode_and_number_of_outputs():
    assert ho.transfer(network().train())[4].training
    evaluating = ho.transfer(network(outputs=7).eval(), head="memory")
    assert not any(module.training for module in evaluating.modules())
    assert evaluating(X).shape == (30, 7)


@pytest.mark.parametrize(
    ("freeze", "trained"),
    [
        ("body", ["4.weight", "4.bias"]),
        ("none", ["0.weight", "0.bias", "2.weight", "2.bias", "4.weight", "4.bias"]),
        ([], ["0.weight", "0.bias", "2.weight", "2.bias", "4.weight", "4.bias"]),
        (["0", "2.bias"], ["2.weight", "4.weight", "4.bias"]),
        (("2",), ["0.weight", "0.bias", "4.weight", "4.bias"]),
    ],
)
def test_freeze(freeze, trained):
    target = ho.transfer(network(), freeze=freeze)
    assert [name for name, p in target.named_parameters() if p.requires_grad] == trained
    # a second transfer replaces the choice of the first
    again = ho.transfer(ho.transfer(network(), freeze=["0", "2"]), freeze=freeze)
    assert [name for name, p in again.named_parameters() if p.requires_grad] == trained


def test_parameters_frozen_before_stay_frozen():
    source = network()
    source[2].weight.requires_grad_(False)
    target = ho.transfer(source, freeze="none")
    assert [n for n, p in target.named_parameters() if not p.requires_grad] == ["2.weight"]


def test_tied_weights_are_separated():
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words, self.head = nn.Embedding(9, 3), nn.Linear(3, 9)
            self.head.weight = self.words.weight

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.words(x).mean(1))

    source = Tied()
    target = ho.transfer(source, num_outputs=2)
    assert target(torch.tensor([[0, 8], [3, 4]])).shape == (2, 2)
    assert not target.words.weight.requires_grad
    assert torch.equal(target.words.weight, source.words.weight)


def test_network_of_one_layer_becomes_the_head():
    target = ho.transfer(nn.Linear(5, 2), num_outputs=3, head="dressed")
    assert isinstance(target, ho.DressedCircuit)
    assert all(parameter.requires_grad for parameter in target.parameters())


def test_circuit_in_the_body_is_kept(aer_calls):
    circuit = ho.DressedCircuit(5, 4, 2, 1)
    target = ho.transfer(nn.Sequential(circuit, nn.Tanh(), nn.Linear(4, 2)), num_outputs=3)
    assert isinstance(target[0], ho.DressedCircuit)
    history = ho.fit(target, (X.float(), Y), epochs=1, batch_size=10)
    assert history.cost.settings == 30 + 30  # forward and evaluation; frozen: no gradient


def test_state_dict_is_loaded_first(tmp_path):
    pretrained = classical_source()
    torch.save(pretrained.state_dict(), tmp_path / "weights.pt")
    torch.manual_seed(7)
    fresh = network(outputs=9)  # the replaced layer need not fit
    with torch.no_grad():
        fresh[0].weight.zero_()
    target = ho.transfer(fresh, num_outputs=3, state_dict=tmp_path / "weights.pt")
    torch.testing.assert_close(target[:4](X), pretrained[:4](X), rtol=0, atol=0)
    assert torch.equal(fresh[0].weight, torch.zeros_like(fresh[0].weight))


def test_state_dict_of_a_quantum_network():
    pretrained = bridged_source()
    target = ho.transfer(ho.to_quantum(network()), state_dict=pretrained.state_dict())
    torch.testing.assert_close(target[:4](X), body_of(pretrained)(X), rtol=0, atol=0)


@pytest.mark.wrong_types
def test_wrong_keys_are_errors_or_with_strict_false_warnings():
    given = network().state_dict()
    given["2.wieght"] = given.pop("2.weight")
    with pytest.raises(ConversionError, match=r"missing: 2\.weight; unexpected: 2\.wieght"):
        ho.transfer(network(), state_dict=given)
    with pytest.warns(UserWarning, match=r"missing: 2\.weight") as caught:
        ho.transfer(network(), state_dict=given, strict=False)
    assert caught[0].filename == __file__


class Uncopyable(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.out = nn.Linear(2, 2)
        self.computed = self.out.weight * 2

    def forward(self, x: Tensor) -> Tensor:
        return self.out(x)


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("given", "arguments", "error", "message"),
    [
        (nn.LazyLinear(3), {}, ConversionError, "`weight`"),
        (nn.Linear(3, 2, device="meta"), {}, ConversionError, "`weight`.*meta"),
        (Uncopyable(), {}, ConversionError, "Uncopyable"),
        (network(), {"freeze": "all"}, ArgumentError, r"`freeze`.*\['all'\]"),
        (network(), {"freeze": 3}, ArgumentTypeError, "`freeze`.* 3"),
        (network(), {"freeze": ["5"]}, UnknownNameError, "layer.*'5'.* 0, 1,"),
        (network(), {"freeze": ["4"]}, ArgumentError, "`freeze`.*`4`.*`4`"),
        (network(), {"freeze": ["4.bias"]}, ArgumentError, "`freeze`.*`4`.*`4.bias`"),
        (network(), {"freeze": [""]}, ArgumentError, "`freeze`.*`4`.*``"),
        (network(), {"head_layer": "5"}, UnknownNameError, "layer '5'"),
        (network(), {"head_layer": 4}, ArgumentTypeError, "`head_layer`.* int"),
        (network(), {"strict": 1}, ArgumentTypeError, "`strict`"),
    ],
)
def test_wrong_arguments(given, arguments, error, message, aer_calls):
    with pytest.raises(error, match=message):
        ho.transfer(given, **arguments)
    assert aer_calls == []


def test_function_hides_the_package():
    import importlib

    package = importlib.import_module("hybridopt.transfer")
    importlib.import_module("hybridopt.transfer.freezing")
    assert ho.transfer is package.transfer
    assert callable(ho.transfer)
