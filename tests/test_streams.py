"""Standard streams whose errors do not end a computation."""

from __future__ import annotations

import errno
import io

import pytest

from hybridopt._streams import SafeStream, in_encoding


class Failing(io.StringIO):
    def __init__(self, error, *, at_flush=False):
        super().__init__()
        self.error, self.at_flush = error, at_flush

    def write(self, text):
        if not self.at_flush:
            raise self.error
        return super().write(text)

    def flush(self):
        if self.at_flush:
            raise self.error


@pytest.mark.parametrize("error", [BrokenPipeError(), OSError(errno.ENOSPC, "full"), ValueError()])
@pytest.mark.parametrize("at_flush", [False, True])
def test_errors_do_not_reach_the_writer(error, at_flush):
    stream = SafeStream(Failing(error, at_flush=at_flush))
    for _ in range(2):
        assert stream.write("text") == 4
        stream.flush()
    assert not stream.isatty()


def test_a_stream_that_was_closed_before_the_start():
    stream = SafeStream(None)
    print("text", file=stream, flush=True)
    assert (stream.isatty(), stream.encoding) == (False, "utf-8")
    with pytest.raises(OSError, match="closed"):
        stream.fileno()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("q_0: ┤ H ├──■──", "q_0: | H |--@--"),
        ("┌───┐ └─╥─┘ ═══╩═", "+---+ +---+ -----"),
        ("Ry(π/2) ü … 日 \udcff", "Ry(pi/2) u ... ? ?"),
    ],
)
def test_letters_for_ascii(text, shown):
    assert in_encoding(text, "ascii") == shown
    assert in_encoding(text.replace("\udcff", ""), "utf-8") == text.replace("\udcff", "")
    assert in_encoding("±", "latin-1") == "±"
