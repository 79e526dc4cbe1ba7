"""
Promises: every call whose future is not resolved, and the callbacks that are still to run.

The table is exact at every instant, also in the middle of a torn step: a call is in it before
anything else is done with it, and leaves it when its future is resolved.
"""

from __future__ import annotations

import itertools
import math
import threading
import time

from webworker_executor.link.flag import Flag
from webworker_executor.pool.tally import Tally

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from webworker_executor.pool.call import Call
    from webworker_executor.pool.future import FailureAnswer
    from webworker_executor.rules.task import Task
    from webworker_executor.web.events import EventsThread


# How often the end of the program looks whether callbacks have nobody who makes them.
LOOK_SECONDS = 0.1


class _Calls:
    """Calls that were handed over and have not returned."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # makes one step of each change of the two below
        self._calls: set[object] = set()
        self._are_over = Flag()
        self._are_over.set()

    def add(self, call: object) -> None:
        """Have one more to wait for."""
        with self._lock:
            self._calls.add(call)
            self._are_over.clear()

    def discard(self, call: object) -> None:
        """Wait for it no more; twice is fine."""
        with self._lock:
            self._calls.discard(call)
            if not self._calls:
                self._are_over.set()

    def wait(self, timeout: float | None) -> bool:
        """Wait until none is left; False if that took longer."""
        return self._are_over.wait(timeout)

    def disown(self) -> None:
        """In a forked child: let nobody wait, nor for a lock whose holder may not be here."""
        self._lock = threading.RLock()
        self._are_over.set()


class Promises:
    """
    The unresolved calls of a pool.

    Attributes:
        calls: By ident.
        n_taken: How many there have ever been.
        next_ident: Numbers a new call.
        tally: How many of them came to no good end.
    """

    def __init__(self) -> None:
        self.calls: dict[int, Call] = {}
        self.n_taken = 0
        self.next_ident: Callable[[], int] = itertools.count(1).__next__
        self.tally = Tally()
        self._events: EventsThread | None = None
        self._callbacks = _Calls()
        self._news = _Calls()

    def run_callbacks_on(self, events: EventsThread) -> None:
        """Name the thread for callbacks of users."""
        self._events = events

    def in_order(self) -> list[Call]:
        """Return the calls in the order of their submission."""
        return [self.calls[ident] for ident in sorted(self.calls)]

    def fail(self, task: Task, error: BaseException) -> bool:
        """Resolve a future with an error; whether it still waited for one."""
        call = self.calls.get(task.ident)
        if call is None:
            return False
        has_waited = not call.future.done()
        # Out of the table only afterwards: after a tear it is found there.
        call.future._finish(None, error)
        self.forget(call)
        return has_waited

    def forget(self, call: Call) -> None:
        """
        Take a call out of the table: it is settled, and will not be sent any more.

        Whoever keeps it, as the backlog does for a while with one that was cancelled, does not keep
        what was to be sent: a port in it is closed, so that its other side is told.
        """
        self.calls.pop(call.ident, None)
        call.parts, call.fds = [], ()

    def cancel(self, tasks: Iterable[Task]) -> None:
        """Cancel calls that never ran, and wake who waits for them."""
        for task in tasks:
            call = self.calls.get(task.ident)
            if call is not None:
                call.future._cancel_by_owner()
                self.tally.n_cancelled += call.future.cancelled()
                self.forget(call)

    def fail_all(self, answer: FailureAnswer) -> None:
        """Resolve every future with the same answer, which makes a new error for each."""
        while self.calls:
            call = next(iter(self.calls.values()))
            self.tally.n_failed += not call.future.done()
            call.future._finish(answer)
            self.forget(call)

    def call_back(self, call: Callable[[], object]) -> None:
        """Run a user's code on the events thread; ``wait_for_callbacks`` waits for it."""
        self._hand_over(call, self._callbacks)

    def tell(self, call: Callable[[], object]) -> None:
        """The same for one that only looks on: the end of the program does not depend on it."""
        self._hand_over(call, self._news)

    def _hand_over(self, call: Callable[[], object], calls: _Calls) -> None:
        if self._events is None:
            call()
            return

        def call_and_tell() -> None:
            try:
                call()
            finally:
                calls.discard(call_and_tell)

        try:
            calls.add(call_and_tell)
            self._events.call(call_and_tell)
        except BaseException:
            # A signal handler has raised, perhaps before the call was handed over: nobody is to
            # wait for that.
            calls.discard(call_and_tell)
            raise

    def wait_for_callbacks(self, timeout: float | None = None, *, and_news: bool = True) -> bool:
        """
        Wait until no callback is left, unless the caller is one.

        Args:
            timeout: Seconds to wait at most.
            and_news: Whether also for those who only look on.

        Returns:
            False if that took longer.
        """
        if self._events is not None and self._events.is_current_thread:
            return True
        if not and_news:
            return self._wait_at_the_end(timeout)
        deadline = None if timeout is None else time.monotonic() + timeout
        if not self._callbacks.wait(timeout):
            return False
        return self._news.wait(None if deadline is None else deadline - time.monotonic())

    def _wait_at_the_end(self, timeout: float | None) -> bool:
        """Wait for callbacks alone, and make them here where nobody else can."""
        deadline = math.inf if timeout is None else time.monotonic() + timeout
        while True:
            if self._callbacks.wait(LOOK_SECONDS):
                return True
            if time.monotonic() >= deadline:
                return False
            if self._events is not None:
                self._events.make_next_call_here()

    def disown(self, error: BaseException) -> None:
        """In a forked child: let nobody wait for what only the parent will hear of."""
        # First: a future may call back.
        self._callbacks.disown()
        self._news.disown()
        for call in self.calls.values():
            # Its lock may have been held by a thread that this process does not have.
            for name in ("_condition", "_done_callbacks"):
                call.future.__dict__.pop(name, None)
            call.future._finish(None, error)
