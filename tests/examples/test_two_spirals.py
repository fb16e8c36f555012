"""Tests of the two spirals: sizes of networks, tuning and output files."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import hybridopt as ho


def trainable(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


def test_networks_have_the_expected_sizes(example):
    linear, mlp = (2 * 5 + 5) + (5 * 2 + 2), (2 * 32 + 32) + (32 * 32 + 32) + (32 * 2 + 2)
    between = [linear + 25, linear, linear + 3**5 * 5, linear + 5 * 5 + 5, linear + 25]
    assert [trainable(method.build()) for method in example.METHODS] == [*between, mlp]


def test_outputs_of_the_random_series_have_the_size_of_expectation_values(example):
    torch.manual_seed(0)
    outputs = example.random_series().layer(6 * torch.rand(2000, 5) - 3)
    # products of five factors with mean square 2, times a variance of 3^-5
    assert outputs.detach().square().mean().sqrt() == pytest.approx((2 / 3) ** 2.5, rel=0.3)


def test_the_defaults_match_the_paper(example):
    budget = example.Budget()
    data = example.spirals(budget, 0)
    assert len(data.train.x) == 2000
    assert budget.epochs * len(data.train.x) // example.BATCH_SIZE == 1000
    other = example.spirals(budget, 1)
    assert not torch.equal(data.test.x, other.test.x)
    assert budget.seeds < example.FIRST_TUNING_SEED


def test_the_rate_is_chosen_on_other_data(example, monkeypatch):
    seen = []

    def fake(method, budget, *, lr, seed):
        seen.append((lr, seed))
        row = example.Row("", seed, lr, 0, {0.01: 0.9, 0.03: 0.8}.get(lr, 0.6), *[0] * 5)
        return example.Run(row, nn.Identity(), None)

    monkeypatch.setattr(example, "train", fake)
    assert example.best_rate(example.METHODS[0], example.Budget()) == 0.01
    assert sorted(seen) == [(lr, seed) for lr in example.RATES for seed in (1000, 1001)]


@pytest.mark.slow
def test_a_quick_run_writes_table_rows_and_picture(example, quick_run):
    found, table = quick_run("--seeds", "1")
    rows = {row["method"]: row for row in found}
    first, *others = (method.name for method in example.METHODS)
    assert list(rows) == [first, example.CONVERTED, *others]
    circuit, torch_form = rows["dressed circuit"], rows[example.CONVERTED]
    assert circuit["accuracy"] == torch_form["accuracy"]
    assert int(torch_form["runs"]) == 0
    assert int(circuit["runs"]) > 0
    assert int(rows["classical 2-10-2"]["settings"]) == 0
    assert len(table.splitlines()) == 2 + len(rows)


def test_the_converted_circuit_has_equal_outputs(example):
    run = example.train(example.METHODS[0], example.QUICK, lr=0.03, seed=0)
    classical, x = ho.to_classical(run.network), run.data.test.x
    torch.testing.assert_close(classical(x), run.network(x), rtol=0, atol=1e-5)


def test_zero_seeds_are_refused(example, capsys):
    with pytest.raises(SystemExit):
        example.main(["--seeds", "0"])
    assert "--seeds must be at least 1" in capsys.readouterr().err
