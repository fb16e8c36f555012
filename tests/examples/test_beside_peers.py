"""Tests of the comparison with peers: our cells, documented cells of peers, and the probes."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest
import torch
from torch import nn

DOCUMENTED = (
    *("values and weight gradient", "copy.deepcopy", "Hessian by parameter shift"),
    *("gradient reaches a layer before it, default rule", "metric tensor, for the natural"),
)
OURS_LACKS = {"metric tensor": "none found", "a measurement in the middle": "no (CircuitError)"}


@pytest.fixture
def layers(example) -> ModuleType:
    return sys.modules[example.ours.__module__]


def all_rows(example) -> list:
    return [*example.derivatives(), *example.shots(), *example.conversions()]


class Dense(nn.Module):
    """Dense reference as a layer, whose outputs a test can change."""

    def __init__(self, layers, *, bend=lambda outputs: outputs) -> None:
        super().__init__()
        self.weight = nn.Parameter(layers.WEIGHT.clone())
        self.layers, self.bend = layers, bend

    def forward(self, x):
        values = self.layers.dense(x.reshape(-1, 3).double(), self.weight)
        return self.bend(values.reshape(*x.shape[:-1], 2).to(x.dtype))


def test_our_column(example):
    for row in all_rows(example):
        lack = [text for start, text in OURS_LACKS.items() if row.capability.startswith(start)]
        assert example.tried(row.ours).startswith(lack[0] if lack else "yes")


def test_our_count_is_one_setting_per_sample_and_shift(example):
    probes = example.probes
    settings = 16 * (1 + 2 * 6)  # both observables share one basis
    assert probes.our_count().startswith(f"{settings} settings, {settings * probes.SHOTS} shots")


def test_matrices_agree_with_a_closed_form(example, layers):
    """Check the values at zero weights, where only RY and the ladders act.

    In the Heisenberg picture, a ladder maps Z1 to Z1 Z0 and Z2 to Z2 Z1 Z0. Two ladders map Z1 Z0
    to Z1 and then to Z1 Z0, and Z2 to Z2 Z1 Z0 and then to Z2 Z0.
    """
    x = example.probes.SAMPLES
    values = layers.dense(x, torch.zeros(6, dtype=torch.float64))
    cosines = x.cos()
    expected = torch.stack([cosines[:, 0] * cosines[:, 1], cosines[:, 0] * cosines[:, 2]], dim=1)
    torch.testing.assert_close(values, expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize(
    ("probe", "bend", "finding"),
    [
        ("agreement", lambda y: 1.01 * y, "off by 0.0"),
        ("layer_before", lambda y: 2 * y, "off by"),
        ("hessian", lambda y: y + 0.01 * y**2, "off by"),
        ("functional", lambda y: 0 * y, "all zero"),
        ("dtypes", lambda y: y.float(), "float32 from float64"),
        ("shot_noise", lambda y: y, "exact"),
        ("shot_noise", lambda y: y * (1 + torch.randn(()) / 10), "values that 1024 shots"),
    ],
)
def test_probes_find_errors(example, layers, probe, bend, finding):
    torch.manual_seed(0)
    with pytest.raises(example.probes.Missed, match=finding):
        getattr(example.probes, probe)(lambda: Dense(layers, bend=bend))


@pytest.mark.parametrize("probe", ["agreement", "layer_before", "hessian", "functional", "dtypes"])
def test_probes_accept_the_reference(example, layers, probe):
    assert getattr(example.probes, probe)(lambda: Dense(layers))


def test_the_probe_for_measurements_detects_a_missing_one(example, layers):
    with pytest.raises(example.probes.Missed, match="off by"):
        example.probes.agreement(lambda: Dense(layers), measured=True, batch=1, tolerance=5 / 64)


def test_noise_of_another_width_is_detected(example, layers):
    """Check gradients that are multiples of 1 / SHOTS, but with a larger deviation."""
    probes = example.probes

    class Wide(Dense):
        def forward(self, x):
            noise = (70 * torch.randn(6, dtype=torch.float64)).round() / probes.SHOTS
            return (noise * self.weight).sum().expand(1, 2)

    torch.manual_seed(0)
    with pytest.raises(probes.Missed, match="of the binomial deviation"):
        probes.shot_noise(lambda: Wide(layers))


def test_cells_contain_the_option_and_the_result_of_the_defaults(example):
    def fails():
        raise example.probes.Missed("nothing")

    def breaks():
        raise ZeroDivisionError

    assert example.tried({"": lambda: "1e-16"}) == "yes (1e-16)"
    assert example.tried({"": fails, "a=1": lambda: "2"}) == "yes with a=1 (2); default: nothing"
    assert example.tried({"": breaks}) == "no (ZeroDivisionError)"
    assert example.tried({"": fails, "a=1": breaks}) == (
        "no (default: nothing; with a=1: ZeroDivisionError)"
    )


def test_a_missing_peer_is_reported_with_its_installation(example, monkeypatch):
    monkeypatch.setattr(example, "qml", None)
    with pytest.raises(SystemExit, match=r'pip install "\.\[peers\]"'):
        example.main()


@pytest.mark.slow
def test_the_columns_of_the_peers(example, monkeypatch, capsys):
    """Check documented cells only; other cells can change with the versions."""
    if example.qml is None:
        pytest.skip("PennyLane is not installed")
    rows = [row for row in all_rows(example) if row.capability.startswith(DOCUMENTED)]
    assert len(rows) == len(DOCUMENTED)
    for part in ("derivatives", "shots", "conversions"):
        monkeypatch.setattr(example, part, list)
    monkeypatch.setattr(example, "derivatives", lambda: rows)
    example.main()
    lines = capsys.readouterr().out.splitlines()
    cells = {line.split(" | ")[0].strip("| "): line.strip("| ").split(" | ") for line in lines}
    assert len(lines) == 2 + len(rows)
    assert all(len(row) == 4 for name, row in cells.items() if not name.startswith("-"))
    for row in DOCUMENTED[:2]:
        (found,) = (row_cells for name, row_cells in cells.items() if name.startswith(row))
        assert all(cell.startswith("yes") for cell in found[1:])
    assert cells["Hessian by parameter shift"][2].startswith("yes with max_diff=2")
    before = cells["gradient reaches a layer before it, default rule"]
    assert before[2].startswith("yes (")
    assert before[3].startswith("yes with input_gradients=True")
    assert cells["metric tensor, for the natural gradient"][2].startswith("yes")
