"""
The way of a port's messages: a stream socket that nobody reads until somebody wants to.

Not for events or values: those are the port's. It differs from the links of workers in three
things. It is read in the caller's own thread until it is put on the reactor, so that unread
messages stay in the kernel and travel with the descriptor. It takes the host's threads only when it
needs them: to be listened to, or to write what the kernel did not take. And it can be frozen and
packed up, with what was read and not given out, and what was posted and not written.

The thing to know before a change: a link does not keep its port, so that a port which nobody has
any more closes. Only one that was started is kept, by the host, through `kept`. And ``post`` runs
on the main thread too, where a signal handler may raise or post between any two calls: see
``outbox`` and ``intake``, which hold what must not be lost.
"""

from __future__ import annotations

import errno
import logging
import math
import os
import select
import threading
import weakref
from typing import TYPE_CHECKING, Any

from webworker_executor.link.end import End
from webworker_executor.link.intake import NOW, WAIT, Intake
from webworker_executor.link.outbox import Outbox
from webworker_executor.link.reactor import READ, WRITE
from webworker_executor.link.signals import is_of_a_handler
from webworker_executor.web.attention import Attention
from webworker_executor.wire.decoder import MalformedFrame
from webworker_executor.wire.frame import MESSAGE

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence

    from webworker_executor.web.messaging import MessageTarget

KINDS = frozenset({MESSAGE})
# More than this in one round would keep other links waiting.
READS_PER_ROUND = 16

_log = logging.getLogger("webworker_executor.web")


