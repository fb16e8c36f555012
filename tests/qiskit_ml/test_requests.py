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


def test_a_batch_with_all_outputs_is_one_table_of_a_row_a_sample():
    values = np.arange(12.0).reshape(4, 3)
    rows = [row for _ in range(2) for row in values]
    for exact in (True, False):
        (table,) = tables_of(rows, [0] * 4 + [1] * 4, exact=exact)
        np.testing.assert_array_equal(table.values, values)
        assert table.outputs == (0, 1)


def test_repeated_requests_share_a_row_only_without_shots():
    rows = [np.ones(2)] * 3
    (table,) = tables_of(rows, [0, 0, 0], exact=True)
    assert len(table.values) == 1
    (table,) = tables_of(rows, [0, 0, 0], exact=False)
    assert len(table.values) == 3
