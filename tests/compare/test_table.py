from __future__ import annotations

import csv
import io

from hybridopt.compare import Table

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
