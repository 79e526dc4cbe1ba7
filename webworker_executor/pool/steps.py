"""
Steps: events applied one at a time, by whichever thread brings one.

Whoever brings an event puts it into the inbox and takes the lock; who holds the lock applies all
that is in the inbox. No code of a user runs meanwhile.

What a changer must know: on the main thread a signal handler may run between any two calls, and a
finalizer may in any thread. If it comes back in here, it finds the step under way, leaves its event
and returns; the outer call takes it. If it raises, the step is torn: then what the step was
changing cannot be believed, and the next thing that happens, on the reactor if nowhere earlier, is
``recover``.
"""

from __future__ import annotations

import threading
from collections import deque

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Generic, TypeVar

    Outcome = TypeVar("Outcome")
    Event = Callable[..., Outcome]
else:
    # The type checker's alone: to import it takes 3 ms.
    Outcome = None

    class Generic:
        """Stands for that of ``typing``."""

        def __class_getitem__(cls, parameter: object) -> type:
            return cls


class Steps(Generic[Outcome]):
    """
    The inbox and the lock of a pool.

    Args:
        recover: Called under the lock after a torn step, before anything else is applied.
        retry: Called when a step was torn: must see to it that ``run`` is called, soon, elsewhere.

    Attributes:
        perform: Called under the lock with what an event returned, unless that is empty; to be set
            before the first event.
        lock: Held during each step. Reentrant, so that a handler cannot lock out its own thread.
        inbox: What was brought and is not done with; ``recover`` may change it.
    """

    def __init__(
        self,
        recover: Callable[[], object],
        retry: Callable[[], object],
    ) -> None:
        self.perform: Callable[[Outcome], object]
        self._recover = recover
        self._retry = retry
        self.lock = threading.RLock()
        self.inbox: deque[tuple[Event[Outcome], tuple[Any, ...]]] = deque()
        self._is_under_way = False
        self._is_torn = False
        self._has_failed: tuple[Event[Outcome], tuple[Any, ...]] | None = None
        self._suspect: tuple[Event[Outcome], tuple[Any, ...]] | None = None

    def bring(self, event: Event[Outcome], *args: Any) -> None:
        """Apply ``event(*args)`` after all that was brought before; at once if nobody else does."""
        try:
            self.inbox.append((event, args))
            self.run()
        except BaseException:
            if not self._is_torn:
                # Torn before the step began: the event is there, and nobody looks.
                self.tear()
            raise

    def do(self, event: Event[Outcome], *args: Any) -> None:
        """
        Apply ``event(*args)`` with the lock in hand, after all that was brought before.

        For an event that ``recover`` finds without the inbox: it is not put there.
        """
        if self._is_under_way or self._is_torn or self.inbox:
            self.bring(event, *args)
            return
        self._is_under_way = True
        try:
            outcome = event(*args)
            if outcome:
                self.perform(outcome)
            if self.inbox:
                # What a signal handler brought meanwhile.
                self._do_inbox()
        except BaseException:
            self.tear()
            raise
        finally:
            self._is_under_way = False

    def apply(self, event: Event[Outcome], *args: Any) -> None:
        """
        Apply ``event(*args)`` now, in this thread and no other; for the reactor's thread.

        What processes report is exact and cannot be applied twice. No signal handler runs on that
        thread, so it is never torn there.
        """
        with self.lock:
            if self._is_under_way:
                self.inbox.append((event, args))
            else:
                self._step((event, args))

    def run(self) -> None:
        """Apply what is in the inbox."""
        with self.lock:
            if not self._is_under_way:
                self._step(None)

    def _step(self, first: tuple[Event[Outcome], tuple[Any, ...]] | None) -> None:
        self._is_under_way = True
        try:
            self._mend()
            if first is not None:
                self._do(*first)
            self._do_inbox()
        except BaseException:
            self.tear()
            raise
        finally:
            self._is_under_way = False

    def _mend(self) -> None:
        if self._is_torn:
            self._is_torn = False
            self._recover()

    def _do(self, event: Event[Outcome], args: tuple[Any, ...]) -> None:
        outcome = event(*args)
        if outcome:
            self.perform(outcome)

    def _do_inbox(self) -> None:
        inbox = self.inbox
        while inbox:
            # Taken out only when it is done with: after a tear it is found again. But twice is
            # enough: a handler strikes anywhere, a mistake of ours in the same event each time.
            item = inbox[0]
            if item is self._suspect:
                inbox.popleft()
                continue
            try:
                self._do(*item)
            except BaseException:
                self._suspect = item if self._has_failed is item else None
                self._has_failed = item
                raise
            inbox.popleft()

    @property
    def is_held_here(self) -> bool:
        """Whether an outer call of this thread holds the lock, as when a signal handler submits."""
        return bool(self.lock._is_owned())  # type: ignore[attr-defined]  # what Condition asks, too

    def tear(self) -> None:
        """Note that an exception came out of the middle of a step."""
        self._is_torn = True
        self._retry()

    def reset_after_fork(self) -> None:
        """In a forked child: the lock may be held by a thread that is not there."""
        self.lock = threading.RLock()
        self.inbox.clear()
        self._is_under_way = False
