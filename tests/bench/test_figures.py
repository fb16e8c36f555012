from __future__ import annotations

import numpy as np
import pytest

from hybridopt.bench.figures import OURS, series, time_figure
from hybridopt.bench.peers import EstimatorNetwork, PennyLane
from hybridopt.bench.peers.competitor import Hybridopt
from hybridopt.bench.problem import ladder
from hybridopt.bench.row import TIMED, Row

COMPETITORS = (
    Hybridopt("parameter-shift"),
    Hybridopt("adjoint"),
    PennyLane("default.qubit", "parameter-shift"),
    PennyLane("lightning.qubit", "adjoint"),
    EstimatorNetwork(aer=False),
)


def timed(competitor, problem, middle) -> Row:
    row = Row.of(competitor, problem)
    row.seconds = [0.5 * middle, middle, 3 * middle]
    row.cpu_seconds = list(row.seconds)
    row.status = TIMED
    return row


@pytest.fixture
def rows() -> list[Row]:
    shapes = [(2, 8, 16), (4, 16, 16), (8, 32, 16), (8, 8, 16), (10, 60, 32)]
    return [
        timed(one, ladder(*shape), 1e-3 * shape[0] * (place + 1))
        for shape in shapes
        for place, one in enumerate(COMPETITORS)
    ]


def test_a_sweep_changes_one_size_only(rows):
    sizes = {"qubits": {(2, 8), (4, 16), (8, 32)}, "weights": {(8, 32), (8, 8)}}
    for axis, expected in sizes.items():
        assert {(row.qubits, row.weights) for row in series(rows, axis)} == expected
    assert series(rows[:5], "qubits") == []
    assert series([], "weights") == []
    with_shots = [timed(COMPETITORS[0], ladder(n, n).resized(batch=2, shots=9), 1) for n in (2, 3)]
    assert series(with_shots, "qubits") == []


def test_lines_show_medians_and_bars_show_the_range(rows):
    figure = time_figure(series(rows, "qubits"), "qubits")
    shift, exact = figure.axes
    assert [axes.get_xscale() for axes in figure.axes] == ["log", "log"]
    assert shift.get_yscale() == "log"
    ours = [bars for bars in shift.containers if bars.get_label() == "hybridopt, parameter-shift"]
    line, _, bars = ours[0].lines
    assert line.get_color() == OURS
    assert list(line.get_xdata()) == [2, 4, 8]
    assert list(line.get_ydata()) == pytest.approx([2, 4, 8])  # milliseconds
    np.testing.assert_allclose(bars[0].get_paths()[1].vertices, [[4, 2], [4, 12]])
    names = {text.get_text() for axes in (shift, exact) for text in axes.texts}
    assert names == {"hybridopt", "hybridopt, adjoint", "PennyLane\xa0default.qubit",
                     "PennyLane\xa0lightning.qubit, adjoint", "EstimatorQNN"}  # fmt: skip


def test_labels_do_not_overlap(rows):
    crowded = list(series(rows, "qubits"))
    for row in crowded:
        row.seconds = [1e-3] * 3
    shift = time_figure(crowded, "qubits").axes[0]
    places = sorted(text.xy[1] for text in shift.texts)
    assert min(np.diff(places)) >= 0.05
    assert places[-1] <= 1.001
