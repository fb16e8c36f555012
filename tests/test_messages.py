"""All messages of errors and warnings, compared with one file: a new wording is one reviewed diff.

Messages are collected from the source: strings in ``raise`` statements, in calls of error and
warning classes, and in constants and functions of the same module that such a statement uses.
Run ``python tests/test_messages.py`` to write the file ``messages.txt`` after a change.
"""

import ast
import collections
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SNAPSHOT = Path(__file__).with_name("messages.txt")
FEWEST_WORDS = 3  # shorter strings are names, keys or parts of a message
FORM = "`` must be  (got )."  # the form of all messages; fields hold all words of such a message


def strings(node: ast.AST) -> Iterator[str]:
    """Yield strings and f-strings in an expression; fields of f-strings keep their code."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        yield "".join(map(shown, node.values))
    else:
        for child in ast.iter_child_nodes(node):
            yield from strings(child)


def shown(part: ast.expr) -> str:
    """Return a part of an f-string: its text, or its field in braces."""
    if isinstance(part, ast.Constant):
        return str(part.value)
    conversion = "!r" if part.conversion == ord("r") else ""  # type: ignore[attr-defined]
    return f"{{{ast.unparse(part.value)}{conversion}}}"  # type: ignore[attr-defined]


def is_message(node: ast.AST) -> bool:
    """Return whether a statement or call gives a message to the user."""
    if isinstance(node, ast.Call):
        called = ast.unparse(node.func).rsplit(".", 1)[-1]
        return called == "warn" or called.endswith(("Error", "Warning", "_message"))
    return isinstance(node, ast.Raise)


def messages_in(source: str) -> list[str]:
    """Return the messages of a module, sorted."""
    tree = ast.parse(source)
    definitions = {
        name: node
        for node in tree.body
        for name in (
            [node.name]
            if isinstance(node, ast.FunctionDef)
            else [ast.unparse(target) for target in getattr(node, "targets", ())]
        )
    }
    found = set()
    waiting = [node for node in ast.walk(tree) if is_message(node)]
    done = set()
    while waiting:
        node = waiting.pop()
        body = (
            node.body[1:]
            if isinstance(node, ast.FunctionDef) and ast.get_docstring(node)
            else [node]
        )
        for part in body:
            found |= {text for text in strings(part) if len(text.split()) >= FEWEST_WORDS}
        used = {
            part.id for part in ast.walk(node) if isinstance(part, ast.Name)
        } & definitions.keys()
        waiting += [definitions[name] for name in used - done]
        done |= used
    return sorted(found)


def all_messages() -> dict[str, list[str]]:
    """Return the messages of each module that has any."""
    modules = sorted((ROOT / "hybridopt").rglob("*.py"))
    found = {
        path.relative_to(ROOT).as_posix(): messages_in(path.read_text("utf-8")) for path in modules
    }
    return {name: messages for name, messages in found.items() if messages}


def written(messages: dict[str, list[str]]) -> str:
    """Return the text of the snapshot file."""
    return "\n".join(
        f"{name}\n" + "".join(f"    {' '.join(text.split())}\n" for text in texts)
        for name, texts in messages.items()
    )


def test_messages_are_those_of_the_snapshot():
    assert written(all_messages()) == SNAPSHOT.read_text("utf-8"), (
        "Messages changed. Read the difference, then run `python tests/test_messages.py`."
    )


def test_no_message_is_written_in_two_places():
    places = collections.defaultdict(list)
    for name, texts in all_messages().items():
        for template in (re.sub(r"\{.*?\}", "", text) for text in texts):
            if template != FORM and len(re.findall(r"[A-Za-z]{2,}", template)) >= FEWEST_WORDS:
                places[template].append(name)
    twice = {text: names for text, names in places.items() if len(names) > 1}
    assert not twice


if __name__ == "__main__":
    SNAPSHOT.write_text(written(all_messages()), "utf-8")
