"""
What a signal calls when it aborts, before its listeners: each once, whatever the others raise.

Not for listeners, which a user adds. The thing to know before a change: any thread adds and takes
back, and an abort may come in a signal handler at any line; so what decides are single steps, and
what a handler has broken off, the next run does first.
"""

from __future__ import annotations

from webworker_executor.web.listener import call_each, identity

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator

    Algorithm = Callable[[], object]


class Algorithms:
    """
    Calls that wait for an abort.

    Source: DOM, "abort algorithms" of an ``AbortSignal``.
    """

    __slots__ = ("_begun", "_waiting")

    def __init__(self) -> None:
        self._waiting: dict[Hashable, Algorithm] = {}
        # Out of those, and not through. More than one only where a handler has broken them off.
        self._begun: dict[Hashable, Algorithm] = {}

    def __bool__(self) -> bool:
        return bool(self._waiting or self._begun)

    def add(self, algorithm: Algorithm) -> None:
        """Have it called by the next run; no effect if it waits already."""
        self._waiting[identity(algorithm)] = algorithm

    def remove(self, algorithm: Algorithm) -> bool:
        """Take it back; returns whether it waited, and so will not be called."""
        return self._waiting.pop(identity(algorithm), None) is not None

    def run(self, report: Callable[[Exception], object]) -> None:
        """
        Call all that wait; by one thread at a time.

        Args:
            report: Takes each ``Exception``.

        Raises:
            BaseException: The first that is none, after the other calls. If a signal handler has
                raised it, the next run makes the call once more that was broken off.
        """
        call_each(self._begin(), self._call, report)

    def _begin(self) -> Iterator[Hashable]:
        yield from tuple(self._begun)
        # The youngest first: of tasks that end by it, those that wait are withdrawn before those
        # that run, so that none begins in the place of another.
        for key in reversed(tuple(self._waiting)):
            # Whoever takes it out calls it: so it is called once. No call stands between the steps,
            # as `pop` would: what a handler raised there would take the algorithm along.
            try:
                self._begun[key] = self._waiting[key]
                del self._waiting[key]
            except KeyError:
                # Taken back meanwhile.
                self._begun.pop(key, None)
            else:
                yield key

    def _call(self, key: Hashable) -> None:
        try:
            self._begun[key]()
        except Exception:
            self._begun.pop(key)
            raise
        self._begun.pop(key)
