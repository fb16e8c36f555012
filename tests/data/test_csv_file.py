"""CSV files: forms of the same data, targets, refusals."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_iris

import hybridopt as ho
from hybridopt.data import load, load_dataset
from hybridopt.errors import ArgumentError, ArgumentTypeError, DataError, UnknownNameError

HEADER = ["length", "width", "weight", "kind"]
ROWS = [[f"{0.5 * n}", f"{n % 3}", f"{n * n}", ("red", "blue")[n % 2]] for n in range(20)]


def written(path, rows=ROWS, header=HEADER, delimiter=",", encoding="utf-8"):
    with path.open("w", newline="", encoding=encoding) as file:
        csv.writer(file, delimiter=delimiter).writerows([header] * bool(header) + rows)
    return path


@pytest.fixture
def path(tmp_path):
    return tmp_path / "mine.csv"


@pytest.mark.parametrize("form", ["plain", "semicolon", "tab", "bom", "no header", "blanks"])
def test_forms_of_equal_data(form, path):
    expected = load_dataset(written(path), standardize=False)
    options = {
        "semicolon": {"delimiter": ";"},
        "tab": {"delimiter": "\t"},
        "bom": {"encoding": "utf-8-sig"},
        "no header": {"header": None},
        "blanks": {
            "rows": [[f" {cell} " for cell in row] for row in ROWS] + [[], ["", "", "", ""]]
        },
    }
    data = load_dataset(str(written(path, **options.get(form, {}))), standardize=False)
    assert data.class_names == ("blue", "red")
    assert torch.equal(data.train.x, expected.train.x)
    assert torch.equal(data.train.y, expected.train.y)
    names = ("column_0", "column_1", "column_2") if form == "no header" else tuple(HEADER[:3])
    assert data.feature_names == names


def test_split_and_scaling_are_those_of_named_datasets(path):
    bunch = load_iris()
    rows = [
        [*map(str, x), bunch.target_names[y]] for x, y in zip(bunch.data, bunch.target, strict=True)
    ]
    mine, named = load_dataset(written(path, rows, None), seed=3), load_dataset("iris", seed=3)
    for part in ("train", "test"):
        assert torch.equal(getattr(mine, part).x, getattr(named, part).x)
        assert torch.equal(getattr(mine, part).y, getattr(named, part).y)
    assert (mine.name, mine.class_names) == ("mine.csv", named.class_names)


def test_any_column_is_the_target(path):
    written(path)
    for target in ("weight", 2, -2):
        rows = [[*row[:3], str(n)] for n, row in enumerate(ROWS)]
        data = load_dataset(
            written(path, rows), target=target, task="regression", standardize=False, test_size=0
        )
        assert data.feature_names == ("length", "width", "kind")
        assert data.train.y.flatten().tolist() == [float(row[2]) for row in ROWS]


@pytest.mark.parametrize(
    ("targets", "task", "classes"),
    [
        (["10", "9", "-1"], "classification", ("-1", "9", "10")),
        (["1.5", "2", "0"], "regression", None),
        (["1.5", "2", "zero"], "classification", ("1.5", "2", "zero")),
        (["1.0", "2.0", "1e3"], "regression", None),
    ],
)
def test_task_follows_from_the_targets(targets, task, classes, path):
    rows = [[str(n), targets[n % 3]] for n in range(30)]
    data = load_dataset(written(path, rows, ["x", "y"]))
    assert (data.task, data.class_names) == (task, classes)
    if classes:
        assert set(data.train.y.tolist()) == {0, 1, 2}
        whole = load_dataset(path, test_size=0)
        assert [classes[label] for label in whole.train.y] == [row[1] for row in rows]


@pytest.mark.parametrize(
    ("lines", "names", "samples"),
    [
        (["0,1,label", "5,6,a", "7,8,b"], ("0", "1"), 2),  # of pandas
        (["0,1,label", "5,6,1.5", "7,8,2.5"], ("0", "1"), 2),
        (["3,4,label", "5,6,1", "7,8,0"], ("3", "4"), 2),
        (["x,y,kind", "5,6,a", "7,8,b"], ("x", "y"), 2),
        (["5,6,a", "7,8,b"], ("column_0", "column_1"), 2),
        (['"x", "y", "kind"', '5, 6, "a"', '7, 8, "b"'], ("x", "y"), 2),
        (['"a,b,c,d";y', "1;2", "3;4"], ("a,b,c,d",), 2),
    ],
)
def test_first_lines(lines, names, samples, path):
    path.write_text("\n".join(lines))
    data = load_dataset(path, test_size=0)
    assert (data.feature_names, len(data.train)) == (names, samples)


def test_equal_integers_are_one_class(path):
    targets = ["1", "+1", "01", "0", "-2"]
    rows = [[str(n), targets[n % 5]] for n in range(20)]
    data = load_dataset(written(path, rows, None), test_size=0)
    assert data.class_names == ("-2", "0", "1")
    assert data.train.y.bincount().tolist() == [4, 4, 12]


def test_compare_reads_a_file_once(path, monkeypatch):
    calls = []
    read = load.read_csv
    monkeypatch.setattr(load, "read_csv", lambda *a, **k: (calls.append(1), read(*a, **k))[1])
    options = {"budget": 1, "seeds": 2, "tuning": None, "progress": False}
    networks = {"a": "mlp:3-2", "b": "mlp:3-4-2"}
    study = ho.compare(networks, written(path), methods=["adam", "sgd"], **options)
    assert (len(calls), study.failures) == (1, [])


def test_quoted_cells_may_contain_separators_and_lines(path):
    path.write_text('a,"the\nkind"\n' + '1,"x, y"\n2,"z"\n' * 5, encoding="utf-8")
    data = load_dataset(path)
    assert data.class_names == ("x, y", "z")


def changed(line, place, cell):
    rows = [list(row) for row in ROWS]
    rows[line][place] = cell
    return rows


@pytest.mark.parametrize(
    ("rows", "options", "error", "message"),
    [
        (changed(3, 1, "much"), {}, DataError, "Line 5 .*'width'.*'much'"),
        (changed(3, 1, ""), {}, DataError, "Line 5 .*'width'.*''"),
        (changed(0, 1, ""), {}, DataError, "Line 2 .*'width'"),
        (changed(3, 1, "nan"), {}, DataError, "Line 5 .*'nan'"),
        (changed(3, 1, "inf"), {}, DataError, "Line 5 .*'inf'"),
        (changed(3, 3, ""), {}, DataError, "Line 5 .*'kind'"),
        ([*ROWS[:3], ["1", "2"]], {}, DataError, "Line 5 .*4 cells .got 2"),
        ([], {}, DataError, "one line of data"),
        ([[*row[:3], "a"] for row in ROWS], {}, DataError, "at least two classes"),
        (ROWS[:1] * 5 + changed(0, 3, "blue")[:1], {}, DataError, "test_size"),
        (ROWS, {"target": "size"}, ArgumentError, "`target`.*length, width, weight, kind"),
        (ROWS, {"target": 4}, ArgumentError, "`target`.*4 columns"),
        (ROWS, {"task": "regression"}, DataError, "Line 2 .*'red'"),
        (ROWS, {"task": "ranking"}, UnknownNameError, "task"),
        (ROWS, {"num_samples": 5}, UnknownNameError, "num_samples"),
        (changed(3, 1, "1e300"), {}, DataError, r"Line 5 .*at most 3\.4e"),
        (ROWS, {"target": None}, ArgumentTypeError, "`target`"),
        (ROWS, {"target": True}, ArgumentTypeError, "`target`"),
    ],
)
def test_refused(rows, options, error, message, path):
    written(path, rows)
    with pytest.raises(error, match=message):
        load_dataset(path, **options)


@pytest.mark.parametrize("content", [b"", b"\n\n", b"a\n1\n2\n", b"a,b\n1,\xff\n", b'a,b\n1,"2'])
def test_files_that_are_no_table(content, path):
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"mine\.csv"):
        load_dataset(path)


def test_missing_files_and_other_names(tmp_path):
    with pytest.raises(DataError, match=r"absent\.csv"):
        load_dataset(tmp_path / "absent.csv")
    with pytest.raises(UnknownNameError, match=r"\.csv or \.tsv .*data.npz"):
        load_dataset("data.npz")


def test_fit_compare_and_recommend(path, tmp_path):
    written(path)
    data = load_dataset(path)
    history = ho.fit(torch.nn.Linear(3, 2), data, epochs=1, progress=False)
    assert len(history.metric) == 1
    study = ho.compare(
        "mlp:3-2", str(path), methods=["adam"], budget=1, seeds=2, tuning=None, progress=False
    )
    assert study.data == "mine.csv"
    assert ho.recommend("mlp:3-2", str(path)).method
    for name in (str(path), Path(path)):
        with pytest.raises(ArgumentTypeError, match="load_dataset"):
            ho.fit(torch.nn.Linear(3, 2), name)


def test_numbers_are_read_in_double_precision(path):
    values = np.random.default_rng(0).normal(size=50)
    written(path, [[repr(v), repr(2 * v)] for v in values.tolist()], ["x", "y"])
    data = load_dataset(path, standardize=False, test_size=0)
    np.testing.assert_array_equal(data.train.x[:, 0].numpy(), values.astype(np.float32))


def test_missing_cells_in_the_first_line_are_errors(path):
    path.write_text("NA,1,a\n2,3,b\n4,5,a\n")
    with pytest.raises(DataError, match=r"Line 1 .*NA"):
        load_dataset(path)