class PortLink:
    """
    The link of one port.

    Owns the socket. Any thread may post; who reads is either the reactor, after ``listen``, or one
    thread at a time in ``wait`` and ``read``.

    Args:
        end: A connected stream socket; its descriptor is taken out of it.
        port: Gets the frames and the end; not kept.
    """

    def __init__(self, end: socket.socket, port: MessageTarget) -> None:
        self._socket = own = End(end)
        self._fd = own.fileno()
        self._port = weakref.ref(port)
        self.kept: MessageTarget | None = None
        self._intake = Intake(own, KINDS, port._inbox)
        self._outbox = Outbox(own)
        # Held by who reads; taken before the next one by who takes both.
        self._reading = threading.RLock()
        # Guards all that follows. Reentrant, because a signal handler may post while this very
        # thread holds it; `_is_writing` then leaves the work to the outer call.
        self._lock = threading.RLock()
        self.attention = Attention(self, self._fd, self._lock)
        self._is_writing = False
        self._is_armed = False
        self._is_frozen = False
        self._closes_when_written = False
        self._cannot_write = False
        self.is_closed = False
        self.is_disowned = False
        self._waiters: dict[object, Callable[[], object]] = {}
        _links.add(self)

    def fileno(self) -> int:
        """Return the socket's number, -1 when it is closed."""
        return self._socket.fileno()

    # -- writing

    @property
    def unsent_nbytes(self) -> int:
        """Bytes that were posted and that the kernel has not taken yet."""
        with self._lock:
            return self._outbox.nbytes

    @property
    def is_written(self) -> bool:
        """Whether the kernel has everything."""
        return self._outbox.is_empty

    def post(self, parts: Sequence[bytes | memoryview], fds: Sequence[Any] = ()) -> None:
        """Write a frame, or keep it until the kernel takes more; discard it if nobody reads."""
        if self.is_closed or self._cannot_write:
            return
        outbox = self._outbox
        if len(parts) == 1 and not fds and not self._is_armed and outbox.is_empty:
            with self._lock:
                if not (self._is_writing or self._is_frozen or self.is_closed):
                    self._is_writing = True
                    try:
                        if outbox.write_alone(parts):  # type: ignore[arg-type]  # `encode` joins small ones
                            return
                    except BaseException as exc:
                        self._cannot_go_on(exc)
                        return
                    finally:
                        self._is_writing = False
                    self.flush()
                    return
        outbox.append(parts, fds)
        # While the kernel is full, the reactor waits for it.
        if not self._is_armed:
            self.flush()

    def flush(self) -> None:
        """Write what the kernel takes now; the reactor writes the rest when there is room."""
        with self._lock:
            if self._is_writing or self._is_frozen or self.is_closed:
                return
            self._is_writing = True
            try:
                self._outbox.write()
                # Once more after that call, in which a signal handler may have posted.
                while self._is_armed or not self._outbox.is_empty:
                    if self._is_armed:
                        # In this order: if it is broken off between the two, it is done again.
                        self.attention.want_write(False)
                        self._is_armed = False
                    self._outbox.write()
            except BaseException as exc:
                self._cannot_go_on(exc)
            finally:
                self._is_writing = False
            if self._outbox.is_empty and (self._waiters or self._closes_when_written):
                self._written()

    def _cannot_go_on(self, exc: BaseException) -> None:
        """Take note of why writing stopped; in the handler of the exception only."""
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
            raise exc

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
        self._wake()
        if self._closes_when_written:
            self.close()

    def _wake(self) -> None:
        while True:
            try:
                _, wake = self._waiters.popitem()
            except KeyError:
                return
            wake()

    def wait_until_written(self, timeout: float | None) -> bool:
        """Wait until the kernel has everything, or nobody is left to read it."""
        arrived = threading.Event()
        self._waiters[arrived] = arrived.set
        try:
            self.flush()
            return self.is_written or arrived.wait(timeout)
        finally:
            self._waiters.pop(arrived, None)

    # -- reading

    def listen(self, port: MessageTarget) -> None:
        """Have the reactor read from now on, and keep the port for it."""
        with self._lock:
            if not self.is_closed:
                self.kept = port
                self.attention.want_read(True)

    def ready(self, events: int) -> None:
        """Write and read what is possible; on the reactor's thread."""
        if events & WRITE:
            self.flush()
        if events & ~WRITE:
            if events & READ or self.attention.is_reading:
                self.read(READS_PER_ROUND)
            else:
                # The other side hung up. Writing tells so; what can be read stays where it is.
                self.flush()

    def read(self, n_reads: int = 1) -> None:
        """Read what has arrived, without waiting."""
        with self._reading:
            for _ in range(n_reads):
                if not self._read_once(NOW):
                    return

    def wait(self, timeout: float | None) -> None:
        """
        Wait until there is something to read, and read it; seconds, ``None`` for ever.
        """
        if timeout is None:
            # The kernel waits and reads in one call.
            self._read_once(WAIT)
            return
        poller = select.poll()
        poller.register(self._fd, select.POLLIN)
        if poller.poll(math.ceil(max(timeout, 0.0) * 1000)):
            self.read()

    def _read_once(self, flags: tuple[int]) -> bool:
        """Read once; returns whether it is worth to read again."""
        if self.is_closed or self._is_frozen:
            return False
        try:
            self._intake.read(flags)
        except (BlockingIOError, InterruptedError) as error:
            if is_of_a_handler(error):
                raise
            return False
        except EOFError:
            self._end(None)
            return False
        except (MalformedFrame, MemoryError, OSError) as error:
            if is_of_a_handler(error):
                raise
            self._end(error)
            return False
        port = self._port()
        if port is not None:
            port._stir()
        return True

    def _end(self, error: Exception | None) -> None:
        if self.is_closed:
            return
        if error is not None:
            _log.warning("a port can be read no more, and is closed: %s", error)
        self.close()
        port = self._port()
        if port is not None:
            port._ended()

    # -- the end

    def finish(self) -> None:
        """Close when everything is written; read no more from here."""
        self._closes_when_written = True
        with self._lock:
            self.kept = None
            if self.is_closed:
                return
            # Wakes a thread that waits to read.
            self._socket.stop_reading()
            self.attention.want_read(False)
            self.flush()
            if self.is_written and not self._is_writing:
                self.close()

    def drop(self) -> None:
        """As `finish`, in a finalizer, which may run in the middle of anything: takes no lock."""
        if self.is_closed:
            return
        self._closes_when_written = True
        if self.attention.is_idle:
            # Nobody else has it.
            self.is_closed = True
            self._socket.close()
        else:
            self.attention.call_soon(self.finish)

    def close(self) -> None:
        """Close now; what was not written is lost. Closing twice is fine."""
        with self._lock:
            if self.is_closed:
                return
            self.is_closed = True
            self._outbox.clear()
            self.attention.forget()
            self._socket.close()
        self.kept = None
        self._wake()
        self.attention.release()

    def disown(self) -> None:
        """In a forked child: close this copy, whatever locks say."""
        self.is_closed = self.is_disowned = True
        self._outbox.clear()
        self._socket.close()
        self.kept = None
        self.attention.disown_after_fork()
        port = self._port()
        if port is not None:
            port._inbox.clear()
            port._has_ended = port._has_told_end = True

    # -- the move

    def freeze(self) -> None:
        """Neither read nor write until `thaw`."""
        with self._reading, self._lock:
            self._is_frozen = True
            self.attention.pause()

    def thaw(self) -> None:
        """Go on as before `freeze`."""
        with self._reading, self._lock:
            self._is_frozen = False
            if not self.is_closed:
                self.attention.go_on()
        self.flush()

    def residue(self) -> tuple[tuple[bytes, list[Any]], list[tuple[bytes, Sequence[Any]]]]:
        """Return what was read of a frame that is not whole, and what was not written."""
        return self._intake.residue(), self._outbox.unwritten()

    def adopt(
        self,
        unread: tuple[bytes, Sequence[Any]],
        unwritten: Sequence[tuple[bytes, Sequence[Any]]],
    ) -> None:
        """Take over what another link had as its ``residue``."""
        self._intake.adopt(*unread)
        for part, fds in unwritten:
            self._outbox.append([part], fds)
        if unwritten:
            self.flush()


_links: weakref.WeakSet[PortLink] = weakref.WeakSet()


def disown_all() -> None:
    """In a forked child: all ports are the parent's."""
    for link in tuple(_links):
        link.disown()


os.register_at_fork(after_in_child=disown_all)
