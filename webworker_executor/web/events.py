"""
The events thread: where handlers and callbacks of users run in the host.

They begin in order, never on the reactor, and one at a time as long as each is quick. One that
takes long keeps its thread, and another takes over the queue, so that nobody waits for it: others
run beside it. Whoever must not be entered twice sees to that: see `InTurn` and `Inbox`.
"""

from __future__ import annotations

import contextlib
import logging
import math
import queue
import threading
import time

from webworker_executor.link.thread import OwnThread, ServiceThread, hush, listen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from webworker_executor.link.reactor import Reactor

# How long a handler may hold the queue while others wait in it.
PATIENCE = 0.1
# So often nothing has moved where a handler does not come back: a busy machine is not taken for it.
LOOKS = 5
# Also what tells a handler's thread from our others, whichever `EventsThread` it serves.
_NAME = "webworker-events"

_log = logging.getLogger("webworker_executor.web")


class EventsThread:
    """
    A queue of calls and the daemon thread that makes them.

    Args:
        reactor: Whose clock notices a handler that takes long.
    """

    def __init__(self, reactor: Reactor) -> None:
        self._reactor = reactor
        # A SimpleQueue may be put to from a signal handler or a finalizer at any line.
        self._queue: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        # Guards the thread's change. Reentrant: a finalizer may call in the midst of one.
        self._lock = threading.RLock()
        self._service: ServiceThread | None = None
        # Those that a handler holds, while another has the queue.
        self._held: set[ServiceThread] = set()
        self._busy_since: float | None = None
        self._is_watched = False
        self._is_over = False
        self._has_warned = False
        # Whether it is to end when nothing waits any more.
        self.is_stopping = False
        self._on_end: Callable[[], object] | None = None

    def start(self) -> None:
        """
        Start the thread, unless it has been started: when the program ends it is too late.

        Raises:
            RuntimeError: No thread can be started.
        """
        service = self._service
        if service is None:
            service = self._offer(self._new_service())
        try:
            service.start()
        except RuntimeError:
            # Nobody serves who was not started: a handler that comes back takes the queue.
            with self._lock:
                if self._service is service:
                    self._service = None
            if not self._held:
                raise

    def _new_service(self) -> ServiceThread:
        service = ServiceThread(lambda: self._run(service), _NAME)
        return service

    def _offer(self, service: ServiceThread) -> ServiceThread:
        """Have a thread serve unless there is one, as another thread may have seen to meanwhile."""
        # No call stands between this look and the store: two would wait, and one of them for ever.
        if self._service is None:
            self._service = service
        return self._service

    @property
    def is_current_thread(self) -> bool:
        """Whether the caller is one of the handlers."""
        thread = threading.current_thread()
        return isinstance(thread, OwnThread) and thread.name == _NAME

    def call(self, call: Callable[[], object]) -> None:
        """Make a call on the events thread, after those that wait; what it raises is logged."""
        self._queue.put(call)
        if self._is_over:
            self._come_back()
        elif self._service is None:
            self._reactor.call_soon(self._take_over)
        elif self._busy_since is not None and not self._is_watched:
            self._is_watched = True
            self._reactor.call_soon(self._watch)

    def stop(self, on_end: Callable[[], object] | None = None) -> None:
        """
        End the thread after the calls that wait, and those that they have made.

        Args:
            on_end: Called then, on the events thread. Until then the reactor is to live: it has
                another thread take over where a call takes long.
        """
        self._on_end = on_end
        self.is_stopping = True
        self._queue.put(None)

    def _come_back(self) -> None:
        """Make late calls, too: somebody may be waiting for them."""
        with self._lock:
            if not self._is_over:
                return
            self._is_over = False
            self._queue.put(None)
            self._service = None
        self._take_over()

    def _is_at_an_end(self) -> bool:
        with self._lock:
            # In this order: whoever calls now sees the one, or is seen by the other.
            self._is_over = True
            if self._queue.empty():
                return True
            self._is_over = False
        # A handler's message is followed by the next one's, which stands behind the end.
        self._queue.put(None)
        return False

    def join(self, seconds: float = math.inf) -> None:
        """
        Wait for the end of the thread, and of those that handlers hold, unless one is the caller.

        Not for handlers that do not come back: after five looks at which nothing has moved.

        Args:
            seconds: How long at most, also where one handler follows the other.
        """
        if self.is_current_thread:
            return
        deadline = time.monotonic() + seconds
        before: object = None
        n_same = 0
        while n_same < LOOKS and time.monotonic() < deadline:
            # Looked at anew each time: another may have taken over, or taken back.
            services = {self._service, *self._held}
            alive = [each for each in services if each is not None and each.thread.is_alive()]
            if not alive:
                return
            alive[0].join(PATIENCE)
            state = len(alive), self._busy_since, self._queue.qsize()
            n_same = n_same + 1 if state == before else 0
            before = state

    def make_next_call_here(self) -> None:
        """
        Make the next call in this thread, if a handler has the events thread and there is no other.

        At the program's end Python 3.12 starts none. What a call raises is logged; Ctrl-C is not.
        """
        if self._service is not None:
            return
        with contextlib.suppress(queue.Empty):
            call = self._queue.get_nowait()
            if call is None:
                # The end, for who serves.
                self._queue.put(None)
                return
            try:
                call()
            except Exception:
                _log.exception("an event handler failed")

    def _watch(self) -> None:
        self._reactor.call_at(time.monotonic() + PATIENCE, self._look)

    def _look(self) -> None:
        # First of all: from here on, whoever leaves a call has it watched anew.
        self._is_watched = False
        busy_since = self._busy_since
        if busy_since is None or self._queue.empty():
            return
        is_long = time.monotonic() - busy_since >= PATIENCE
        # No call stands between this look and the stores. A thread that has come to another call,
        # or waits for one, keeps the queue: two would wait, and one of them for ever.
        if is_long and self._busy_since is busy_since:
            service = self._service
            self._busy_since = self._service = None
            if service is not None:
                self._held.add(service)
            self._take_over()
        elif not self._is_watched:
            self._is_watched = True
            self._watch()

    def _take_over(self) -> None:
        # The lock is held until the thread is there: whoever had the queue before looks under it,
        # and so either sees one that serves, or goes on.
        with self._lock:
            if self._service is not None:
                return
            service = self._offer(self._new_service())
            try:
                service.start()
            except RuntimeError as error:
                # None can be had. The calls wait for the handler that has the thread; the next one
                # tries again. At the end of the program that is as it should be.
                self._service = None
                if not self._has_warned and "shutdown" not in str(error):
                    self._has_warned = True
                    # Not here: this is the reactor, and that handler may be one of logging.
                    self._queue.put(_warn_of_no_thread)

    def _has_queue(self, service: ServiceThread) -> bool:
        """Whether a thread serves, or does so again because no other could take over."""
        with self._lock:
            self._held.discard(service)
            if self._service is None:
                self._service = service
            return self._service is service

    def _next(self) -> Callable[[], object] | None:
        with contextlib.suppress(queue.Empty):
            return self._queue.get_nowait()
        # Only while it rests: what a handler starts is to have the signals that it expects.
        hush()
        try:
            return self._queue.get()
        finally:
            listen()

    def _run(self, service: ServiceThread) -> None:
        while True:
            if not self._has_queue(service):
                return
            call = self._next()
            if call is None:
                if self._is_at_an_end():
                    if self._on_end is not None:
                        self._on_end()
                    return
                continue
            self._busy_since = time.monotonic()
            if not self._is_watched and not self._queue.empty():
                self._is_watched = True
                self._reactor.call_soon(self._watch)
            try:
                call()
            except BaseException:
                # Its own handlers are code of a user as well.
                with contextlib.suppress(BaseException):
                    _log.exception("an event handler failed")
            # A reference kept while the queue is empty would keep a user's result alive.
            del call
            if self._service is service:
                self._busy_since = None


def _warn_of_no_thread() -> None:
    _log.warning("no thread can be started for event handlers; they wait")
