"""Pictures of a study."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from hybridopt.errors import OutputError

from .conftest import METHODS
from .test_recommendation import made_up, run


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


def test_ticks_of_all_sizes_have_one_size_of_letters(study):
    for axes in study.plot().axes:
        for minor in (False, True):
            assert {t.label1.get_size() for t in axes.xaxis.get_major_ticks()} <= {8.0}
            ticks = axes.yaxis.get_minor_ticks() if minor else axes.yaxis.get_major_ticks()
            assert {tick.label1.get_size() for tick in ticks} <= {8.0}
