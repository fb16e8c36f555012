"""Pages that list something list all of it."""

from __future__ import annotations

import re
import tomllib

import pytest

from hybridopt.cli.entry import COMMANDS
from tests.docs.code_blocks import ROOT

LESSONS = {path.name for path in (ROOT / "notebooks").glob("*.ipynb")}
PICTURES = {path.name for path in (ROOT / "examples" / "pictures").glob("*.png")}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


@pytest.mark.parametrize(
    ("page", "form", "wanted"),
    [
        ("lessons", r"notebooks/([\w.]+\.ipynb)", LESSONS),
        ("gallery", r"examples/pictures/([\w.]+)", PICTURES),
        ("install", r"^\| `([\w-]+)` \|", set(PROJECT["optional-dependencies"])),
        ("howto/command_line", r"^\| `hybridopt (\w+)", set(COMMANDS)),
    ],
)
def test_list_is_complete(page, form, wanted):
    text = (ROOT / "docs" / f"{page}.md").read_text("utf-8")
    assert set(re.findall(form, text, re.MULTILINE)) == wanted


def test_drawings_keep_their_colours_apart():
    """A drawing in a page takes the colours of the page; its own style would change the page."""
    for path in (ROOT / "docs" / "pictures").glob("*.svg"):
        text = path.read_text("utf-8")
        inner = re.sub(r"<style>.*?</style>", "", text, flags=re.DOTALL)
        assert text.count("<style>") == 1
        assert "style" not in inner
        assert not re.search(r'(?:fill|stroke)="#', inner), path.name


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "circuits/README.md"])
def test_links_lead_to_files_and_headings(page):
    """Links of pages outside of `docs/`; the site checks those of its own pages."""
    for link in re.findall(r"\]\((?!https?:)([^)]+)\)", (ROOT / page).read_text("utf-8")):
        path, _, heading = link.partition("#")
        target = (ROOT / page).parent / path
        assert target.exists(), link
        if heading:
            titles = re.findall(r"^#+ (.*)$", target.read_text("utf-8"), re.MULTILINE)
            slugs = {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}
            assert heading in slugs, link


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text("utf-8").split()) <= 900
