"""
What is due at a time on a worker's main thread, and in which order.

Not for waiting: ``turns`` does. Nothing here reads the clock either: the time is an argument.

The thing to know before a change: any thread adds and clears, and so does a signal handler at any
line; the main thread alone asks what is due. So the heap is the main thread's, and others leave
what they add beside it; each step of theirs is one call into C.
"""

from __future__ import annotations

from _heapq import heapify, heappop, heappush
from itertools import count

from webworker_executor.web.seconds import as_seconds
from webworker_executor.wire.shown import shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

# The heap may hold this many cancelled calls, and more, before it pays to look through it.
_SPARSE = 64


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
        # By number, those that are not yet in the heap.
        self._added: dict[int, tuple[float, int, int]] = {}
        self._active: dict[int, Timer] = {}
        self._idents = count(1)
        self._order = count()

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
        ident = next(self._idents)
        self._active[ident] = Timer(callback, args, delay if repeats else None)
        self._schedule(now + delay, ident)
        return ident

    def _schedule(self, when: float, ident: int) -> None:
        # What is due at the same time comes in the order in which it was asked for.
        self._added[ident] = (when, next(self._order), ident)

    def clear(self, ident: int | None) -> None:
        """Forget a timer; nothing happens if there is none of that number."""
        self._active.pop(ident, None)  # type: ignore[arg-type]  # None is in no dict of ints
        self._added.pop(ident, None)  # type: ignore[arg-type]  # as above

    def next_at(self) -> float | None:
        """Return when the next one is due, ``None`` if there is none; on the main thread."""
        while self._added:
            # No call stands between the look and this: another thread may clear it.
            _, entry = self._added.popitem()
            heappush(self._heap, entry)
        if len(self._heap) > 2 * len(self) + _SPARSE:
            self._heap = [entry for entry in self._heap if entry[2] in self._active]
            heapify(self._heap)
        while self._heap and self._heap[0][2] not in self._active:
            heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def take(self, now: float) -> Timer | None:
        """Take one that is due; one that repeats is due again ``interval`` after now."""
        while True:
            when = self.next_at()
            if when is None or when > now:
                return None
            ident = heappop(self._heap)[2]
            timer = self._active.get(ident)
            if timer is None:
                # Cleared a moment ago, by another thread.
                continue
            if timer.interval is None:
                self._active.pop(ident, None)
            else:
                self._schedule(now + timer.interval, ident)
            return timer
