"""The pictures and the page of a study."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from PIL import Image

from hybridopt.compare.plots import curves_figure, differences_figure
from hybridopt.errors import OutputError

from .conftest import METHODS, failed, made_up, run, runs

DETAILS = {
    "stages": {"a": [{"budget": "2 epochs"}]}, "samples": {"train": 1, "test": 1},
    "redraw_split": False, "versions": {}, "machine": "none",
}  # fmt: skip


def test_the_page_is_complete(study, tmp_path):
    page = study.to_html(tmp_path / "page.html").read_text("utf-8")
    sources = re.findall(r"""(?:src|href)\s*=\s*["']?([^"'\s>]+)""", page)
    assert len(sources) == 2 + 6  # a picture per panel: differences, curves
    assert all(source.startswith("data:image/svg+xml;base64,") for source in sources)
    assert not re.search(r"https?://|@import|url\(|\{\{|\{%", page)
    assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in page
    for name in METHODS:
        assert name.replace(">", "&gt;") in page
    for words in ("speed-up", "best test accuracy"):
        assert words in page
    assert "fewest shots" not in page


def test_equal_curves_are_both_seen_and_flat_losses_are_linear():
    _, grid = curves_figure(made_up([*runs("a", [0.5, 0.6]), *runs("b", [0.5, 0.6])]))
    first, second = grid[0, 0].get_lines()
    assert first.get_linewidth() > 2 * second.get_linewidth()  # the later one is above
    assert {axes.get_yscale() for axes in grid[1]} == {"linear"}  # losses .4 and .5
    steep = [replace(one, curve=(*one.curve, replace(one.curve[-1], train_loss=0.01)))
             for one in runs("a", [0.5, 0.6])]  # fmt: skip
    _, grid = curves_figure(made_up(steep))
    assert {axes.get_yscale() for axes in grid[1]} == {"log"}


def test_a_page_of_failures(tmp_path):
    study = made_up(failed("a", 0, 1), details=DETAILS)
    page = study.to_html(tmp_path / "page.html").read_text("utf-8")
    assert 'a, seed 1: <span class="soft">gone &lt;b&gt;' in page
    for absent in ("speed-up", "data:image"):  # no circuit and no picture
        assert absent not in page


def test_long_names_and_special_letters(tmp_path):
    name = r"\foo{$"
    study = made_up(
        [*runs(name, [0.8, 0.81]), run("b" * 90, 0, 0.5), *failed("b" * 90, 1)], confidence=0.995
    )
    page = study.to_html(tmp_path / "page.html").read_text("utf-8")
    assert "99.5%" in page
    assert "1 of 2 runs of" in page
    assert "99.5%" in str(study.table())
    figure = study.plot(tmp_path / "curves.png")[
        0, 0
    ].figure  # a dollar sign does not start a formula
    assert figure.axes[0].get_legend_handles_labels()[1][0] == r"\foo{\$"
    names = [text.get_text() for text in differences_figure(study).axes[0].get_yticklabels()]
    assert max(len(line) for name in names for line in name.split("\n")) <= 28


def test_pictures(study, tmp_path):
    before = plt.get_fignums()
    figure = study.plot(tmp_path / "curves.png")[0, 0].figure
    assert isinstance(figure, Figure)
    assert plt.get_fignums() == before  # a script that only writes files opens none
    with Image.open(tmp_path / "curves.png") as picture:
        assert picture.format == "PNG"
    upper, lower = figure.axes[:3], figure.axes[3:]
    assert [axes.get_xlabel() for axes in upper] == ["steps", "training seconds", "settings"]
    assert len(lower) == 3
    line = next(one for one in upper[0].get_lines() if one.get_label() == "newton")
    expected = np.mean([[p.test_metric for p in one.curve] for one in study.runs_of("newton")], 0)
    np.testing.assert_allclose(line.get_ydata(), expected)
    assert list(line.get_xdata()) == [0, 1, 2]
    assert {one.get_label() for one in upper[2].get_lines()} == {METHODS[1], METHODS[3]}
    for axes in figure.axes:
        ticks = [*axes.xaxis.get_major_ticks(), *axes.yaxis.get_major_ticks()]
        ticks += axes.yaxis.get_minor_ticks()
        assert {tick.label1.get_size() for tick in ticks} == {8.0}
    plain = made_up(runs("a", [0.8] * 2, reached_at=0.01)).plot()[0, 0].figure
    assert plt.gcf() is plain
    plt.close(plain)
    shown = [(axes.get_xlabel(), axes.get_xscale()) for axes in plain.axes[:2]]
    assert shown == [("steps", "linear"), ("training seconds", "log")]
    study.plot(tmp_path / "curves.SVG")
    assert (tmp_path / "curves.SVG").read_bytes().startswith(b"<?xml")
    axes = Figure().subplots()
    assert study.plot(ax=axes) is axes
    assert {text.get_text() for text in axes.texts} <= set(METHODS)
    assert len(axes.texts) == len(axes.lines) == len(METHODS)
    with pytest.raises(OutputError, match=tmp_path.name):
        study.plot(tmp_path)
