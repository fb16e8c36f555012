from __future__ import annotations

import pytest

from hybridopt.circuits.qasm.reader import parameter_number


@pytest.mark.parametrize(
    ("name", "expected"),
    [("x0", ("x", 0)), ("w12", ("w", 12)), ("x_3", ("x", 3)), ("_x_10_", ("x", 10)),
     ("_w_2_", ("w", 2)), ("x007", ("x", 7))],
)  # fmt: skip
def test_places(name, expected):
    assert parameter_number(name) == expected


@pytest.mark.parametrize("name", ["theta", "x", "X0", "w-1", "x0_", "_x_0", "xw0", "y0", "x٣", ""])
def test_other_names(name):
    assert parameter_number(name) is None


def test_numbers_count_not_letters():
    names = ["x10", "x9", "x0", "x100"]
    assert sorted(names, key=parameter_number) == ["x0", "x9", "x10", "x100"]
