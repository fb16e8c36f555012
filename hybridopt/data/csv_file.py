"""Samples from CSV files: columns of numbers, and one column of classes or targets."""

from __future__ import annotations

import csv
import io
import math
import os
import re
from collections.abc import Sequence
from typing import get_args

import numpy as np
from jaxtyping import Float64, Int64

from hybridopt import _validation
from hybridopt._files import read_bytes
from hybridopt.data.dataset import Samples, Task
from hybridopt.errors import ArgumentError, DataError

SUFFIXES = (".csv", ".tsv")
SEPARATORS = ",;\t"
LARGEST = float(np.finfo(np.float32).max)  # data are float32
MISSING = {"", "na", "n/a", "null", "none", "?"}  # in a first line, no names of columns
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_QUOTED = re.compile(r'"[^"]*"')
Row = tuple[int, list[str]]  # line of the file, counted from 1, and its cells


def is_csv(name: object) -> bool:
    """Return whether a name is the path of a CSV file, not that of a dataset."""
    return isinstance(name, os.PathLike) or (
        isinstance(name, str) and name.lower().endswith(SUFFIXES)
    )


def read_csv(
    path: str | os.PathLike[str], *, target: str | int = -1, task: Task | None = None
) -> Samples:
    """Read a CSV file with one sample per line, separated by commas, semicolons or tabs.

    A first line with words instead of numbers has the names of the columns.

    Args:
        path: Path of the file, in UTF-8.
        target: Name or position of the column with classes or targets; the last by default.
        task: ``"classification"`` or ``"regression"``. None is a classification if all targets are
            integers or any is a word, and otherwise a regression.

    Raises:
        ArgumentError: If no column has the name or position ``target``.
        DataError: If the file cannot be read, lines have different numbers of cells, a feature or
            a target of a regression is missing, not a number or infinite, or there is one class.
    """
    path = _validation.path("name", path)
    if not isinstance(target, str):
        target = _validation.integer("target", target)
    if task is not None:
        _validation.choice("task", task, get_args(Task))
    try:
        text = read_bytes(path).decode("utf-8-sig")
        lines = _lines(text)
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(
            f"`name` must be a CSV file in UTF-8 that can be read (got {path}). "
            f"{_validation.first_line(error)}"
        ) from error
    width = len(lines[0][1]) if lines else 0
    if width < 2:
        raise DataError(f"{path} must have at least two columns, one of them the target.")
    for line, cells in lines:
        if len(cells) != width:
            raise DataError(f"Line {line} of {path} must have {width} cells (got {len(cells)}).")
    header = lines[0][1] if _is_header([cells for _, cells in lines], target) else None
    rows = lines[1:] if header else lines
    if not rows:
        raise DataError(f"{path} must have at least one line of data.")
    names = header or [f"column_{number}" for number in range(width)]
    column = _position(target, names, named=header is not None)
    x = [_numbers(path, rows, place, names) for place in range(width) if place != column]
    cells = [row[column] for _, row in rows]
    if task is None:
        is_real = all(_is_number(cell) for cell in cells) and not all(map(_is_integer, cells))
        task = "regression" if is_real or not any(cells) else "classification"
    features = tuple(name for place, name in enumerate(names) if place != column)
    if task == "regression":
        y = _numbers(path, rows, column, names)
        return Samples(np.stack(x, axis=1), y, features)
    labels, classes = _classes(path, rows, column, names)
    return Samples(np.stack(x, axis=1), labels, features, classes)


def _lines(text: str) -> list[Row]:
    """Return all lines that are not empty, with their cells without blanks around them."""
    first = _QUOTED.sub("", text.lstrip().partition("\n")[0])
    separator = max(SEPARATORS, key=first.count)
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=separator, strict=True, skipinitialspace=True
    )
    rows = [(reader.line_num, [cell.strip() for cell in cells]) for cells in reader]
    return [(line, cells) for line, cells in rows if any(cells)]


def _is_header(lines: Sequence[Sequence[str]], target: str | int) -> bool:
    """Return whether the first line has the names of the columns.

    No feature is a number, or they are 0, 1, ... (as pandas writes them), or only the first target
    is a word.
    """
    if isinstance(target, str):
        return True
    cells, others = lines[0], lines[1:]
    column = target % len(cells)
    features = [cell for place, cell in enumerate(cells) if place != column]
    words = [cell for cell in features if cell.lower() not in MISSING]
    if words and not any(map(_is_number, words)):
        return True
    counted = features == [str(place) for place in range(len(features))]
    above = not _is_number(cells[column]) and cells[column].lower() not in MISSING
    return above and bool(others) and (counted or all(_is_number(row[column]) for row in others))


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _is_integer(cell: str) -> bool:
    return _INTEGER.fullmatch(cell) is not None


def _position(target: str | int, names: Sequence[str], *, named: bool) -> int:
    """Return the position of the target column."""
    if isinstance(target, str):
        if names.count(target) != 1:
            raise ArgumentError(
                f"`target` must be the name of one column: {', '.join(names)} (got {target!r})."
            )
        return names.index(target)
    if not -len(names) <= target < len(names):
        known = f": {', '.join(names)}" if named else ""
        raise ArgumentError(f"`target` must be one of {len(names)} columns{known} (got {target}).")
    return target % len(names)


def _numbers(
    path: os.PathLike[str], rows: Sequence[Row], place: int, names: Sequence[str]
) -> Float64[np.ndarray, " rows"]:
    """Return a column of finite numbers."""
    values = np.empty(len(rows))
    for number, (line, cells) in enumerate(rows):
        try:
            values[number] = float(cells[place])
        except ValueError:
            values[number] = math.nan
        if not abs(values[number]) <= LARGEST:
            raise DataError(
                f"Line {line} of {path} must have a finite number in column {names[place]!r} (got "
                f"{cells[place]!r}), of at most {LARGEST:.1e}. Encode words as numbers; fill in or "
                "drop missing values."
            )
    return values


def _classes(
    path: os.PathLike[str], rows: Sequence[Row], place: int, names: Sequence[str]
) -> tuple[Int64[np.ndarray, " rows"], tuple[str, ...]]:
    """Return the labels 0, 1, ... and the classes, in the order of numbers or of the alphabet."""
    cells = [row[place] for _, row in rows]
    if not all(cells):
        line = rows[cells.index("")][0]
        raise DataError(f"Line {line} of {path} must have a class in column {names[place]!r}.")
    if all(map(_is_integer, cells)):  # 1, +1 and 01 are one class
        cells = [str(int(cell)) for cell in cells]
        classes = sorted(set(cells), key=int)
    else:
        classes = sorted(set(cells))
    if len(classes) < 2:
        raise DataError(
            f"Column {names[place]!r} of {path} must have at least two classes (got {classes}). "
            "Name another column as `target`."
        )
    number = {name: label for label, name in enumerate(classes)}
    return np.array([number[cell] for cell in cells], dtype=np.int64), tuple(classes)
