from __future__ import annotations

import io
import json
import re
import sys
import typing

import pytest
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

import hybridopt as ho
from hybridopt.errors import ArgumentError, ArgumentTypeError, MissingExtraError
from hybridopt.training.history import REASONS, EpochRecord, History, RangeTest, Status

RECORDS = [
    EpochRecord(1, 0.9, 1.1, 0.25, 0.5, 7, 70, 6),
    EpochRecord(2, 0.7, 1.0, 0.50, 0.4, 9, 90, 8, 0.05),
]


@pytest.fixture
def history() -> History:
    return History("accuracy", list(RECORDS), "epochs")


def test_columns(history):
    assert history.train_loss == [0.9, 0.7]
    assert history.test_loss == [1.1, 1.0]
    assert history.metric == [0.25, 0.5]
    assert history.seconds == [0.5, 0.4]
    assert (history.settings, history.shots, history.runs) == ([7, 9], [70, 90], [6, 8])
    assert history.lr == [None, 0.05]
    assert history.cost == ho.Cost(16, 160, 14)
    assert (len(history), list(history)) == (2, RECORDS)


def test_empty_history():
    assert History("r2").cost == ho.Cost()
    assert (History("r2").status, len(History("r2"))) == ("running", 0)


@pytest.mark.parametrize(
    ("range_test", "cost"),
    [
        (None, ho.Cost(16, 160, 14)),
        (RangeTest(0.1, [0.1, 1.0], [0.9, 0.8], 0.5, 3, 30, 2), ho.Cost(19, 190, 16)),
    ],
)
def test_json_round_trip_and_cost_of_the_range_test(range_test, cost, history):
    history.range_test = range_test
    assert history.cost == cost
    assert History.from_dict(json.loads(json.dumps(history.to_dict()))) == history


def test_frame(history):
    pandas = pytest.importorskip("pandas")
    frame = history.to_frame()
    assert isinstance(frame, pandas.DataFrame)
    assert list(frame.index) == [1, 2]
    assert frame.index.name == "epoch"
    for name in ("train_loss", "test_loss", "metric", "seconds", "settings", "shots", "runs"):
        assert frame[name].tolist() == getattr(history, name), name
    assert frame["lr"].isna().tolist() == [True, False]
    assert len(History("r2").to_frame()) == 0


def test_frame_without_a_test_part():
    pytest.importorskip("pandas")
    records = [EpochRecord(epoch, 0.9, None, None, 0.5, 7, 70, 6) for epoch in (1, 2)]
    for some in (records, []):
        frame = History("r2", some).to_frame()
        for name in ("test_loss", "metric", "lr"):
            assert frame[name].dtype == float, name
            assert frame[name].isna().all(), name


def test_frame_without_pandas(history, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingExtraError, match="pip install pandas"):
        history.to_frame()


def test_every_status_has_a_reason():
    assert set(REASONS) == set(typing.get_args(Status))
    assert all(History("r2", [], status).reason for status in REASONS)


def test_seconds_and_numbers_of_epochs(data, make_network):
    history = ho.fit(make_network(), data, epochs=3)
    assert all(seconds > 0 for seconds in history.seconds)
    assert [record.epoch for record in history] == [1, 2, 3]


@pytest.mark.parametrize(
    ("records", "metric", "curves"),
    [
        (RECORDS, "accuracy", ["training", "test"]),
        ([EpochRecord(1, 0.9, None, None, 0.5, 0, 0, 0)], "r2", ["training"]),
        ([], "r2", ["training"]),
    ],
)
def test_plot(records, metric, curves):
    loss, score = History(metric, records).plot()
    figure = plt.gcf()
    assert figure.axes == [loss, score]
    assert [line.get_label() for line in loss.lines] == curves
    assert list(loss.lines[0].get_ydata()) == [record.train_loss for record in records]
    assert len(score.lines) == (1 if len(curves) == 2 else 0)
    assert score.get_ylabel() == ("accuracy" if metric == "accuracy" else "$R^2$")
    buffer = io.BytesIO()
    plt.savefig(buffer, format="png")
    assert buffer.getvalue().startswith(b"\x89PNG")
    plt.close(figure)
    assert [text.get_text() for text in loss.texts] == (curves if records else [])


def test_plot_on_axes_of_the_caller():
    history = History("accuracy", RECORDS)
    figure = Figure()
    one, two = figure.subplots(1, 2)
    before = plt.get_fignums()
    assert history.plot(one) is one
    assert [len(axes.lines) for axes in (one, two)] == [2, 0]
    assert history.plot(ax=(one, two)) == (one, two)
    assert [len(axes.lines) for axes in (one, two)] == [4, 1]
    assert plt.get_fignums() == before
    with pytest.raises(ArgumentError, match=r"`ax`.*got 3"):
        history.plot(ax=[one, two, one])


@pytest.mark.wrong_types
@pytest.mark.parametrize("ax", [3, "axes", [1, 2], Figure()])
def test_other_things_than_axes_are_refused(ax):
    with pytest.raises(ArgumentTypeError, match="`ax`"):
        History("accuracy", RECORDS).plot(ax)


def test_notebooks_show_a_table():
    record = EpochRecord(1, 0.25, None, 0.5, 0.125, 1234, 0, 7)
    text = History("<r2>", [record], "limit", detail="<job>")._repr_html_()
    cells = re.findall(r"<t[dh][^>]*>([^<]*)</t", text)
    assert cells[3] == "&lt;r2&gt;"
    assert cells[6:] == ["1", "0.25", "-", "0.5", "0.125", "1,234"]
    assert text.endswith("a limit of an executor was reached: &lt;job&gt;</p>")
