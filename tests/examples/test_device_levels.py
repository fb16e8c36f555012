"""Tests of levels, shots and mitigation on fake devices: files, limits and options."""

from __future__ import annotations

import pytest
from qiskit_ibm_runtime.fake_provider import FakeManilaV2

pytestmark = pytest.mark.slow


def test_a_quick_run_writes_both_tables_rows_and_picture(quick_run):
    rows, table = quick_run()
    levels = [row for row in rows if row["correction"] in ("", "inverse")]
    errors = {
        (row["level"], row["correction"], row["shots"]): float(row["error"]) for row in levels
    }
    assert len(rows) == len(errors) + 2 == 10
    for level in ("0", "3"):  # in the limit of many shots, only errors of gates remain
        assert 0 < errors[level, "inverse", ""] < errors[level, "", ""] < 0.3
    assert "many shots" in table
    assert "| TREX |" in table


def test_only_the_given_options_are_on(example):
    for options, (readout, gates, zne, delays) in {
        (): (False, False, False, False),
        ("TREX",): (True, False, False, False),
        ("ZNE", "twirled gates"): (False, True, True, False),
        ("DD",): (False, False, False, True),
    }.items():
        own = example.estimator_of(FakeManilaV2(), options).options
        assert own.resilience.measure_mitigation == own.twirling.enable_measure == readout
        assert own.twirling.enable_gates == gates
        assert own.resilience.zne_mitigation == zne
        assert own.dynamical_decoupling.enable == delays
