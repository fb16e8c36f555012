"""Numbers with their units, for tables and pictures."""

from __future__ import annotations


def seconds_text(seconds: float) -> str:
    """Return a time with its unit.

    Example:
        >>> seconds_text(0.00123), seconds_text(0.1234), seconds_text(12.3)
        ('1.23 ms', '123 ms', '12.3 s')
    """
    milliseconds = 1e3 * seconds
    if milliseconds < 99.95:
        return f"{milliseconds:.3g} ms"
    return f"{milliseconds:.0f} ms" if milliseconds < 999.5 else f"{seconds:.3g} s"


def ratio_text(ratio: float) -> str:
    """Return the ratio of a time to ours in words.

    Example:
        >>> ratio_text(16.2), ratio_text(2.04), ratio_text(0.5), ratio_text(1.01)
        ('16 times slower', '2.0 times slower', '2.0 times faster', 'equally fast')
    """
    word, factor = ("slower", ratio) if ratio >= 1 else ("faster", 1 / ratio)
    if factor < 1.05:
        return "equally fast"
    return f"{factor:.0f} times {word}" if factor >= 9.95 else f"{factor:.1f} times {word}"
