from __future__ import annotations

import csv
import io
import re

import pytest

from hybridopt.compare import Table
from hybridopt.compare.results import failed
from hybridopt.errors import ArgumentTypeError, UnknownNameError

from .conftest import METHODS
from .test_recommendation import made_up, run

TABLE = Table(("method", "x|y"), (("a, b", "1"), ("c", "22")), ("A note.",))


def test_text():
    assert str(TABLE) == "method  x|y\na, b      1\nc        22\nA note."
    assert Table(("<b>",), (("a & b",),))._repr_html_() == "<pre>&lt;b&gt;\na &amp; b</pre>"


def test_markdown_escapes_bars():
    assert TABLE.to_markdown().splitlines() == [
        "| method | x\\|y |", "| --- | ---: |", "| a, b | 1 |", "| c | 22 |",
    ]  # fmt: skip


def test_csv_goes_there_and_back(tmp_path):
    path = TABLE.to_csv(tmp_path / "deep" / "table.csv")
    rows = list(csv.reader(io.StringIO(path.read_text("utf-8"))))
    assert rows == [["method", "x|y"], ["a, b", "1"], ["c", "22"]]
    assert TABLE.to_csv() == path.read_text("utf-8")


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


def test_long_times_and_uneven_steps_in_the_table():
    runs = [run("a", s, 0.8, seconds=12_345.0 + s) for s in range(2)]
    row = made_up(runs, ["a"]).table().rows[0]
    assert row[3] == "12,346 ± 1"


@pytest.mark.wrong_types
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


def test_one_of_a_thing_is_singular():
    text = made_up([run("a", 0, 0.8), failed("a", 1, "gone")], ["a"]).recommend().reason
    assert "over 1 seed;" in text
