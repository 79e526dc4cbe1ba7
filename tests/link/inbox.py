"""
A place where callbacks of other threads put what they got, and a test waits for it.
"""

from __future__ import annotations

import queue
from typing import Generic, TypeVar

T = TypeVar("T")


class Inbox(Generic[T]):
    """
    A callback that keeps what it is called with.
    """

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[T] = queue.SimpleQueue()

    def __call__(self, item: T) -> None:
        self._queue.put(item)

    def get(self, timeout: float = 20.0) -> T:
        """
        Wait for the next item.

        Args:
            timeout: Seconds until the test fails.

        Raises:
            queue.Empty: Nothing came in time.
        """
        return self._queue.get(timeout=timeout)

    def take(self, count: int) -> list[T]:
        """
        Wait for so many items.
        """
        return [self.get() for _ in range(count)]

    @property
    def is_empty(self) -> bool:
        """Whether everything that came was taken."""
        return self._queue.empty()
