"""Networks built from a short text or from a Python file."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import hybridopt as ho
from hybridopt.errors import ArgumentError
from hybridopt.nn.network_spec import build_network

FILE = """
import torch
from torch import nn

def network():
    return nn.Sequential(nn.Linear(4, 7), nn.ReLU(), nn.Linear(7, 3))

def no_network():
    return 3

def broken():
    raise ZeroDivisionError("in the user's file")
"""


@pytest.fixture(scope="module")
def iris() -> ho.Dataset:
    return ho.load_dataset("iris")


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(FILE)
    return path


@pytest.mark.parametrize(
    ("spec", "widths"),
    [("mlp:4-3", [4, 3]), ("mlp:4-8-3", [4, 8, 3]), ("mlp:4-8-5-3", [4, 8, 5, 3]),
     ("auto", [4, 20, 3])],
)  # fmt: skip
def test_mlp_has_these_widths_and_tanh_between(spec, widths, iris):
    network = build_network(spec, iris, seed=0)
    linear = [layer for layer in network if isinstance(layer, nn.Linear)]
    assert [linear[0].in_features, *(layer.out_features for layer in linear)] == widths
    assert [type(layer) for layer in network[1::2]] == [nn.Tanh] * (len(widths) - 2)


def test_auto_has_one_output_per_target():
    network = build_network("auto", ho.load_dataset("diabetes"), seed=0)
    assert (network[0].in_features, network[-1].out_features) == (10, 1)


@pytest.mark.parametrize("spec", ["mlp:4-8-3", "file"])
def test_weights_depend_on_the_seed_only(spec, iris, source):
    spec = f"{source}:network" if spec == "file" else spec
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    first, again, other = (build_network(spec, iris, seed=seed)[0].weight for seed in (0, 0, 1))
    assert torch.equal(torch.rand(1), expected)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_file_with_dataclasses(iris, tmp_path):
    (tmp_path / "mine.py").write_text(
        "from __future__ import annotations\n"
        "from dataclasses import dataclass\n"
        "from torch import nn\n"
        "@dataclass\n"
        "class Widths:\n"
        "    hidden: int = 5\n"
        "def network():\n"
        "    return nn.Sequential(nn.Linear(4, Widths().hidden), nn.Linear(5, 3))\n"
    )
    assert len(build_network(f"{tmp_path / 'mine.py'}:network", iris, seed=0)) == 2


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("", "''"),
        ("mlp", "'mlp'"),
        (":4-3", "':4-3'"),
        *((spec, f"'{spec}'") for spec in ("mlp:4", "mlp:", "mlp:4-0-3", "mlp:4--3", "mlp:4-a-3")),
        ("mlp:5-8-3", r"'mlp:5-8-3'.*'iris'.*`mlp:4-...-3`"),
        ("mlp:4-8-2", r"'mlp:4-8-2'.*'iris'.*`mlp:4-...-3`"),
        ("nowhere.py:network", "nowhere.py"),
        ("{source}:nothing", r"mine\.py has no function or class .nothing"),
        ("{source}:no_network", "mine.py:no_network.*int"),
        ("{source}:broken", "mine.py:broken.*ZeroDivisionError"),
        ("{folder}/text.txt:network", "text.txt"),
    ],
)
def test_unusable_network_is_refused(spec, message, iris, source):
    (source.parent / "text.txt").write_text("text")
    with pytest.raises(ArgumentError, match=message):
        build_network(spec.format(source=source, folder=source.parent), iris, seed=0)
