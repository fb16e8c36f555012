"""Tables of requests for the same parameter values."""

from __future__ import annotations

import numpy as np
import pytest

from hybridopt.qiskit_ml.requests import tables_of


@pytest.mark.parametrize("exact", [True, False])
def test_every_request_is_answered_once_with_its_own_values(exact):
    generator = np.random.default_rng(0)
    distinct = generator.normal(size=(4, 3))
    rows = [distinct[k] for k in generator.integers(0, 4, 40)]
    outputs = generator.integers(0, 3, 40).tolist()
    answered = []
    for table in tables_of(rows, outputs, exact=exact):
        for number, row, place in table.requests.tolist():
            np.testing.assert_array_equal(table.values[row], rows[number])
            assert table.outputs[place] == outputs[number]
            answered.append((number, id(table), row, place))
    assert sorted(entry[0] for entry in answered) == list(range(40))
    if not exact:  # no two requests read the same number
        assert len({entry[1:] for entry in answered}) == 40


def test_rows_are_shared_by_outputs_and_without_shots_by_repeated_requests():
    values = np.arange(12.0).reshape(4, 3)
    for exact in (True, False):
        (table,) = tables_of([*values, *values], [0] * 4 + [1] * 4, exact=exact)
        np.testing.assert_array_equal(table.values, values)
        assert table.outputs == (0, 1)
        (table,) = tables_of([np.ones(2)] * 3, [0, 0, 0], exact=exact)
        assert len(table.values) == (1 if exact else 3)
