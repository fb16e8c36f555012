"""What a study shows, keeps and says."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image
from scipy import stats

import hybridopt as ho
from hybridopt.compare.plots import differences_figure
from hybridopt.compare.records import failed
from hybridopt.errors import ArgumentTypeError, CheckpointError, OutputError, UnknownNameError

from .conftest import METHODS
from .test_recommend import made_up, run

DETAILS = {
    "stages": {"a": [{"budget": "2 epochs"}]}, "samples": {"train": 1, "test": 1},
    "redraw_split": False, "versions": {}, "machine": "none",
}  # fmt: skip


def test_saved_and_loaded(study, folder, tmp_path):
    path = study.save(tmp_path / "mine.json")
    for found in (ho.load_study(path), ho.load_study(folder)):
        assert found.runs == study.runs
        assert {**found.to_dict(), "seconds": 0} == {**study.to_dict(), "seconds": 0}
        assert str(found.table()) == str(study.table())
    assert (folder / "study.json").is_file()
    assert (folder / "report.html").is_file()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is damaged or no study"),
        ("[]", "is no study"),
        ('{"kind": "hybridopt run"}', "is no study"),
        ('{"kind": "hybridopt study", "schema": 99}', "has schema 99, but this version reads 1"),
        ('{"kind": "hybridopt study", "schema": 1}', "is damaged"),
    ],
)
def test_files_that_hold_no_study(content, message, tmp_path):
    (tmp_path / "study.json").write_text(content)
    with pytest.raises(CheckpointError, match=message):
        ho.load_study(tmp_path)
    with pytest.raises(CheckpointError, match="There is no study at"):
        ho.load_study(tmp_path / "nothing.json")


def test_a_damaged_run_in_a_study(study, tmp_path):
    content = study.to_dict()
    del content["runs"][3]["curve"]
    for runs, reason in ((content["runs"], "curve"), (["ab"], "is no mapping")):
        (tmp_path / "study.json").write_text(json.dumps({**content, "runs": runs}))
        with pytest.raises(CheckpointError, match=f"is damaged .*{reason}"):
            ho.load_study(tmp_path)


def test_differences_are_paired_with_the_control(study):
    found = {one.method: one for one in study.differences()}
    assert list(found) == METHODS[1:]
    ours = np.array([one.test_metric for one in study.runs_of("newton")])
    theirs = np.array([one.test_metric for one in study.runs_of("adam")])
    expected = stats.ttest_rel(ours, theirs).confidence_interval(1 - 0.05 / 4)
    one = found["newton"]
    np.testing.assert_allclose(
        [one.interval.low, one.interval.high], [expected.low, expected.high], rtol=1e-10
    )
    assert one.p_value >= one.interval.p_value


def test_the_table(study):
    table = study.table(reach=0.5)
    assert [row[0] for row in table.rows] == METHODS
    assert table.header[:3] == ("method", "test accuracy", "minus adam")
    assert table.header[-1] == "steps to 0.5"
    assert table.rows[0][2] == ""
    assert re.fullmatch(r"[+-]\d\.\d{3} \[[+-]\d\.\d{3}, [+-]\d\.\d{3}\]", table.rows[4][2])
    assert str(study) == str(study.table())
    assert "3 seeds, 2 epochs for each method" in str(table)
    assert "Bonferroni, 4 of them" in str(table)


def test_steps_to_a_metric():
    runs = [run("a", s, 0.8, reached_at=0.5) for s in range(3)] + [run("b", 0, 0.9)]
    runs += [run("b", s, 0.5) for s in (1, 2)]
    study = made_up(runs, ["a", "b"])
    assert study.target() == 0.76  # 95 % of the control's mean
    assert [row[-1] for row in study.table().rows] == ["10", "10 (1 of 3)"]
    assert [row[-1] for row in study.table(reach=0.85).rows] == ["never", "10 (1 of 3)"]
    assert study.summary("a").reached["seconds"] == 0.5
    assert made_up(runs, ["a", "b"], reach=0.3).target() == 0.3
    with pytest.raises(ArgumentTypeError, match="`reach` must be a number"):
        study.table(reach="high")
    with pytest.raises(UnknownNameError, match="Unknown method of the study 'c'"):
        study.summary("c")


def test_long_times_and_uneven_steps_in_the_table():
    runs = [run("a", s, 0.8, seconds=12_345.0 + s) for s in range(2)]
    row = made_up(runs, ["a"]).table().rows[0]
    assert row[3] == "12,346 ± 1"


def test_pictures(study, tmp_path):
    figure = study.plot(tmp_path / "curves.png")
    assert isinstance(figure, Figure)
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
    plain = made_up([run("a", s, 0.8) for s in range(2)], ["a"]).plot()
    assert [axes.get_xlabel() for axes in plain.axes[:2]] == ["steps", "training seconds"]
    with pytest.raises(OutputError):
        study.plot(tmp_path)


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


def test_ticks_of_all_sizes_have_one_size_of_letters(study):
    for axes in study.plot().axes:
        for minor in (False, True):
            assert {t.label1.get_size() for t in axes.xaxis.get_major_ticks()} <= {8.0}
            ticks = axes.yaxis.get_minor_ticks() if minor else axes.yaxis.get_major_ticks()
            assert {tick.label1.get_size() for tick in ticks} <= {8.0}


def test_one_of_a_thing_is_singular():
    text = made_up([run("a", 0, 0.8), failed("a", 1, "gone")], ["a"]).recommend().reason
    assert "over 1 seed;" in text


def test_as_a_frame(study):
    pandas = pytest.importorskip("pandas")
    frame = study.to_frame()
    assert isinstance(frame, pandas.DataFrame)
    assert len(frame) == len(study.runs)
    assert frame.groupby("method").settings.first()["memory+adam"] == 16


def test_without_pandas(study, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    with pytest.raises(ho.errors.MissingExtraError, match="needs pandas"):
        study.to_frame()
