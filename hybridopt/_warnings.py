"""Warnings of other packages that a block ignores, also if several threads run such blocks."""

from __future__ import annotations

import threading
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_blocks: Counter[tuple[str, type[Warning]]] = Counter()  # blocks that run now
_filters: dict[tuple[str, type[Warning]], object] = {}
_changing = threading.Lock()


@contextmanager
def ignored_warnings(message: str = "", category: type[Warning] = Warning) -> Iterator[None]:
    """Ignore warnings whose texts match a pattern at their start, and of a category, in a block.

    ``warnings.catch_warnings`` restores all filters at its end. In several threads, this may leave
    the filter of another thread forever. This block adds and removes only its own filter.
    """
    key = (message, category)
    with _changing:
        _blocks[key] += 1
        if _blocks[key] == 1:
            # the comment in the pattern makes it different from a filter of the user
            warnings.filterwarnings("ignore", f"(?#hybridopt){message}", category)
            _filters[key] = warnings.filters[0]
    try:
        yield
    finally:
        with _changing:
            _blocks[key] -= 1
            if not _blocks[key]:
                _remove(_filters.pop(key))


def _remove(entry: object) -> None:
    filters = warnings.filters  # another one than at the start, inside of `catch_warnings`
    with suppress(ValueError):  # removed by the user
        filters.remove(entry)  # type: ignore[attr-defined]
