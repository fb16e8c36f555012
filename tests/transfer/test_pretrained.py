"""Loading of pretrained weights; errors name all keys that do not fit."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

import hybridopt as ho
from hybridopt.errors import ArgumentError, ArgumentTypeError, CheckpointError, ConversionError
from hybridopt.transfer import load_weights


def network(outputs: int = 3, seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv1d(1, 2, 3), nn.BatchNorm1d(2), nn.ReLU(), nn.Flatten(), nn.Linear(8, outputs)
    )


def trained(outputs: int = 3) -> nn.Sequential:
    """Return a network with changed statistics."""
    pretrained = network(outputs, seed=1)
    pretrained(torch.randn(5, 1, 6))
    return pretrained


def equal(one: nn.Module, other: nn.Module) -> bool:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("way", ["mapping", "path", "text"])
def test_loads_all_keys(way, tmp_path):
    path = tmp_path / "weights.pt"
    torch.save(trained().state_dict(), path)
    given = {"mapping": trained().state_dict(), "path": path, "text": str(path)}[way]
    target = network()
    report = load_weights(target, given)
    assert report.fits
    assert equal(target, trained())
    assert set(report.loaded) == set(target.state_dict())


def test_casts_to_the_dtype_of_the_network():
    target = network().double()
    load_weights(target, trained().half().state_dict())
    assert target[0].weight.dtype == torch.float64
    torch.testing.assert_close(target[0].weight, trained()[0].weight.half().double())


def test_weights_of_eight_bits_are_loaded():
    given = {"weight": torch.ones(2, 3).to(torch.float8_e4m3fn), "bias": torch.ones(2)}
    target = nn.Linear(3, 2)
    load_weights(target, given)
    assert torch.equal(target.weight.detach(), torch.ones(2, 3))
    given["weight"] = torch.full((2, 3), torch.nan).to(torch.float8_e4m3fn)
    with pytest.raises(ArgumentError, match=r"`weight`.*NaN"):
        load_weights(target, given)


def test_every_key_that_does_not_fit_is_named():
    given = trained().state_dict()
    del given["1.running_mean"]
    given["1.bais"] = given.pop("1.bias")
    given["0.weight"] = torch.ones(2, 1, 4)
    target = network()
    before = copy.deepcopy(target)
    shapes = r"0.weight is \(2, 1, 4\), not \(2, 1, 3\)"
    keys = rf"missing: 1.bias, 1.running_mean.*unexpected: 1.bais.*{shapes}"
    with pytest.raises(ConversionError, match=keys):
        load_weights(target, given)
    assert equal(target, before)

    report = load_weights(target, given, strict=False)
    assert report.missing == ("1.bias", "1.running_mean")
    assert report.unexpected == ("1.bais",)
    assert report.wrong_shape == (("0.weight", (2, 1, 4), (2, 1, 3)),)
    assert torch.equal(target[4].weight, trained()[4].weight)
    assert torch.equal(target[0].weight, before[0].weight)


def test_replaced_layer_need_not_fit():
    report = load_weights(network(), trained(outputs=10).state_dict(), replaced="4")
    assert report.fits
    given = {k: v for k, v in trained().state_dict().items() if "num_batches" not in k}
    assert load_weights(network(), given).fits  # counts of batches may be missing as well
    given = {k: v for k, v in given.items() if not k.startswith("4")}
    assert load_weights(network(), {**given, "4.fc.weight": torch.ones(2)}, replaced="4").fits
    with pytest.raises(ConversionError, match=r"state_dict.*0 keys"):
        load_weights(network(), {"4.weight": torch.ones(9, 8), "a": torch.ones(2)}, replaced="4")


@pytest.mark.parametrize("wrapper", ["module.", "model.backbone."])
def test_prefixes_of_wrappers_are_named(wrapper):
    given = {wrapper + key: value for key, value in trained().state_dict().items()}
    with pytest.raises(ConversionError, match=rf"'{wrapper}'"):
        load_weights(network(), given)


def with_value(change):
    """Return a function that makes a state_dict with one changed tensor."""

    def make(_):
        given = trained().state_dict()
        given["0.weight"] = change(given["0.weight"])
        return given

    return make


def large(tensor):
    return tensor.double().index_fill(0, torch.tensor(1), -1e300)


def damaged(tmp_path):
    path = tmp_path / "damaged.pt"
    torch.save(trained().state_dict(), path)
    path.write_bytes(path.read_bytes()[:300])
    return path


def pickled(tmp_path):
    path = tmp_path / "pickled.pt"
    torch.save(trained(), path)
    return path


def nested(tmp_path):
    path = tmp_path / "lightning.ckpt"
    torch.save({"epoch": 3, "state_dict": trained().state_dict()}, path)
    return path


def with_nan(tmp_path):
    given = trained().state_dict()
    given["0.bias"][1] = torch.nan
    return given


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda folder: folder / "nowhere.pt", ArgumentError, "nowhere.pt"),
        (lambda folder: folder, ArgumentError, "file"),
        (damaged, CheckpointError, "damaged.pt"),
        (pickled, CheckpointError, "pickled.pt"),
        (nested, ArgumentTypeError, r"`state_dict`.*\['state_dict'\]"),
        (with_nan, ArgumentError, "`0.bias`.*NaN"),
        (with_value(lambda t: t.numpy()), ArgumentTypeError, "`0.weight`.*numpy"),
        (with_value(lambda t: t.to_sparse()), ArgumentTypeError, "`0.weight`.*sparse"),
        (
            with_value(lambda t: torch.quantize_per_tensor(t, 0.1, 0, torch.qint8)),
            ArgumentTypeError,
            "`0.weight`.*quantized",
        ),
        (with_value(lambda t: t.to("meta")), ArgumentError, "`0.weight`.*meta"),
        (with_value(lambda t: t + 1j), ArgumentError, "`0.weight`.*complex"),
        (with_value(large), ArgumentError, r"`0.weight`.*float32.*1e\+300"),
        (lambda _: [1, 2], ArgumentTypeError, "`state_dict`.* list"),
        (lambda _: {1: torch.ones(1)}, ArgumentTypeError, "`state_dict`.* int"),
        (lambda _: {}, ConversionError, "missing: 0.weight"),
        (lambda _: {"a": 3}, ConversionError, "missing: 0.weight"),
    ],
)
@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor:UserWarning")
def test_unusable_weights(make, error, message, tmp_path):
    target = network()
    before = copy.deepcopy(target)
    with pytest.raises(error, match=message):
        ho.transfer(target, state_dict=make(tmp_path))
    with pytest.raises(error, match=message):
        load_weights(target, make(tmp_path), strict=error is not ConversionError)
    assert equal(target, before)


def test_infinite_and_large_values_that_fit_are_loaded():
    infinite = with_value(lambda t: t.index_fill(0, torch.tensor(0), torch.inf))(None)
    target = network()
    load_weights(target, infinite)
    assert torch.equal(target[0].weight, infinite["0.weight"])
    load_weights(network().double(), with_value(large)(None))


def test_network_without_values():
    with pytest.raises(ConversionError, match=r"weight`.*meta"):
        load_weights(network().to("meta"), trained().state_dict())
