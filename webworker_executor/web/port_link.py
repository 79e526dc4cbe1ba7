"""
The way of a port's messages: a stream socket that nobody reads until somebody wants to.

Not for events or values: those are the port's; nor for writing: see ``posting``. It differs from
the links of workers in three things. It is read in the caller's own thread until it is put on the
reactor, so that unread messages stay in the kernel and travel with the descriptor. It takes the
host's threads only when it needs them: to be listened to, or to write what the kernel did not take.
And it can be frozen and packed up, with what was read and not given out, and what was posted and
not written.

The thing to know before a change: a link does not keep its port, so that a port which nobody has
any more closes. Only one that was started is kept, by the host, through `kept`. And who waits reads
on the main thread too, where a signal handler may raise or read between any two calls: see
``intake``, which holds what must not be lost.
"""

from __future__ import annotations

import fcntl
import math
import os
import select
import termios
import threading
import weakref
from array import array
from typing import TYPE_CHECKING, Any

from webworker_executor.link.fds import LONGEST_WAIT
from webworker_executor.link.intake import NOW, WAIT, Intake
from webworker_executor.link.journal import Journal
from webworker_executor.link.reactor import READ, READS_PER_ROUND, WRITE
from webworker_executor.link.signals import is_of_a_handler
from webworker_executor.web.host import EXIT_SECONDS
from webworker_executor.web.posting import Posting
from webworker_executor.wire.decoder import MalformedFrame
from webworker_executor.wire.kinds import MESSAGE

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence

    from webworker_executor.web.messaging import MessageTarget

KINDS = frozenset({MESSAGE})
# What a slow handler has before it: beyond that, messages wait where the writer sees them, in the
# kernel and in its `buffered_amount`. Smaller, and each fill would cost a turn of the reactor.
HELD_NBYTES = 1 << 20

_log = Journal("webworker_executor.web")


