from __future__ import annotations

from pathlib import Path

import pytest

from hybridopt.bench.measure import measure
from hybridopt.bench.peers.from_file import is_file_peer, is_one_file_peer, peer_from_file
from hybridopt.bench.problem import ladder
from hybridopt.bench.row import TIMED
from hybridopt.errors import ArgumentError

DOCUMENT = Path(__file__).parents[3] / "docs" / "benchmark.md"


def test_the_documented_example_agrees_with_the_twin(tmp_path):
    code = DOCUMENT.read_text("utf-8").split("```python\n")[1].split("```")[0]
    file = tmp_path / "mine.py"
    file.write_text(code)
    peer = peer_from_file(f"{file}:Mine")
    (row,) = measure(ladder(3, 6, 2), [peer], repetitions=1, max_seconds=60, seed=0)
    assert (row.status, row.kind, row.competitor) == (TIMED, "parameter-shift", "Statevector")
    assert row.deviation < 1e-14


def test_forms():
    assert is_file_peer("a/mine.py:Mine")
    assert not any(map(is_file_peer, ("qulacs", "mine.py", "mine.txt:Mine")))


def test_lists_are_not_one_peer(tmp_path):
    for name in ("mine.py", "mine,too.py"):
        (tmp_path / name).write_text("")
        assert is_one_file_peer(f"{tmp_path / name}:Mine")
        assert not is_one_file_peer(f"{tmp_path / name}:Mine,qulacs")
    assert not is_one_file_peer(f"qulacs,{tmp_path / 'mine.py'}:Mine")


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("class Mine: pass", "must be a class that derives from"),
        ("def Mine(): return 3", r"`hybridopt.bench.Competitor` \(got int\)"),
        ("from hybridopt.bench import Competitor\nclass Mine(Competitor): pass", "prepare"),
        ("from hybridopt.bench import Competitor\n"
         "class Mine(Competitor):\n def prepare(self, problem): pass", "text as `name`"),
        ("raise OSError('no licence')", "no licence"),
        ("other = 1", r"mine\.py has no function or class 'Mine'\.$"),
        ("from hybridopt.bench import Competitor\nclass Min(Competitor): pass", "mean 'Min'"),
        ("def other(): pass", r"no function or class 'Mine'\. It has other\."),
    ],
)  # fmt: skip
def test_incomplete_peers_are_refused(code, message, tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(code)
    with pytest.raises(ArgumentError, match=message):
        peer_from_file(f"{file}:Mine")


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(ArgumentError, match=r"The peer must be in a Python file that exists"):
        peer_from_file(f"{tmp_path}/none.py:Mine")
