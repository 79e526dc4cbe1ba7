"""
Calls that are due at a time, made on the events thread.

Not for the package's own time-outs: those are the reactor's. The reactor ends before the
interpreter joins the program's threads, and one of these may be waiting for the very call; so these
have a thread of their own, while there is something to come. Workers import this when a task asks
for a time-out. Whoever changes it must know that calls are added and cancelled in signal handlers
and finalizers: that is done by single calls into C.
"""

from __future__ import annotations

import heapq
import itertools
import os
import queue
import time
from typing import TYPE_CHECKING

from webworker_executor.link.fds import LONGEST_WAIT
from webworker_executor.link.thread import ServiceThread
from webworker_executor.web.delivery import deliver_anyway

if TYPE_CHECKING:
    from collections.abc import Callable

# The heap may hold this many cancelled calls, and more, before it pays to look through it.
_SPARSE = 64


class Due:
    """
    A call to come.

    Args:
        timers: Where it is pending.
        when: In seconds of ``time.monotonic()``.
        call: What is called.

    Attributes:
        kept: Anything that must not be collected before the call was made or cancelled.
    """

    __slots__ = ("_call", "_timers", "kept", "when")

    def __init__(self, timers: Timers, when: float, call: Callable[[], object]) -> None:
        self._timers = timers
        self._call: Callable[[], object] | None = call
        self.when = when
        self.kept: object = None

    def cancel(self) -> None:
        """Forget the call; no effect after it was made."""
        self._call = self.kept = None
        self._timers._forget(self)

    def make(self) -> None:
        """Make the call, unless it was cancelled."""
        call, kept = self._call, self.kept
        self._call = self.kept = None
        if call is not None:
            call()
        del kept


class Timers:
    """
    The calls to come, and the daemon thread that waits for them while there are any.

    Args:
        deliver: Makes a call elsewhere, or has it made; called on the timers' thread, which must
            not be held up.
    """

    def __init__(self, deliver: Callable[[Callable[[], object]], object]) -> None:
        self._deliver = deliver
        self._order = itertools.count()
        self.forget_all()

    def forget_all(self) -> None:
        """Start afresh: in a forked child there is no thread, and the calls are the parent's."""
        # Whoever takes a call out makes it: so it is made once.
        self._pending: dict[Due, bool] = {}
        self._added: queue.SimpleQueue[Due | None] = queue.SimpleQueue()
        # The one that serves, by a name: `setdefault` lets a single one in.
        self._services: dict[str, ServiceThread] = {}

    def call_later(self, seconds: float, call: Callable[[], object]) -> Due:
        """
        Make a call some time later.

        Args:
            seconds: How much later; infinity is never.
            call: Runs where ``deliver`` has it run.

        Raises:
            RuntimeError: No thread can be started; the call will not be made.
        """
        due = Due(self, time.monotonic() + seconds, call)
        self._pending[due] = True
        self._added.put(due)
        try:
            self._serve()
        except BaseException:
            due.cancel()
            raise
        return due

    def _forget(self, due: Due) -> None:
        if self._pending.pop(due, False) and not self._pending:
            # Nothing more to wait for: the thread may end.
            self._added.put(None)

    def _serve(self) -> None:
        service = self._services.get("current")
        if service is None:
            service = ServiceThread(self._run, "webworker-timer")
            service = self._services.setdefault("current", service)
        service.start()

    def _run(self) -> None:
        heap: list[tuple[float, int, Due]] = []
        # Some of these are in the queue, too. Twice in the heap is no harm.
        for due in tuple(self._pending):
            self._push(heap, due)
        while self._pending:
            self._take_added(heap)
            self._deliver_due(heap)
        del self._services["current"]
        # Who has added a call until here may have counted on this thread.
        if self._pending:
            self._serve()

    def _take_added(self, heap: list[tuple[float, int, Due]]) -> None:
        # Infinity, and what is beyond some 290 years, no wait of Python's takes.
        wait = heap[0][0] - time.monotonic() if heap else LONGEST_WAIT
        wait = min(max(wait, 0.0), LONGEST_WAIT)
        while True:
            try:
                due = self._added.get(timeout=wait)
            except queue.Empty:
                return
            if due is not None:
                self._push(heap, due)
            # All that is there, so that calls are made in the order of their times.
            wait = 0.0

    def _push(self, heap: list[tuple[float, int, Due]], due: Due) -> None:
        heapq.heappush(heap, (due.when, next(self._order), due))
        if len(heap) > 2 * len(self._pending) + _SPARSE:
            # Most were cancelled long before they are due: time-outs usually are.
            heap[:] = [entry for entry in heap if entry[2] in self._pending]
            heapq.heapify(heap)

    def _deliver_due(self, heap: list[tuple[float, int, Due]]) -> None:
        while heap and heap[0][0] <= time.monotonic():
            due = heapq.heappop(heap)[2]
            if self._pending.pop(due, False):
                self._deliver(due.make)


timers = Timers(deliver_anyway)
os.register_at_fork(after_in_child=timers.forget_all)