class PortLink(Posting):
    """
    The link of one port.

    Owns the socket. Any thread may post; who reads is either the reactor, after ``listen``, or one
    thread at a time in ``wait`` and ``read``.

    Args:
        end: A connected stream socket; its descriptor is taken out of it.
        port: Gets the frames and the end; not kept.
    """

    def __init__(self, end: socket.socket, port: MessageTarget) -> None:
        super().__init__(end)
        self._fd = self._socket.fileno()
        self._port = weakref.ref(port)
        self.kept: MessageTarget | None = None
        self._inbox = port._inbox
        self._intake = Intake(self._socket, KINDS, port._inbox)
        # Held by who reads; taken before the other lock by who takes both.
        self._reading = threading.RLock()
        self._held_nbytes = 0
        self.is_full = False
        # One step of C: whoever gives out the last message stands where a signal handler may raise,
        # and nobody else would have the reactor read again.
        self.read_on_soon: Callable[[], object] = bool
        self.is_disowned = False
        self._goes_on_elsewhere = False
        # A thread that waits at the descriptor's number, which is not to become another's then.
        self._poller: select.poll | None = None
        self._is_over = False
        _links.add(self)

    def fileno(self) -> int:
        """Return the socket's number, -1 when it is closed."""
        return self._socket.fileno()

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
                self._read_round()
            else:
                # The other side hung up. Writing tells so; what can be read stays where it is.
                self.flush()
                self._hung_up()

    def watch(self) -> None:
        """Have the reactor tell the port when the other side is gone, and read nothing."""
        with self._lock:
            if not self.is_closed:
                self.attention.want_end(True)

    def _hung_up(self) -> None:
        with self._lock:
            if self.is_closed or not self.attention.is_awaiting_end:
                return
            self.attention.want_end(False)
            n_unread = array("i", [0])
            fcntl.ioctl(self._fd, termios.FIONREAD, n_unread)
        port = self._port()
        # What is left there comes first: whoever reads it finds the end behind it.
        if port is not None and not n_unread[0]:
            port._hung_up()

    def _read_round(self) -> None:
        """Read on the reactor's thread, while the port's handlers keep up."""
        with self._reading:
            for _ in range(READS_PER_ROUND):
                if not self._inbox:
                    self._held_nbytes = 0
                elif self._held_nbytes >= HELD_NBYTES:
                    self._pause()
                    return
                if not self._read_once(NOW):
                    return
                self._stir_port()

    def _stir_port(self) -> None:
        port = self._port()
        if port is not None:
            port._stir()

    def _pause(self) -> None:
        """Read no more until the port has given out what it has."""
        # Whoever is about to call a handler keeps the port meanwhile.
        with self._lock:
            if self.is_closed:
                return
            self.read_on_soon = self.attention.finalizer(self.read_on)
            self.is_full = True
            self.attention.want_read(False)
        if not self._inbox:
            # Given out a moment ago, by somebody who did not see it.
            self.read_on()

    def read_on(self) -> None:
        """Have the reactor read again: everything has been given out."""
        with self._lock:
            if self.is_full and not self.is_closed:
                self.is_full = False
                self.attention.want_read(True)

    def wait(self, timeout: float | None) -> None:
        """
        Wait until there is something to read, and read it once; whoever reads tells others of it.

        Args:
            timeout: Seconds to wait, but not more than a day; 0 reads what is there, ``None`` waits
                for ever.
        """
        if timeout is None:
            # The kernel waits and reads in one call.
            if not self._read_once(WAIT):
                self._set_blocking(True)
            return
        # Of what a signal handler has left undecoded the socket tells nobody.
        if timeout > 0.0 and not self._intake.is_behind:
            poller = select.poll()
            poller.register(self._fd, select.POLLIN)
            if not self._polled(poller, math.ceil(min(timeout, LONGEST_WAIT) * 1000)):
                return
        with self._reading:
            self._read_once(NOW)

    def end_wait(self) -> None:
        """
        Have a wait without time-out end that this very thread is in; from a signal handler.

        What the handler has read is not in the socket any more, where the wait would go on. It goes
        on by itself when the handler returns, and finds a socket then that does not block.
        """
        self._set_blocking(False)

    def _set_blocking(self, blocks: bool) -> None:
        with self._lock:
            if not self.is_closed:
                os.set_blocking(self._fd, blocks)

    def _polled(self, poller: select.poll, milliseconds: int) -> bool:
        # Stored before the look: either who closes sees it, and leaves the descriptor to this
        # thread, or this one sees that it is closed.
        self._poller = poller
        try:
            return not self.is_closed and bool(poller.poll(milliseconds))
        finally:
            self._poller = None
            if self.is_closed:
                self._socket.close()

    def _read_once(self, flags: tuple[int]) -> bool:
        """Read once; returns whether it is worth to read again. The port is told by the caller."""
        if self._is_frozen or self.is_closed:
            return False
        try:
            self._held_nbytes += self._intake.read(flags)
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
        return True

    def _end(self, error: Exception | None) -> None:
        if self.is_closed:
            return
        if error is not None:
            _log.warning("a port can be read no more, and is closed: %s", error)
        port = self._port()
        if port is not None:
            # First of all: whoever found the link closed and no end would look for ever, if a
            # signal handler raised between the two.
            port._has_ended = True
        try:
            self.close()
        except BaseException:
            # Of a signal handler. Nobody comes back here once the end is told.
            self.close()
            raise
        if port is not None:
            port._ended()

    # -- the end

    def finish(self) -> None:
        """Close when everything is written; read no more from here."""
        self._closes_when_written = True
        with self._lock:
            self.kept = None
            if self.is_closed:
                # Once more, where a signal handler has broken it off.
                self.close()
                return
            # Wakes a thread that waits to read.
            self._socket.stop_reading()
            self.is_full = False
            self.attention.want_read(False)
            self.flush()
            if self.is_written and not self._is_writing:
                self.close()

    def farewell(self) -> Callable[[], object]:
        """Return what does as `finish` when nobody has the port any more, as its ``__del__``."""
        return self.attention.farewell(self._socket.leaver())

    def stopper(self) -> Callable[[], object]:
        """Return what has a thread that waits here find the end, in one step of C."""
        return self._socket.stopper()

    def close(self) -> None:
        """Close now; what was not written is lost. Closing twice is fine."""
        # Each of these steps may be done again, until all have been done.
        if self._is_over:
            return
        with self._lock:
            self.is_closed = True
            self._outbox.clear()
            self.attention.forget()
            if not self._goes_on_elsewhere:
                self._socket.disconnect()
            if self._poller is None:
                self._socket.close()
            else:
                # Wakes who waits there, and closes it.
                self._socket.stop_reading()
        # Who keeps a port that has ended must not keep the descriptors of half a message.
        self._intake.forget()
        self.kept = None
        self._waiters.wake()
        self.attention.release()
        self._is_over = True

    def finish_at_exit(self) -> None:
        """Have what was posted written: by the host if this is a worker, else wait for a while."""
        from webworker_executor.web.estate import bequeath

        if self.is_written or bequeath(self) or self.wait_until_written(EXIT_SECONDS):
            return
        _log.warning(
            "%d bytes that were posted to a port and not read are lost", self.unsent_nbytes
        )

    def disown(self) -> None:
        """In a forked child: close this copy, whatever locks say."""
        # Who held them is not here, and whoever closes this copy takes them.
        self._lock, self._reading = threading.RLock(), threading.RLock()
        self.is_closed = self.is_disowned = self._is_over = True
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

    def leave(self) -> None:
        """Somebody else has a copy of the descriptor: closed here, the connection goes on there."""
        self._goes_on_elsewhere = True
        self.attention.no_farewell()

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
