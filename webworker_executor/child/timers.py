"""
What is due at a time on a worker's main thread, and in which order.

Not for waiting: ``turns`` does. Nothing here reads the clock either: the time is an argument.
"""

from __future__ import annotations

from _heapq import heapify, heappop, heappush

from webworker_executor.web.seconds import as_seconds
from webworker_executor.wire.shown import shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class Timer:
    """One call to come: what, with what, and after how many seconds again."""

    __slots__ = ("args", "callback", "interval")

    def __init__(
        self, callback: Callable[..., object], args: tuple[Any, ...], interval: float | None
    ) -> None:
        self.callback = callback
        self.args = args
        self.interval = interval


class Timers:
    """
    A heap of times, and by number the timers that were not cleared.

    Source: HTML, "map of active timers".
    """

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, int]] = []
        self._active: dict[int, Timer] = {}
        self._n_made = 0
        self._n_scheduled = 0

    def __len__(self) -> int:
        return len(self._active)

    def add(
        self,
        now: float,
        delay: float,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        *,
        repeats: bool = False,
    ) -> int:
        """
        Add a timer.

        Returns:
            Its number, from 1.

        Raises:
            TypeError: The callback cannot be called, or the delay is no number.
        """
        if not callable(callback):
            raise TypeError(f"a timer calls something, and {shown(callback)} cannot be called")
        # The greater of 0 and what is no number (NaN) is 0.
        delay = max(0.0, as_seconds("delay", delay))
        self._n_made += 1
        self._active[self._n_made] = Timer(callback, args, delay if repeats else None)
        self._schedule(now + delay, self._n_made)
        return self._n_made

    def _schedule(self, when: float, ident: int) -> None:
        # What is due at the same time comes in the order in which it was asked for.
        self._n_scheduled += 1
        heappush(self._heap, (when, self._n_scheduled, ident))

    def clear(self, ident: int | None) -> None:
        """Forget a timer; nothing happens if there is none of that number."""
        if self._active.pop(ident, None) is not None and len(self._heap) > 2 * len(self) + 64:  # type: ignore[arg-type]  # None is in no dict of ints
            self._heap = [entry for entry in self._heap if entry[2] in self._active]
            heapify(self._heap)

    def next_at(self) -> float | None:
        """Return when the next one is due, ``None`` if there is none."""
        while self._heap and self._heap[0][2] not in self._active:
            heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def take(self, now: float) -> Timer | None:
        """Take one that is due; one that repeats is due again ``interval`` after now."""
        when = self.next_at()
        if when is None or when > now:
            return None
        ident = heappop(self._heap)[2]
        timer = self._active[ident]
        if timer.interval is None:
            del self._active[ident]
        else:
            self._schedule(now + timer.interval, ident)
        return timer
