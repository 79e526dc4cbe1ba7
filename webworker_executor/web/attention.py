"""
A socket's claim on the host's threads, which it makes only when it must.

Not for reading or writing: whoever is ready does that. Most ports never need the reactor: they are
read by who waits for them, and what they write the kernel takes at once.
"""

from __future__ import annotations

import operator
import select
import weakref
from functools import partial
from typing import TYPE_CHECKING, Protocol

from webworker_executor.link.reactor import READ, WRITE
from webworker_executor.web.host import host

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from webworker_executor.link.reactor import Reactor


# Level-triggered: told on every poll while registered.
END = select.EPOLLRDHUP


class Watched(Protocol):
    """What has a socket that is read and written."""

    def ready(self, events: int) -> None:
        """Write and read what is possible."""

    def finish(self) -> None:
        """Close when everything is written."""

    def finish_at_exit(self) -> None:
        """See to it that nothing is left to be written; the interpreter is about to exit."""


class Attention:
    """
    What is waited for at one descriptor.

    All but ``call_soon``, ``release`` and what the host calls is to be called with a lock held.

    Args:
        watched: Told when its descriptor is ready. It is kept while something is waited for, and
            only then.
        fd: The descriptor; not owned.
        lock: The lock.

    Raises:
        OSError: From the methods that want something: no descriptor is left.
        RuntimeError: From the same ones: the program has begun to end.
    """

    def __init__(self, watched: Watched, fd: int, lock: threading.RLock) -> None:
        self._lock = lock
        self._watched = weakref.ref(watched)
        self._kept: Watched | None = None
        self._fd = fd
        self._reactor: Reactor | None = None
        self._wanted = 0
        self._registered = 0
        self._is_paused = False
        # What is done when nobody has the descriptor any more, until it is closed.
        self._farewells: list[Callable[[], object]] = []

    def farewell(self, close: Callable[[], object]) -> Callable[[], object]:
        """
        Return what has the watched one finish when nobody has it any more, as a ``__del__``.

        It is of C: in a finalizer of Python a signal handler may raise, and then the descriptor and
        the host's threads stayed for ever, and what was raised would be swallowed.

        Args:
            close: Closes the descriptor where the host's threads are not taken up; of C, too.
        """
        self._farewells.append(close)
        return partial(any, map(operator.call, self._farewells))

    def no_farewell(self) -> None:
        """Have nothing done when nobody has it any more."""
        self._farewells.clear()

    @property
    def is_reading(self) -> bool:
        """Whether it is waited until there is something to read."""
        return bool(self._wanted & READ)

    @property
    def is_awaiting_end(self) -> bool:
        """Whether it is waited until the other side is gone."""
        return bool(self._wanted & END)

    def want_read(self, is_wanted: bool) -> None:
        """Wait, or wait no more, until there is something to read."""
        self._want((self._wanted & ~READ) | (READ if is_wanted else 0))

    def want_write(self, is_wanted: bool) -> None:
        """Wait, or wait no more, until there is room to write."""
        self._want((self._wanted & ~WRITE) | (WRITE if is_wanted else 0))

    def want_end(self, is_wanted: bool) -> None:
        """Wait, or wait no more, until the other side is gone; what can be read tells nothing."""
        self._want((self._wanted & ~END) | (END if is_wanted else 0))

    def pause(self) -> None:
        """Wait for nothing until ``go_on``."""
        self._is_paused = True
        self._want(self._wanted)

    def go_on(self) -> None:
        """Wait for what is wanted."""
        self._is_paused = False
        self._want(self._wanted)

    def _want(self, events: int) -> None:
        self._wanted = events
        if self._is_paused or not events:
            self._apply()
        elif events != self._registered:
            # On the reactor's own thread, where no signal handler comes between the steps.
            self._kept = self._watched()
            self.call_soon(self._apply_locked)

    def _apply_locked(self) -> None:
        with self._lock:
            self._apply()

    def _apply(self) -> None:
        if self._reactor is None:
            return
        events = 0 if self._is_paused else self._wanted
        # Also where nothing changes: what was wanted may be so no more before it was applied.
        self._kept = self._watched() if events else None
        if events == self._registered:
            return
        # The epoll set tells of a hang-up whatever was asked for, so that a descriptor nobody waits
        # for must not be in it.
        if not events:
            self._reactor.unregister(self._fd)
        elif self._registered:
            self._reactor.modify(self._fd, events)
        else:
            self._reactor.register(self._fd, events, self._ready)
        self._registered = events

    def _ready(self, events: int) -> None:
        watched = self._watched()
        if watched is not None:
            watched.ready(events)

    def call_soon(self, call: Callable[[], object]) -> None:
        """Have something called on the reactor's thread."""
        if self._reactor is None:
            self._take_up().call_soon(call)
        else:
            self._reactor.call_soon(call)

    def _take_up(self) -> Reactor:
        try:
            # Also while the program ends: what is posted then is to be written, too.
            reactor, _ = host.acquire(self, at_exit=True)
            farewell = reactor.finalizer(self._finish)
        except BaseException:
            # Of a signal handler, maybe: nobody knows that they are to be let go.
            if self._reactor is None:
                host.release(self)
            raise
        # No call comes between the two.
        self._reactor = reactor
        self._farewells[:] = [farewell]
        return reactor

    def _finish(self) -> None:
        watched = self._watched()
        if watched is not None:
            watched.finish()
        else:
            # It waited for nothing, and has closed its descriptor itself.
            self.release()

    def finalizer(self, call: Callable[[], object]) -> Callable[[], object]:
        """As ``call_soon`` in one step of C, once; on the reactor's thread only."""
        assert self._reactor is not None
        return self._reactor.finalizer(call)

    def forget(self) -> None:
        """Wait for nothing any more: the descriptor is about to be closed."""
        if self._registered and self._reactor is not None:
            self._reactor.unregister(self._fd)
        self._wanted = self._registered = 0
        self._kept = None

    def release(self) -> None:
        """Let the host's threads go; without a lock held."""
        # They refer to this.
        self._farewells.clear()
        reactor, self._reactor = self._reactor, None
        if reactor is not None:
            host.release(self)

    def finish_at_exit(self, *, interrupted: bool) -> None:
        """Let what was posted be written; the interpreter is about to exit."""
        watched = self._watched()
        if watched is not None and not interrupted:
            watched.finish_at_exit()

    def disown_after_fork(self) -> None:
        """Forget the reactor, whose thread is not in the child."""
        self._farewells.clear()
        self._reactor = self._kept = None
        self._wanted = self._registered = 0
