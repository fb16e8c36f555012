"""Every code block of the site's pages runs, and every command on them exists."""

from __future__ import annotations

import pytest
import torch

from tests.docs.code_blocks import ROOT, check_command, run_page

PAGES = [
    *sorted((ROOT / "docs").rglob("*.md")),
    ROOT / "circuits" / "README.md",
    ROOT / "README.md",
]
PAGE = "<!-- run first: x = 3 -->\n```python\ny = x + 1\nprint(y)\n```\n"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_page_runs(page, tmp_path, monkeypatch):
    torch.manual_seed(0)
    run_page(page, tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("more", "error"),
    [
        ("```output\n4\n```\n", None),
        ("```output\n5\n```\n", AssertionError),
        ("```python\nx.missing\n```\n", AttributeError),
        ("<!-- not executed: needs a device -->\n```python\nx.missing\n```\n", None),
        ("<!-- not executed: needs a device -->\n```python\nx.\n```\n", SyntaxError),
        (
            "<!-- file: a.txt -->\n```text\na\n```\n```python\nassert open('a.txt').read()\n```\n",
            None,
        ),
        ("```console\nhybridopt run --seed 1  # again\n```\n", None),
        ("```bash\nls\n```\n", AssertionError),
    ],
)
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
def test_kinds_of_blocks(more, error, tmp_path, monkeypatch):
    page = tmp_path / "page.md"
    page.write_text(PAGE + more, "utf-8")
    if error is None:
        run_page(page, tmp_path, monkeypatch)
    else:
        with pytest.raises(error):
            run_page(page, tmp_path, monkeypatch)


@pytest.mark.parametrize(
    "line",
    [
        "make unknown",
        "hybridopt unknown",
        'python -m pip install ".[unknown]"',
        "python examples/unknown.py",
        "unknown",
    ],
)
def test_unknown_commands(line):
    with pytest.raises(AssertionError, match="unknown"):
        check_command(line)


def test_unknown_option():
    with pytest.raises(Exception, match="No such option: --unknown"):
        check_command("hybridopt run --unknown 1")
