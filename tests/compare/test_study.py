"""Saved studies, their differences and frames."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from scipy import stats

import hybridopt as ho
from hybridopt.errors import CheckpointError

from .conftest import METHODS


def test_saved_and_loaded(study, folder, tmp_path):
    path = study.save(tmp_path / "mine.json")
    for found in (ho.load_study(path), ho.load_study(folder)):
        assert found.runs == study.runs
        assert {**found.to_dict(), "seconds": 0} == {**study.to_dict(), "seconds": 0}
        assert str(found.table()) == str(study.table())
    assert (folder / "report.html").is_file()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is damaged"),
        ("[]", "is not a study"),
        ('{"kind": "hybridopt run"}', "is not a study"),
        ('{"kind": "hybridopt study", "schema": 99}', "99"),
        ('{"kind": "hybridopt study", "schema": 2}', "is damaged"),
    ],
)
def test_files_without_a_study(content, message, tmp_path):
    (tmp_path / "study.json").write_text(content)
    with pytest.raises(CheckpointError, match=message):
        ho.load_study(tmp_path)
    with pytest.raises(CheckpointError, match=r"nothing\.json"):
        ho.load_study(tmp_path / "nothing.json")


def test_differences_are_paired_with_the_control(study):
    found = {one.method: one for one in study.differences()}
    assert list(found) == METHODS[1:]
    pairs = ([run.test_metric for run in study.runs_of(name)] for name in ("newton", "adam"))
    expected = stats.ttest_rel(*pairs).confidence_interval(1 - 0.05 / 4)
    one = found["newton"].interval
    np.testing.assert_allclose([one.low, one.high], [expected.low, expected.high], rtol=1e-10)
    assert found["newton"].p_value >= one.p_value


def test_a_frame_and_without_pandas(study, monkeypatch):
    pandas = pytest.importorskip("pandas")
    frame = study.to_frame()
    assert isinstance(frame, pandas.DataFrame)
    assert len(frame) == len(study.runs)
    assert frame.groupby("method").settings.first()["memory+adam"] == 16
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ho.errors.MissingExtraError, match="pandas"):
        study.to_frame()
