"""
Classes that came by value, of which only the latest under each name are kept.

For: a worker that lives for months, to which the same cell of a notebook sends another class by the
same name each time that it is run.
Not for: finding them. What others keep is found as long as they do.
"""

from __future__ import annotations

from collections import deque

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["MOST", "Generations"]

MOST = 8
"""How many under one name: tasks that were given earlier ones may still come."""


class Generations:
    """
    Keeps classes by ident.

    Adding may be done by any thread.
    """

    __slots__ = ("_kept", "_lines")

    def __init__(self) -> None:
        self._kept: dict[str, object] = {}
        # Under each name the idents of those that are kept, oldest first.
        self._lines: dict[tuple[str, str], deque[str]] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def add(self, ident: str, cls: Any) -> None:
        """
        Keep a class, unless it is kept; the oldest of its name is kept no longer.

        Args:
            ident: Its own, and no other class's.
            cls: The class.
        """
        if ident in self._kept:
            return
        self._kept[ident] = cls
        line = self._lines.setdefault((cls.__module__, cls.__qualname__), deque())
        line.append(ident)
        if len(line) > MOST:
            del self._kept[line.popleft()]
