"""
Functions and classes by ident, of which only the latest under each name are kept.

For: a process that lives for months, in which the same cell of a notebook is run again and again.
Each time it makes another function and another class by the same name.
Not for: telling whether two of them are the same. What others keep can be found as long as they do.
"""

from __future__ import annotations

import weakref
from collections import deque

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

__all__ = ["MOST", "Generations"]

MOST = 8
"""How many under one name: tasks that were given earlier ones may still run, and return them."""


class Generations:
    """
    A table of functions and classes by ident.

    Adding and finding may be done by any thread.
    """

    __slots__ = ("_kept", "_lapsed", "_lines")

    def __init__(self) -> None:
        self._kept: dict[str, object] = {}
        self._lapsed: weakref.WeakValueDictionary[str, Any] = weakref.WeakValueDictionary()
        # Under each name the idents of those that are kept, oldest first.
        self._lines: dict[tuple[str, str], deque[str]] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def add(self, ident: str, obj: Any) -> None:
        """
        Add an object, unless it is there; the oldest of its name is kept no longer.

        Args:
            ident: Its own, and no other object's.
            obj: A function or class.
        """
        if ident in self._kept:
            return
        self._kept[ident] = obj
        line = self._lines.setdefault((obj.__module__, obj.__qualname__), deque())
        line.append(ident)
        if len(line) > MOST:
            oldest = line.popleft()
            # First the one, then the other: at each moment it is found.
            self._lapsed[oldest] = self._kept[oldest]
            del self._kept[oldest]

    def find(self, ident: str) -> object | None:
        """Find an object that somebody keeps; ``None`` if nobody does."""
        found = self._kept.get(ident)
        return self._lapsed.get(ident) if found is None else found

    def items(self) -> Iterator[tuple[str, object]]:
        """Yield those that are kept here."""
        return iter(list(self._kept.items()))

    def clear(self) -> None:
        """Forget them all."""
        self._kept.clear()
        self._lapsed.clear()
        self._lines.clear()
