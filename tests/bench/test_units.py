from __future__ import annotations

import pytest

from hybridopt.bench.units import ratio_text, seconds_text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(8.3e-6, "0.0083 ms"), (0.00123, "1.23 ms"), (0.0999, "99.9 ms"), (0.09996, "100 ms"),
     (0.99949, "999 ms"), (0.9996, "1 s"), (12.34, "12.3 s")],
)  # fmt: skip
def test_times(seconds, text):
    assert seconds_text(seconds) == text


@pytest.mark.parametrize(
    ("ratio", "text"),
    [(16.4, "16 times slower"), (9.96, "10 times slower"), (2.04, "2.0 times slower"),
     (1.04, "equally fast"), (1 / 1.04, "equally fast"), (0.5, "2.0 times faster"),
     (1e-3, "1000 times faster")],
)  # fmt: skip
def test_ratios(ratio, text):
    assert ratio_text(ratio) == text
