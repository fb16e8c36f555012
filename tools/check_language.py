"""Check the language of all texts: docstrings, comments, messages, Markdown pages and notebooks.

Run ``python tools/check_language.py``. The limits are in ``pyproject.toml``, table
``[tool.language]``: a share for patterns that no text avoids wholly, otherwise the highest count
that is allowed. A limit may only fall. ``--show`` prints each place; folders or files as arguments
restrict the check to them. Lines between ``# language: off`` and ``# language: on`` are not
checked; in Markdown, these marks are HTML comments.
"""

from __future__ import annotations

import argparse
import ast
import io
import json
import re
import sys
import tokenize
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGES = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")
PLACES = ("hybridopt", "tests", "tools", "examples", "notebooks", "circuits", "docs", *PAGES)
LONGEST_SENTENCE = 30  # words

UNITS = (
    "setting|shot|angle|weight|sample|row|run|number|bit|output|letter|second|file|command|circuit"
    "|parameter|rotation|vector|gate|layer|table|step|call|job|point|block|column|qubit|image|seed"
)
# language: off
WORDS = {
    "`a` for `per`": rf"\b(?:{UNITS}|unit|one|two|three|four)s? an? "
    r"(?:setting|weight|sample|step|file|method|circuit|layer|row|term|angle|epoch|batch|qubit"
    r"|tensor|column|group|gate|shot|seed|run|pass|call|patch|class|output|place|line|competitor)\b",
    "`is no X` for `is not an X`": r"\b(?:is|are|be|was|were) no (?!longer|more|other|effect)\w+",
    "`gradient by x` for `with respect to x`": r"\b(?:derivatives?|differentiated|differentiates?"
    r"|gradients?|slopes?|Jacobian)\s+(?:of [^.,;]{1,40} )?by "
    r"(?:the (?!rule)|all |its |x\b|inputs?\b|weights?\b|angles?\b|rows\b)",
    "private words": r"\b(?:anew|alike|likewise|thaw\w*|foret(?:ell|old)\w*|betrays?|mourn\w*"
    r"|thence|whence|hence|thus|stood|of (?:one|its|their)'?s? own accord|at the door|as ever)\b",
    "`tell` for `report` or `distinguish`": r"\b(?:tells?|told|telling)\b",
    "`stand` for `be`": r"\bstands?\b(?! for| in for)",
    "`so many` as a number": r"\bso many\b",
    "`what is ...` as a noun": r"\b[Ww]hat (?:is|was|are|were|it|they|he|a |an |the |has|have"
    r"|had|must|can|may|becomes?|came|comes|runs?|reads?)\b(?![^.?!]*\?)",
}
# language: on
QUESTION = re.compile(r"(?:What|How|Which|Where|When|Why)\b")
WHETHER = re.compile(r"Whether\b")
PREPOSITION = re.compile(
    r"(?:Of|As|By|In|For|From|With|Without|To|On|At|Into|Per|Like|Under|Over|Between|Behind"
    r"|Before|After|Within|Among|Above|Below)\b"
)
ARGUMENT = re.compile(r"^\s{4,}\*{0,2}\w+(?: \([^)]*\))?: (?P<text>\S.*)$")


@dataclass(frozen=True)
class Text:
    """A text, its place, and the part of speech that its first line should be."""

    place: str
    content: str
    kind: str  # docstring, property, comment, help, message, page


@dataclass
class Count:
    """Places at which a pattern was found, among ``total`` texts of its kind."""

    found: list[str]
    total: int = 0

    @property
    def share(self) -> float:
        """Share of the texts in which the pattern was found."""
        return len(self.found) / max(self.total, 1)


def texts_of(path: Path) -> Iterator[Text]:
    """Yield all texts of a Python file, a Markdown page or a notebook."""
    name = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
    if path.suffix == ".py":
        source = path.read_text("utf-8")
        hidden = hidden_lines(source)
        for text in python_texts(str(name), source):
            if int(text.place.rsplit(":", 1)[1]) not in hidden:
                yield text
    elif path.suffix == ".md":
        yield Text(f"{name}:1", path.read_text("utf-8"), "page")
    else:
        for number, cell in enumerate(json.loads(path.read_text("utf-8"))["cells"]):
            source = "".join(cell["source"])
            if cell["cell_type"] == "markdown":
                yield Text(f"{name}, cell {number}", source, "page")
            elif not source.startswith(("%", "!")):
                yield from python_texts(f"{name}, cell {number}", source)


def python_texts(name: str, source: str) -> Iterator[Text]:
    """Yield docstrings, comments and those strings that hold several words."""
    tree = ast.parse(source)
    docstrings = set()
    for node in ast.walk(tree):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if text := ast.get_docstring(node):
            docstrings.add(id(node.body[0].value))  # type: ignore[attr-defined]
            yield Text(f"{name}:{node.body[0].lineno}", text, kind_of(node))
    keywords = [node for node in ast.walk(tree) if isinstance(node, ast.keyword)]
    helps = {id(keyword.value) for keyword in keywords if keyword.arg == "help"}
    for node in ast.walk(tree):
        text = message_of(node)
        if id(node) not in docstrings and is_prose(text):
            kind = "help" if id(node) in helps else "message"
            yield Text(f"{name}:{getattr(node, 'lineno', 1)}", text, kind)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield Text(f"{name}:{token.start[0]}", token.string.lstrip("# "), "comment")


