from __future__ import annotations

import csv
import io
import re

import pytest

from hybridopt.compare import Table
from hybridopt.errors import ArgumentTypeError, UnknownNameError

from .conftest import METHODS, made_up, run, runs

TABLE = Table(("method", "x|y"), (("a, b", "1"), ("c", "22")), ("A note.",))


def test_text_and_markdown():
    assert str(TABLE) == "method  x|y\na, b      1\nc        22\nA note."
    text = Table(("<b>",), (("a & b",),), ("<i>",))._repr_html_()
    head, body = "<tr><th>&lt;b&gt;</th></tr>", "<tr><td>a &amp; b</td></tr>"
    table = f"<table><thead>{head}</thead><tbody>{body}</tbody></table>"
    assert text == f"{table}<p>&lt;i&gt;</p>"
    assert TABLE.to_markdown().splitlines() == [
        "| method | x\\|y |", "| --- | ---: |", "| a, b | 1 |", "| c | 22 |",
    ]  # fmt: skip


def test_csv_round_trip(tmp_path):
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
    for words in ("3 seeds, 2 epochs", "Bonferroni", "4"):
        assert words in " ".join(table.notes)


@pytest.mark.wrong_types
def test_steps_to_a_metric():
    found = runs("a", [0.8] * 3, reached_at=0.5) + runs("b", [0.9, 0.5, 0.5])
    study = made_up(found)
    assert study.target() == 0.76  # 95 % of the control's mean
    assert [row[-1] for row in study.table().rows] == ["10", "10 (1 of 3)"]
    assert [row[-1] for row in study.table(reach=0.85).rows] == ["never", "10 (1 of 3)"]
    assert study.summary("a").reached["seconds"] == 0.5
    long = made_up([run("a", s, 0.8, seconds=12_345.0 + s) for s in range(2)])
    assert long.table().rows[0][3] == "12,346 ± 1"
    assert made_up(found, reach=0.3).target() == 0.3
    with pytest.raises(ArgumentTypeError, match="`reach`"):
        study.table(reach="high")
    with pytest.raises(UnknownNameError, match="'c'"):
        study.summary("c")


def test_latex():
    table = Table(
        ("method", "test accuracy", "minus adam_1"),
        (("a & b > c:100%", "0.91 ± 0.02", "-0.008 [-0.086, +0.069]"), ("seed-3", "-", "{1}^2~")),
    )
    assert table.to_latex().splitlines() == [
        r"\begin{tabular}{lrr}",
        r"\toprule",
        r"method & test accuracy & minus adam\_1 \\",
        r"\midrule",
        r"a \& b $>$ c:100\% & 0.91 $\pm$ 0.02 & $-$0.008 [$-$0.086, +0.069] \\",
        r"seed-3 & - & \{1\}\textasciicircum{}2\textasciitilde{} \\",
        r"\bottomrule",
        r"\end{tabular}",
    ]
