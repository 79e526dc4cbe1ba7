"""
The reactor: the one I/O thread of a process.

It waits for descriptors, timers and calls from other threads, and does what nobody stands there
for. No code of a user ever runs on it, and nothing it calls may block. It lives from its first
``start`` to ``stop``; workers are started on it, because the kernel kills a worker
(``PR_SET_PDEATHSIG``) when the *thread* that started it ends.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import operator
import os
import select
import time
from collections import deque
from functools import partial

from webworker_executor.link.fds import LONGEST_WAIT, Alarm, lift
from webworker_executor.link.journal import Journal
from webworker_executor.link.rights import STANDARD_ERROR
from webworker_executor.link.thread import ServiceThread, hush

TYPE_CHECKING = False
if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

READ, WRITE = select.EPOLLIN, select.EPOLLOUT
# How often one link may read when it is its turn: more would keep the others waiting.
READS_PER_ROUND = 16
# The heap may hold this many cancelled calls, and more, before it pays to look through it.
_SPARSE = 64

_log = Journal("webworker_executor.link")


class Timer:
    """A call that is due at a time; ``cancel`` makes it never happen."""

    __slots__ = ("call",)

    def __init__(self, call: Callable[[], object]) -> None:
        self.call: Callable[[], object] | None = call

    def cancel(self) -> None:
        """Forget the call; no effect after it happened."""
        self.call = None


class Reactor:
    """
    An epoll set, a heap of timers and a queue of calls, served by one daemon thread.

    ``register``, ``modify`` and ``unregister`` may be called from any thread, as may ``call_soon``
    and ``stop``; timers are set from the reactor's own thread only.

    Raises:
        OSError: No descriptor is left for the epoll set; nothing stays open.
    """

    def __init__(self) -> None:
        self._calls: deque[Callable[[], object]] = deque()
        self._timers: list[tuple[float, int, Timer]] = []
        self._n_timers_to_sweep = _SPARSE
        self._order = itertools.count()
        self._callbacks: dict[int, Callable[[int], object]] = {}
        self.is_stopping = False
        self._epoll = new_epoll()
        # Wait for other events of a registered descriptor. The C function itself: see `local`.
        self.modify: Callable[[int, int], object] = self._epoll.modify
        # Each closes itself where a signal handler raises in here, and nobody has this reactor.
        self._alarm: Alarm | None = Alarm()
        self._wakeup = self._alarm.fd
        # Empty when it is closed, but for whoever is about to ring: by the number alone, that one
        # would write into whatever has it by then.
        self._wakers = [partial(os.eventfd_write, self._alarm, 1)]  # type: ignore[arg-type]  # has a fileno
        self._epoll.register(self._wakeup, READ)
        self._service = ServiceThread(self._run, "webworker-reactor")

    @property
    def thread(self) -> threading.Thread:
        """The thread, as ``threading`` knows it."""
        return self._service.thread

    def start(self) -> None:
        """
        Start the thread, unless it has been started.

        Apart from the making of the object, so that whoever makes it has it in hand when a signal
        handler raises in here; then it can be called again.

        Raises:
            RuntimeError: No thread can be started; the descriptors are closed.
        """
        try:
            self._service.start()
        except RuntimeError:
            self._close()
            raise

    @property
    def is_current_thread(self) -> bool:
        """Whether the caller runs on the reactor's thread."""
        return self._service.is_current

    def register(self, fd: int, events: int, callback: Callable[[int], object]) -> None:
        """Call ``callback(events)`` whenever ``fd`` is ready; the caller keeps the descriptor."""
        self._callbacks[fd] = callback
        try:
            self._epoll.register(fd, events)
        except BaseException:
            self._callbacks.pop(fd, None)
            raise

    def unregister(self, fd: int) -> None:
        """Forget a descriptor; to be called before it is closed. Forgetting twice is fine."""
        if self._callbacks.pop(fd, None) is not None:
            try:
                self._epoll.unregister(fd)
            except (OSError, ValueError):
                _log.debug("descriptor %d was closed before it was unregistered", fd)

    def call_soon(self, call: Callable[[], object]) -> None:
        """Run ``call`` on the reactor's thread, after what was asked for earlier."""
        # The deque owns the call from here. The wake-up comes after it, also when a signal handler
        # raises in between, and the thread looks into the deque after it took the wake-up:
        # whichever way they interleave, it is seen.
        try:
            self._calls.append(call)
        finally:
            self._wake()

    def finalizer(self, call: Callable[[], object]) -> Callable[[], object]:
        """
        Return what has ``call`` run as by ``call_soon``, once, and is a single step of C.

        In a ``__del__`` of Python a signal handler may raise, and what it raises there is
        swallowed, together with what was left to be done. With this as an object's own ``__del__``
        neither is. Nothing happens when the reactor is closed.
        """
        steps = itertools.chain((partial(self._calls.append, call),), self._wakers)
        return partial(any, map(operator.call, steps))

    def bell(self, call: Callable[[], object]) -> list[Callable[[], object]]:
        """Return the steps of ``call_soon(call)``, each of C; good until the reactor is closed."""
        return [partial(self._calls.append, call), *self._wakers]

    def call_at(self, when: float, call: Callable[[], object]) -> Timer:
        """Run ``call`` at a time of ``time.monotonic()``; from the reactor's thread only."""
        timer = Timer(call)
        heapq.heappush(self._timers, (when, next(self._order), timer))
        if len(self._timers) > self._n_timers_to_sweep:
            # Most were cancelled long before they are due: each short worker's time-out was.
            self._timers = [entry for entry in self._timers if entry[2].call is not None]
            heapq.heapify(self._timers)
            # Nobody counts those that are cancelled, as that may be done on any thread.
            self._n_timers_to_sweep = 2 * len(self._timers) + _SPARSE
        return timer

    def stop(self) -> None:
        """End the thread and close the descriptors, after the calls that were asked for."""
        self.is_stopping = True
        self._wake()

    def join(self) -> None:
        """Wait for the end of the thread, unless it is the caller."""
        self._service.join()

    def discard(self) -> None:
        """Close the descriptors of a reactor that was never started."""
        self._close()

    def close_after_fork(self) -> None:
        """In a forked child, where the thread does not exist: close the descriptors."""
        self.is_stopping = True
        self._callbacks.clear()
        wakeup = self._wakeup
        self._close()
        if wakeup != -1:
            # Here the alarm itself does not.
            os.close(wakeup)

    def _wake(self) -> None:
        # Held until it has rung: see `_wakers`.
        alarm = self._alarm
        if alarm is not None:
            try:
                os.eventfd_write(alarm, 1)  # type: ignore[arg-type]  # has a fileno
            except OSError:
                _log.debug("the reactor is awake")

    def _close(self) -> None:
        wakeup, self._wakeup = self._wakeup, -1
        if wakeup != -1:
            self._epoll.close()
        self._wakers.clear()
        self._alarm = None

    def _run(self) -> None:
        hush()
        try:
            while True:
                if self.is_stopping and not self._calls:
                    return
                self._wait()
                self._do_calls()
                self._do_timers()
        finally:
            self._close()

    def _wait(self) -> None:
        timeout = -1.0
        if self._calls or self.is_stopping:
            timeout = 0.0
        elif self._timers:
            timeout = min(max(0.0, self._timers[0][0] - time.monotonic()), LONGEST_WAIT)
        callbacks = self._callbacks
        ready = self._epoll.poll(timeout)
        for fd, events, callback in [(fd, events, callbacks.get(fd)) for fd, events in ready]:
            if fd == self._wakeup:
                os.eventfd_read(fd)
            # A callback earlier in this very round may have forgotten this descriptor, and the
            # number may be another's by now.
            elif callback is not None and callbacks.get(fd) is callback:
                self._guarded(callback, events)

    def _do_calls(self) -> None:
        for _ in range(len(self._calls)):
            self._guarded(self._calls.popleft())

    def _do_timers(self) -> None:
        now = time.monotonic()
        while self._timers and self._timers[0][0] <= now:
            call = heapq.heappop(self._timers)[2].call
            if call is not None:
                self._guarded(call)

    def _guarded(self, call: Callable[..., object], *args: object) -> None:
        # One bad call must not take the whole process's I/O with it; it is our bug, so it is loud.
        try:
            call(*args)
        except BaseException as error:
            # Where no thread takes it, the program's own handlers run here, and may raise anything.
            with contextlib.suppress(BaseException):
                _log.exception("a call on the reactor failed", error)


def new_epoll() -> select.epoll:
    """Open an epoll set, away from the standard streams."""
    epoll = select.epoll()
    if epoll.fileno() > STANDARD_ERROR:
        return epoll
    with epoll:
        return select.epoll.fromfd(lift(epoll.fileno()))
