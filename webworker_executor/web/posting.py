"""
The writing half of a port's link: frames go out at once, or wait until the kernel takes more.

Not for reading, nor for the end: see ``port_link``.

The thing to know before a change: ``post`` runs on the main thread too, where a signal handler may
raise or post between any two calls: see ``outbox``, which holds what must not be lost.
"""

from __future__ import annotations

import errno
import threading
from functools import partial
from operator import call
from typing import TYPE_CHECKING, Any

from webworker_executor.link.end import End
from webworker_executor.link.flag import Flag
from webworker_executor.link.journal import Journal
from webworker_executor.link.outbox import Outbox, entry
from webworker_executor.link.signals import is_of_a_handler
from webworker_executor.web.attention import Attention
from webworker_executor.web.waiters import Waiters

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from webworker_executor.wire.transfer import Step

_log = Journal("webworker_executor.web")


class Posting:
    """
    What is written to a stream socket; any thread may post.

    Args:
        end: A connected stream socket; its descriptor is taken out of it.

    Attributes:
        attention: The claim on the host's threads, for both halves.
        is_closed: Whether the socket is closed.
    """

    def __init__(self, end: socket.socket) -> None:
        self._socket = End(end)
        self._outbox = Outbox(self._socket)
        # Guards all that follows. Reentrant, because a signal handler may post while this very
        # thread holds it; `_is_writing` then leaves the work to the outer call.
        self._lock = threading.RLock()
        self.attention = Attention(self, self._socket.fileno(), self._lock)
        self._is_writing = False
        self._is_armed = False
        self._is_frozen = False
        self._closes_when_written = False
        self._cannot_write = False
        self.is_closed = False
        self._waiters = Waiters()

    def ready(self, events: int) -> None:
        """Write and read what is possible; for subclasses."""
        raise NotImplementedError

    def close(self) -> None:
        """Close now; for subclasses."""
        raise NotImplementedError

    def finish(self) -> None:
        """Close when everything is written; for subclasses."""
        raise NotImplementedError

    def finish_at_exit(self) -> None:
        """See to it that nothing is left to be written; for subclasses."""
        raise NotImplementedError

    @property
    def unsent_nbytes(self) -> int:
        """Bytes that were posted and that the kernel has not taken yet."""
        with self._lock:
            return self._outbox.nbytes

    @property
    def is_writing_here(self) -> bool:
        """Whether this thread writes, down in the stack: a signal handler has come into that."""
        is_mine = self._lock._is_owned()  # type: ignore[attr-defined]  # what Condition asks, too
        return self._is_writing and bool(is_mine)

    @property
    def is_written(self) -> bool:
        """Whether the kernel has everything."""
        return self._outbox.is_empty

    def post(
        self, parts: Sequence[bytes | memoryview], fds: Sequence[Any] = (), *going: Step
    ) -> None:
        """
        Write a frame, or keep it until the kernel takes more; discard it if nobody reads.

        Args:
            parts: As ``encode`` laid them out.
            fds: Objects with a ``fileno``, kept until they have gone.
            going: Functions of C, called in the step that queues the frame, unless it is discarded.
        """
        if self.is_closed or self._cannot_write:
            return
        outbox = self._outbox
        try:
            if going:
                steps: tuple[Step, ...] = (*going, partial(outbox.put, entry(parts, fds)))
                _ = [*map(call, steps)]
            elif fds or self._is_armed or len(parts) > 1:
                outbox.append(parts, fds)
            else:
                with self._lock:
                    is_free = not (self._is_writing or self._is_frozen or self.is_closed)
                    if is_free:
                        self._is_writing = True
                        try:
                            # A signal handler may have closed the port meanwhile.
                            if outbox.write_alone(parts) and not self._closes_when_written:
                                return
                        except BaseException as exc:
                            if self._is_borne(exc):
                                return
                            raise
                        finally:
                            self._is_writing = False
                if not is_free:
                    outbox.append(parts)
            # While the kernel is full, the reactor waits for it.
            if not self._is_armed:
                self.flush()
        except BaseException:
            # Of a signal handler. What was queued is written, though nobody stands here any more.
            if not outbox.is_empty:
                self.attention.call_soon(self.flush)
            raise

    def flush(self) -> None:
        """Write what the kernel takes now; the reactor writes the rest when there is room."""
        with self._lock:
            if self._is_writing or self._is_frozen or self.is_closed:
                return
            self._is_writing = True
            try:
                self._outbox.write()
                # Once more after that call, in which a signal handler may have posted.
                while True:
                    if not self._is_armed and self._outbox.is_empty:
                        break
                    if self._is_armed:
                        # In this order: if it is broken off between the two, it is done again.
                        self.attention.want_write(False)
                        self._is_armed = False
                    self._outbox.write()
            except BaseException as exc:
                if not self._is_borne(exc):
                    raise
            finally:
                self._is_writing = False
            if self._outbox.is_empty and (self._waiters or self._closes_when_written):
                self._written()

    def _is_borne(self, exc: BaseException) -> bool:
        """
        Take note of why writing stopped; returns whether that is no error of the caller's.

        An error of a signal handler is not raised here: it would know this frame, and the frame it,
        and both would keep what was to be sent.
        """
        if isinstance(exc, BlockingIOError) and not is_of_a_handler(exc):
            if not self._is_armed:
                self._is_armed = True
                try:
                    self.attention.want_write(True)
                except BaseException:
                    # Whoever posts or closes next tries again.
                    self._is_armed = False
                    self.attention.call_soon(self.flush)
                    raise
        elif isinstance(exc, OSError) and not is_of_a_handler(exc):
            self._break(exc)
        else:
            # A signal handler raised. Nothing is lost, but nobody stands here any more.
            self.attention.call_soon(self.flush)
            return False
        return True

    def _break(self, error: OSError) -> None:
        # Nobody reads any more. What the other side wrote before it left is still to be read, so
        # that the end is told by the reading side.
        self._cannot_write = True
        self._outbox.clear()
        if error.errno not in {errno.EPIPE, errno.ECONNRESET}:
            _log.warning("a port can write no more: %s", error)
        if self._is_armed:
            self._is_armed = False
            self.attention.want_write(False)

    def _written(self) -> None:
        self._waiters.wake()
        if self._closes_when_written:
            self.close()

    def wait_until_written(self, timeout: float | None) -> bool:
        """Wait until the kernel has everything, or nobody is left to read it."""
        arrived = Flag()
        self._waiters[arrived] = arrived.set
        try:
            self.flush()
            return self.is_written or arrived.wait(timeout)
        finally:
            self._waiters.pop(arrived, None)