def is_prose(text: str) -> bool:
    """Return whether a string has several words and is not code."""
    is_code = len(re.findall(r";\s", text)) > 2 or re.match(r"\s*import ", text)
    return len(re.findall(r"[A-Za-z]{2,}", text)) > 3 and not is_code


def hidden_lines(source: str) -> set[int]:
    """Return the lines between ``# language: off`` and ``# language: on``."""
    hidden: set[int] = set()
    start = None
    for number, line in enumerate(source.splitlines(), 1):
        if line.strip() == "# language: off":
            start = number
        elif line.strip() == "# language: on" and start is not None:
            hidden |= set(range(start, number))
    return hidden


def kind_of(node: ast.AST) -> str:
    """Return `property` for a property, otherwise `docstring`."""
    marks = {ast.unparse(mark) for mark in getattr(node, "decorator_list", ())}
    return "property" if any(mark.endswith("property") for mark in marks) else "docstring"


def message_of(node: ast.AST) -> str:
    """Return the text of a string or an f-string, its fields as `{}`; otherwise an empty text."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(
            str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values
        )
    return ""


def prose(text: Text) -> str:
    """Return a text without code, formulas, tables and sources."""
    content = re.sub(
        r"<!-- language: off -->.*?<!-- language: on -->|```.*?```|~~~.*?~~~|\$\$.*?\$\$|<[^>\n]*>",
        " ",
        text.content,
        flags=re.DOTALL,
    )
    content = re.sub(r"^\s*==+ =.*^\s*==+ =.*?$", " ", content, flags=re.DOTALL | re.MULTILINE)
    content = re.sub(r"^\s*(?:>>>|\.\.\. ?|#!|\.\. math).*$", "\n", content, flags=re.MULTILINE)
    if text.kind in {"docstring", "property"}:
        content = content.split("\nReferences:")[0]
    content = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", content)
    return re.sub(r"``.*?``|:\w+:`.*?`|`[^`\n]*`|\$[^$\n]*\$", "X", content)


def sentences_of(text: Text) -> Iterator[str]:
    """Yield the sentences of a text; items of lists and arguments count each for itself."""
    blocks = re.split(
        r"\n\s*\n|\||\n\s*(?:[-*#>]|\d+\.) |\n\s+\w+: |^#+ ", prose(text), flags=re.MULTILINE
    )
    for block in blocks:
        yield from re.split(r"(?<=[.!?])\s+", " ".join(block.split()))


def count_patterns(texts: list[Text]) -> dict[str, Count]:
    """Return the places of each pattern in the texts."""
    counts = {
        name: Count([])
        for name in (
            *WORDS,
            "question openers",
            "whether openers",
            "preposition openers",
            "long sentences",
        )
    }
    for text in texts:
        if text.kind in {"docstring", "property", "help"}:
            count_openers(text, counts)
        for sentence in sentences_of(text):
            words = len(re.findall(r"\S*[A-Za-z]\S*", sentence))
            counts["long sentences"].total += words > 2
            if words > LONGEST_SENTENCE:
                counts["long sentences"].found.append(f"{text.place}: {sentence}")
        content = prose(text)
        for name, pattern in WORDS.items():
            counts[name].total += 1
            matches = re.finditer(pattern, content)
            counts[name].found.extend(f"{text.place}: {match[0]}" for match in matches)
    return counts


def count_openers(text: Text, counts: dict[str, Count]) -> None:
    """Count how the docstring and its argument lines begin."""
    first = text.content.splitlines()[0]
    openings = [("question openers", QUESTION, first)]
    if text.kind == "help":
        openings.append(("preposition openers", PREPOSITION, first))
    if text.kind == "docstring":
        openings.append(("whether openers", WHETHER, first))
    sections = re.split(r"^(?:Args|Attributes|Returns|Yields):$", text.content, flags=re.MULTILINE)
    for section in sections[1:]:
        arguments = filter(None, map(ARGUMENT.match, section.splitlines()))
        openings += [("preposition openers", PREPOSITION, match["text"]) for match in arguments]
    for name, pattern, line in openings:
        count = counts[name]
        count.total += 1
        count.found += [f"{text.place}: {line}"] if pattern.match(line) else []


def files_in(places: list[Path]) -> Iterator[Path]:
    """Yield the Python files, pages and notebooks in folders; a file yields itself."""
    for place in places:
        if place.is_file():
            yield place
        for path in sorted(place.rglob("*")) if place.is_dir() else ():
            hidden = any(
                part.startswith((".", "_build")) for part in path.parts[len(place.parts) :]
            )
            if path.suffix in {".py", ".md", ".ipynb"} and not hidden:
                yield path


def main() -> int:
    """Print the counts beside their limits; return 1 if one is over its limit."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("places", nargs="*", type=Path, help="Folders or files; all by default.")
    parser.add_argument("--show", action="store_true", help="Print each place that was found.")
    arguments = parser.parse_args()
    limits = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["language"]
    places = [path.resolve() for path in arguments.places] or [ROOT / place for place in PLACES]
    counts = count_patterns([text for path in files_in(places) for text in texts_of(path)])
    failed = False
    for name, count in counts.items():
        limit = limits[name]
        found = count.share if isinstance(limit, float) else len(count.found)
        failed |= found > limit
        shown = f"{found:.2%}" if isinstance(limit, float) else str(found)
        highest = f"{limit:.0%}" if isinstance(limit, float) else str(limit)
        print(f"{'over ' if found > limit else 'ok   '}{name:42} {shown:>7}  limit {highest}")
        if arguments.show or found > limit:
            print("".join(f"       {place}\n" for place in count.found), end="")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
