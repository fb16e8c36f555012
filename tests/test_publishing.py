"""Files that a published project has: citation, container, templates, security note."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml

import hybridopt as ho

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
TEMPLATES = sorted((ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml"))


def test_the_citation_agrees_with_the_project():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert citation["cff-version"] == "1.2.0"
    assert {"message", "title", "authors"} <= set(citation)  # required by the format
    assert citation["version"] == PROJECT["version"] == ho.__version__
    assert citation["license"] == PROJECT["license"]
    assert [author["name"] for author in citation["authors"]] == [
        author["name"] for author in PROJECT["authors"]
    ]


def instructions() -> list[tuple[str, str]]:
    """Return the instructions of the Dockerfile with joined lines, without comments."""
    text = (ROOT / "Dockerfile").read_text("utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines)]


def test_the_container():
    found = instructions()
    assert {word for word, _ in found} <= {
        "FROM", "WORKDIR", "COPY", "RUN", "ENV", "USER", "ENTRYPOINT", "CMD",
    }  # fmt: skip
    for word, rest in found:
        if word == "FROM":  # a fixed version
            assert re.match(r"python:3\.\d+\.\d+-slim-\w+( AS build)?$", rest)
        if word == "RUN":
            assert rest.count("pip install") + rest.count("pip wheel") == rest.count("no-cache-dir")
        if word == "COPY" and "--from" not in rest:
            for name in rest.split()[:-1]:
                assert (ROOT / name).exists(), name
    words = [word for word, _ in found]
    (user,) = (rest for word, rest in found if word == "USER")
    assert user not in {"root", "0"}
    assert "USER" in words[words.index("FROM", 1) :]  # in the last stage, after installation
    assert words.index("USER") > len(words) - 1 - words[::-1].index("RUN")
    assert dict(found)["ENTRYPOINT"] == '["hybridopt"]'


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_issue_templates(path):
    content = yaml.safe_load(path.read_text("utf-8"))
    if path.stem == "config":
        assert set(content) <= {"blank_issues_enabled", "contact_links"}
        return
    assert {"name", "description", "body"} <= set(content)
    names = [part["id"] for part in content["body"]]
    assert len(set(names)) == len(names)
    assert all(part["attributes"]["label"] for part in content["body"])


def test_the_security_note_names_what_reads_files():
    text = (ROOT / "SECURITY.md").read_text("utf-8")
    for name in re.findall(r"`hybridopt\.([\w.]+)", text):
        assert hasattr(ho, name.partition(".")[0])
    assert ".ho" in text
    assert "file.py:function" in text
