"""The page of a study."""

from __future__ import annotations

import re

from hybridopt.compare.plots import differences_figure
from hybridopt.compare.results import failed

from .conftest import METHODS
from .test_recommendation import made_up, run

DETAILS = {
    "stages": {"a": [{"budget": "2 epochs"}]}, "samples": {"train": 1, "test": 1},
    "redraw_split": False, "versions": {}, "machine": "none",
}  # fmt: skip


def test_the_page_stands_alone(study, tmp_path):
    page = study.to_html(tmp_path / "page.html").read_text("utf-8")
    sources = re.findall(r"""(?:src|href)\s*=\s*["']?([^"'\s>]+)""", page)
    assert len(sources) == 3
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert not re.search(r"https?://|@import|url\(", page)
    assert "{{" not in page
    assert "{%" not in page
    assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in page
    for name in METHODS:
        assert name.replace(">", "&gt;") in page
    for words in ("a quantum speed-up", "For the best test accuracy", "chose nothing"):
        assert words in page
    assert "For the fewest shots" not in page


def test_the_page_tells_failures_even_where_nothing_else_is(tmp_path):
    runs = [failed("a", seed, "gone <b>") for seed in range(2)]
    study = made_up(runs, ["a"], details=DETAILS)
    page = study.to_html(tmp_path / "page.html").read_text("utf-8")
    assert 'a, seed 1: <span class="soft">gone &lt;b&gt;' in page
    assert "a quantum speed-up" not in page

    assert "No run came to its end, so nothing can be recommended" in page
    assert "data:image" not in page  # there is nothing to draw


def test_a_study_that_was_made_by_hand_has_a_page(tmp_path):
    runs = [run(r"\foo{$", s, 0.8 + 0.01 * s) for s in range(2)]
    runs += [run("b" * 90, 0, 0.5), failed("b" * 90, 1, "gone")]
    study = made_up(runs, [r"\foo{$", "b" * 90], confidence=0.995)
    page = study.to_html(tmp_path / "page.html").read_text("utf-8")
    assert "hold together with\n99.5%" in page
    assert "1 of 2 runs failed, so it is left aside" in page
    assert "99.5% t intervals" in str(study.table())
    figure = study.plot(tmp_path / "curves.png")  # a dollar sign begins no formula
    assert figure.axes[0].get_legend_handles_labels()[1][0] == r"\foo{\$"
    names = [text.get_text() for text in differences_figure(study).axes[0].get_yticklabels()]
    assert max(len(line) for name in names for line in name.split("\n")) <= 28
