"""The language checker finds each pattern, and leaves code and plain sentences alone."""

import importlib.util
import sys
import tomllib
from pathlib import Path

import pytest

PATH = Path(__file__).parents[2] / "tools" / "check_language.py"
SPEC = importlib.util.spec_from_file_location("check_language", PATH)
checker = importlib.util.module_from_spec(SPEC)
sys.modules["check_language"] = checker  # dataclasses look their module up
SPEC.loader.exec_module(checker)

PLAIN = '''
"""Number of settings; see the glossary."""

def run(job, shots):
    """Run a job and return ``is no`` code.

    Args:
        job: Table of angles.
        shots: Number of shots per setting; None for exact simulation.
    """
    raise ValueError("`shots` must be at least 1 (got 0).")  # shots per setting

class Job:
    @property
    def is_exact(self):
        """Whether the results are exact."""
'''
# language: off
FAULTS = {
    "`a` for `per`": "# 100 shots a setting",
    "`is no X` for `is not an X`": "# this is no matrix",
    "`gradient by x` for `with respect to x`": 'text = "the gradient by all weights is zero"',
    "private words": '"""The file is read anew."""',
    "`tell` for `report` or `distinguish`": 'message = "the table tells the number of runs"',
    "`stand` for `be`": "# the gate stands before the others",
    "`so many` as a number": "# so many rows as samples",
    "`what is ...` as a noun": "# return what is read from the circuit",
    "question openers": 'def f():\n    """How to read a circuit."""',
    "whether openers": 'def f():\n    """Whether it is exact."""',
    "preposition openers": '"""Run.\n\nArgs:\n    x: Of the circuit.\n"""',
    "long sentences": '"""' + "The circuit has gates and " * 7 + 'ends."""',
}
# language: on


def counts_of(source):
    return checker.count_patterns(list(checker.python_texts("test.py", source)))


def test_plain_text_has_no_faults():
    assert {name: count.found for name, count in counts_of(PLAIN).items() if count.found} == {}


@pytest.mark.parametrize("pattern", FAULTS)
def test_finds_each_pattern_at_its_place(pattern):
    found = {name: count.found for name, count in counts_of(FAULTS[pattern]).items()}
    assert [name for name, places in found.items() if places] == [pattern]
    assert found[pattern][0].startswith("test.py:")


def test_help_of_an_option_counts_as_an_argument():
    counts = counts_of('option = Option(help="Of the circuit, in the file.")')
    assert len(counts["preposition openers"].found) == 1


def test_every_pattern_has_a_limit():
    settings = tomllib.loads((PATH.parents[1] / "pyproject.toml").read_text("utf-8"))
    assert set(settings["tool"]["language"]) == set(counts_of(""))


# language: off
def test_lines_between_marks_are_not_checked(tmp_path):
    path = tmp_path / "sample.py"
    path.write_text("# language: off\n# this is no matrix\n# language: on\n# this is no vector\n")
    assert [text.content for text in checker.texts_of(path)][-1] == "this is no vector"
    counts = checker.count_patterns(list(checker.texts_of(path)))
    assert len(counts["`is no X` for `is not an X`"].found) == 1


# language: on
