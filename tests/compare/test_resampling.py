from __future__ import annotations

import functools

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import prune

import hybridopt as ho
from hybridopt.compare.resampling import (
    check_network,
    draw_data,
    draw_network,
    split_rows,
    validation_split,
)  # fmt: skip
from hybridopt.errors import ArgumentError, ArgumentTypeError, DataError

from .conftest import quick

IRIS = ho.load_dataset("iris")
PRUNED = prune.identity(nn.Linear(4, 3), "weight")
OWN = nn.ParameterList([torch.ones(4, 3)])  # weights without `reset_parameters`


def rows_of(*parts):
    return sorted(map(tuple, torch.cat([part.x for part in parts]).double().numpy().round(5)))


def test_a_named_dataset_is_loaded_with_the_seed():
    drawn, loaded = draw_data("iris", 3, redraw=True), ho.load_dataset("iris", seed=3)
    assert torch.equal(drawn.train.x, loaded.train.x)
    assert torch.equal(drawn.test.y, loaded.test.y)
    kept = draw_data("iris", 3, redraw=False)
    assert torch.equal(kept.train.x, ho.load_dataset("iris", seed=0).train.x)


def test_a_dataset_is_pooled_and_split_in_its_sizes():
    data = ho.load_dataset("wine", seed=1, standardize=False)
    first, second = draw_data(data, 0, redraw=True), draw_data(data, 1, redraw=True)
    for drawn in (first, second):
        assert (len(drawn.train), len(drawn.test)) == (len(data.train), len(data.test))
        assert rows_of(drawn.train, drawn.test) == rows_of(data.train, data.test)
        shares = drawn.test.y.bincount() / len(drawn.test)
        pooled = torch.cat([data.train.y, data.test.y]).bincount() / 178
        assert (shares - pooled).abs().max() <= 1 / len(drawn.test)
    assert rows_of(first.test) != rows_of(second.test)
    again = draw_data(data, 0, redraw=True)
    assert torch.equal(first.train.x, again.train.x)
    assert draw_data(data, 5, redraw=False) is data


@pytest.mark.parametrize("name", ["wine", "diabetes"])
def test_features_are_standardized_on_the_new_training_part(name):
    data = ho.load_dataset(name, seed=1)
    drawn = draw_data(data, 7, redraw=True)
    moments = torch.stack([drawn.train.x.mean(0), drawn.train.x.std(0, correction=0)])
    expected = torch.tensor([[0.0], [1.0]]).expand(2, data.num_features)
    torch.testing.assert_close(moments, expected, rtol=0, atol=1e-5)  # float32, up to size 3
    raw = ho.load_dataset(name, seed=1, standardize=False)
    back = drawn.x_scaling.restore(torch.cat([drawn.train.x, drawn.test.x]))
    old = torch.cat([raw.train.x, raw.test.x]).double()
    np.testing.assert_allclose(
        np.sort(back.numpy(), 0), np.sort(old.numpy(), 0), rtol=1e-5, atol=1e-4
    )
    if name == "diabetes":
        torch.testing.assert_close(drawn.train.y.mean(), torch.tensor(0.0), rtol=0, atol=1e-5)


def test_sizes_of_test_and_validation_parts():
    x, y = torch.randn(50, 3), torch.randn(50, 2)
    drawn = draw_data(ho.data.as_dataset((x, y)), 0, redraw=False)
    assert (len(drawn.train), len(drawn.test)) == (40, 10)  # a fifth for testing
    data = ho.load_dataset("iris", seed=2)
    apart = validation_split(data, 0.25, 2)
    assert (len(apart.train), len(apart.test)) == (90, 30)
    assert rows_of(apart.train, apart.test) == rows_of(data.train)


def test_rare_classes_are_not_stratified():
    y = torch.tensor([0, 0, 0, 0, 1])  # one sample cannot be in both parts
    train, test = split_rows(y, 2, "classification", [0])
    assert sorted([*train, *test]) == [0, 1, 2, 3, 4]
    with pytest.raises(DataError, match="`data`"):
        split_rows(y, 5, "classification", [0])


