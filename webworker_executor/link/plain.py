"""
A stream of bytes between the reactor and a program: what is sent never blocks, what comes is told.

Not for frames and descriptors: ``local`` has those. Any thread may send; the rest is on the
reactor's thread.
"""

from __future__ import annotations

import threading
from collections import deque
from functools import partial
from operator import call
from typing import TYPE_CHECKING

from webworker_executor.link.journal import Journal
from webworker_executor.link.reactor import READ, READS_PER_ROUND, WRITE, Reactor

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

READ_NBYTES = 65536

_log = Journal("webworker_executor.link")


class PlainLink:
    """
    One end of a stream socket; owns it.

    Args:
        end: A connected stream socket.
        reactor: Who reads and writes it.
        on_data: Called with bytes as they come.
        on_end: Called once, when nothing more can be read. Not called after ``close``.
    """

    def __init__(
        self,
        end: socket.socket,
        reactor: Reactor,
        on_data: Callable[[bytes], object],
        on_end: Callable[[], object],
    ) -> None:
        end.setblocking(False)
        self._socket = end
        self._fd = end.fileno()
        self._reactor = reactor
        self._on_data = on_data
        self._on_end = on_end
        # Guards the fields below. Reentrant: a signal handler may send while this thread does.
        self._lock = threading.RLock()
        # What is left to send, whom to tell, and how much there will have been sent then in all.
        self._outbox: deque[tuple[memoryview, Callable[[bool], object], int]] = deque()
        self._sent_nbytes = 0
        self._is_closed = False
        self._is_armed = False
        self._is_flush_due = False
        reactor.register(self._fd, READ, self._ready)

    def __repr__(self) -> str:
        state = "closed" if self._is_closed else f"fd={self._fd} unsent={self.unsent_nbytes}"
        return f"<PlainLink {state}>"

    @property
    def unsent_nbytes(self) -> int:
        """Bytes that the kernel has not taken yet."""
        # Not a count of its own, which a signal handler could find out of step with the outbox.
        try:
            return max(0, self._outbox[-1][2] - self._sent_nbytes)
        except IndexError:
            return 0

    def send(self, data: bytes, on_sent: Callable[[bool], object]) -> None:
        """
        Queue bytes; any thread.

        Args:
            data: The bytes.
            on_sent: Called on the reactor's thread, in the order of the calls: with True when the
                kernel has taken all of them, with False when it never will.
        """
        with self._lock:
            before = self._outbox[-1][2] if self._outbox else self._sent_nbytes
            queue = partial(self._outbox.append, (memoryview(data), on_sent, before + len(data)))
            # Queued, and its sending asked for, in one step of C: a signal handler cannot raise in
            # between. On the reactor, so that what was sent is told in order and by one thread.
            bell = () if self._is_flush_due else self._reactor.bell(self._flush)
            steps: tuple[Callable[[], object], ...] = (queue, *bell)
            _ = [*map(call, steps)]
            # Only now: asked for twice does no harm.
            self._is_flush_due = True

    def _flush(self) -> None:
        with self._lock:
            self._is_flush_due = False
        while self._outbox:
            if self._is_closed:
                self._drop()
                return
            view, on_sent, end = self._outbox[0]
            try:
                nbytes = self._socket.send(view) if view else 0
            except BlockingIOError:
                self._arm(True)
                return
            except OSError as error:
                # The reading side tells the end.
                _log.debug("%r: %s", self, error)
                self._drop()
                return
            with self._lock:
                self._sent_nbytes += nbytes
                if nbytes < len(view):
                    self._outbox[0] = (view[nbytes:], on_sent, end)
                    continue
                self._outbox.popleft()
            on_sent(True)
        self._arm(False)

    def _drop(self) -> None:
        with self._lock:
            dropped, self._outbox = self._outbox, deque()
        for _, on_sent, _ in dropped:
            on_sent(False)

    def _arm(self, is_armed: bool) -> None:
        if is_armed != self._is_armed and not self._is_closed:
            self._is_armed = is_armed
            self._reactor.modify(self._fd, READ | WRITE if is_armed else READ)

    def _ready(self, events: int) -> None:
        if events & WRITE:
            self._flush()
        if events & ~WRITE:
            self.read(READS_PER_ROUND)

    def read(self, n_reads: int | None = None) -> None:
        """Read what has arrived, ``n_reads`` times at most; on the reactor's thread."""
        while (n_reads is None or n_reads > 0) and not self._is_closed:
            try:
                data = self._socket.recv(READ_NBYTES)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                # The other side left without reading all. What it wrote has been read.
                data = b""
            if not data:
                self.close()
                self._on_end()
                return
            self._on_data(data)
            if n_reads is not None:
                n_reads -= 1

    def close(self) -> None:
        """Close the socket; what was not sent is told so. Closing twice is fine."""
        if not self._is_closed:
            self._is_closed = True
            self._reactor.unregister(self._fd)
            self._socket.close()
        self._drop()

    def disown(self) -> None:
        """In a forked copy of the process: close this copy's descriptor, whatever locks say."""
        self._is_closed = True
        self._outbox.clear()
        self._socket.close()
