"""Code blocks of Markdown pages: Python to execute, commands to check.

The Python blocks of a page run in order in one namespace. HTML comments, which no reader sees,
prepare them, with the ``monkeypatch`` of pytest:

- ``<!-- run first: CODE -->`` is executed like a block.
- ``<!-- file: NAME -->`` writes the next block to a file.
- ``<!-- not executed: REASON -->`` only compiles the next block.

A block of the language ``output`` shows the output of the Python block before it;
``...`` stands for any text.
"""

from __future__ import annotations

import contextlib
import doctest
import io
import re
import shlex
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import typer

ROOT = Path(__file__).parents[2]
PART = re.compile(
    r"^<!-- (?P<kind>run first|file|not executed):\s*(?P<comment>.*?)\s*-->$"
    r"|^```(?P<language>\S*)[^\n]*\n(?P<code>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)
NOT_CODE = ("text",)  # and directives of the site, such as {toctree}


@dataclass(frozen=True)
class Block:
    """One fence or one comment of a page."""

    language: str  # of the fence, or the kind of the comment
    code: str
    line: int


def blocks_of(page: Path) -> Iterator[Block]:
    """Yield the fences and comments of a page, in order."""
    text = page.read_text("utf-8")
    for match in PART.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        yield Block(
            match["kind"] or match["language"], match["comment"] or match["code"] or "", line
        )


def run_page(page: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Execute the blocks of a page in ``folder``, which becomes the working directory."""
    monkeypatch.chdir(folder)
    namespace: dict[str, object] = {"__name__": "__main__", "monkeypatch": monkeypatch}
    printed, mark = "", None
    for block in blocks_of(page):
        if block.language in {"file", "not executed"}:
            mark = block
            continue
        if mark is not None and mark.language == "file":
            (folder / mark.code).write_text(block.code, "utf-8")
        elif block.language in {"python", "run first"}:
            place = "\n" * block.line + block.code  # so that errors name lines of the page
            code = compile(place, str(page), "exec")
            if mark is None:
                with contextlib.redirect_stdout(io.StringIO()) as stream:
                    exec(code, namespace)
                printed = stream.getvalue()
        elif block.language == "output":
            check_output(block, printed)
        elif block.language == "console":
            for command in block.code.splitlines():
                check_command(command)
        else:
            assert block.language in NOT_CODE or block.language.startswith("{"), block
        mark = None


def check_output(block: Block, printed: str) -> None:
    """Compare a shown output with the printed one."""
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    same = doctest.OutputChecker().check_output(block.code, printed, flags)
    assert same, f"line {block.line} shows\n{block.code}but the code prints\n{printed}"


def check_command(line: str) -> None:
    """Check that a command exists, with its options, targets, extras and files."""
    words = shlex.split(line, comments=True)
    while words and re.fullmatch(r"[A-Z_]+=\S*", words[0]):
        del words[0]  # variables of the environment
    if not words:
        return
    command, *arguments = words
    if Path(command).name.startswith("python"):
        check_python(arguments)
    elif Path(command).name == "hybridopt":
        check_hybridopt(arguments)
    elif command == "make":
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
        assert set(arguments) <= set(targets), line
    else:
        assert command in {"git", "cd", "source", "dask", "nvidia-smi"}, line


def check_python(arguments: list[str]) -> None:
    """Check a call of Python: code, an existing script, or a module with existing extras."""
    if arguments[0] == "-c":
        compile(arguments[1], "command", "exec")
        return
    if arguments[0] != "-m":
        assert (ROOT / arguments[0]).is_file(), arguments
        return
    assert arguments[1] in {"pip", "venv", "hybridopt"}, arguments
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    for extras in re.findall(r"(?:\.|hybridopt-qiskit)\[([^]]*)\]", " ".join(arguments)):
        assert set(extras.split(",")) <= set(project["optional-dependencies"]), arguments
    if arguments[1] == "hybridopt":
        check_hybridopt(arguments[2:])


def check_hybridopt(arguments: list[str]) -> None:
    """Parse a call of our command, without running it."""
    from hybridopt.cli import app  # after the import hook of --shapes

    commands = typer.main.get_command(app).commands
    if not arguments[0].startswith("-"):
        command = commands.get(arguments[0])
        assert command is not None, arguments
        command.make_context(arguments[0], arguments[1:])