def test_weights_are_drawn_in_a_copy():
    network = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.MultiheadAttention(5, 1))
    before = {key: value.clone() for key, value in network.state_dict().items()}
    state = torch.get_rng_state()
    one, again, other = (draw_network(network, IRIS, seed) for seed in (1, 1, 2))
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())
    assert torch.equal(one[0].weight, again[0].weight)
    assert torch.equal(one[2].in_proj_weight, again[2].in_proj_weight)
    for changed in (one[0].weight, one[2].in_proj_weight):
        assert not any(changed.equal(value) for value in before.values())
    assert not torch.equal(one[0].weight, other[0].weight)
    network[0].bias.requires_grad_(False)
    network[2].requires_grad_(False)
    frozen = draw_network(network, IRIS, 3)  # keeps frozen weights
    assert torch.equal(frozen[0].bias, network[0].bias)
    assert torch.equal(frozen[2].in_proj_weight, network[2].in_proj_weight)
    assert not torch.equal(frozen[0].weight, network[0].weight)


def test_functions_texts_and_circuit_layers():
    made = functools.partial(nn.Linear, 4, 3)
    first, second = draw_network(made, IRIS, 1), draw_network(made, IRIS, 1)
    assert torch.equal(first.weight, second.weight)
    assert draw_network("mlp:4-3", IRIS, 1)[0].weight.shape == (3, 4)
    layer = ho.CircuitLayer(*ho.load_circuit("hardware_efficient"))
    one, other = draw_network(layer, IRIS, 1), draw_network(layer, IRIS, 2)
    assert not torch.equal(one.weight, other.weight)
    assert one.weight.abs().max() <= torch.pi


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        (nn.Sequential(OWN), ArgumentError, "Layer `0` .*ParameterList.*`reset_parameters`"),
        (PRUNED, ArgumentError, "network .*Linear.*computed weight"),
        (OWN, ArgumentError, "network .*ParameterList.*`reset_parameters`"),
        (ho.to_quantum(nn.Linear(4, 3)), ArgumentError, "to_classical"),
        (lambda width: nn.Linear(width, 3), ArgumentError, "`network`.*TypeError.*width"),
        (lambda: 3, ArgumentTypeError, "`network`.*int"),
        (3, ArgumentTypeError, "`network`.*int"),
    ],
)
def test_invalid_networks(source, error, message):
    with pytest.raises(error, match=message):  # noqa: PT012  # one of the two checks raises
        check_network(source)
        draw_network(source, IRIS, 0)


def lazy():
    return nn.Sequential(nn.LazyLinear(5), nn.LazyBatchNorm1d(), nn.Tanh(), nn.LazyLinear(3))


def lazy_network():
    return nn.Sequential(nn.LazyLinear(5), nn.BatchNorm1d(5), nn.Tanh(), nn.LazyLinear(3))


# torch cannot copy a LazyBatchNorm that has no shape yet
@pytest.mark.usefixtures("no_page")
@pytest.mark.parametrize("source", [lazy, lazy_network()], ids=["function", "network"])
def test_lazy_layers_start_from_the_seed(source):
    first, second, other = (draw_network(source, IRIS, seed).state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert not torch.equal(first["0.weight"], other["0.weight"])
    assert first["1.num_batches_tracked"] == 0
    study = quick(network=source)
    for seed in range(2):
        assert len({run.curve[0].test_loss for run in study.runs if run.seed == seed}) == 1
    assert ho.recommend(source, "iris").method == "adam"


def test_lazy_layers_around_a_circuit_do_not_run_it(aer_calls):
    def network():
        circuit = ho.DressedCircuit(4, 3, num_qubits=3, depth=1).layer
        return nn.Sequential(nn.LazyLinear(3), circuit, nn.LazyLinear(3))

    assert draw_network(network, IRIS, 0)[2].weight.shape == (3, 3)
    assert aer_calls == []
