"""
Who grants a named lock: the process that found nobody doing so when it asked.

Not for who asks: see ``locks``. The thing to know before a change: with a grant goes a copy of the
listener. While one who has the lock lives, the address is taken, and nobody can become the next
broker, who would know nothing of that one. So a broker may die at any line: those who wait hear the
end of their connection and ask again, and wait with the kernel until the last holder has let go.
"""

from __future__ import annotations

import itertools
import socket
import time
from functools import partial
from typing import TYPE_CHECKING

from webworker_executor.link.fds import send_fds
from webworker_executor.link.journal import Journal
from webworker_executor.link.reactor import READ
from webworker_executor.rules.locking import LockTable
from webworker_executor.web.host import host
from webworker_executor.web.reception import Reception

if TYPE_CHECKING:
    from typing import Final

    from webworker_executor.rules.locking import Verdict

KIND: Final = socket.SOCK_SEQPACKET
# What is asked for.
ALONE: Final = b"exclusive"
SHARED: Final = b"shared"
ALONE_NOW: Final = b"exclusive, if available"
SHARED_NOW: Final = b"shared, if available"
STEAL: Final = b"steal"
# How long a broker without callers stays: to begin and to end two threads takes longer than most
# hold a lock.
LINGER_SECONDS = 0.2

_log = Journal("webworker_executor.web")


class LockBroker:
    """
    Grants the lock of one address, on the reactor's thread.

    Args:
        address: Where those call who want it.

    Raises:
        OSError: ``EADDRINUSE``, there is a broker; or no descriptor is left.
        RuntimeError: The interpreter is exiting, or no thread can be started.
    """

    def __init__(self, address: str) -> None:
        self._table = LockTable()
        self._callers: dict[int, socket.socket] = {}
        self._idents = itertools.count()
        # A forked copy of the process closes it: see `disown_after_fork`.
        self._reception = Reception(address, KIND, self._take)
        try:
            self._reactor, _ = host.acquire(self)
            self._reception.open(self._reactor)
            # Whoever has made it may never call.
            self._reactor.call_soon(self._rest)
        except BaseException:
            self._reception.close()
            host.release(self)
            raise

    def _take(self, end: socket.socket) -> None:
        end.setblocking(False)
        ident = next(self._idents)
        self._callers[ident] = end
        self._reactor.register(end.fileno(), READ, partial(self._hear, ident))

    def _hear(self, ident: int, _events: int) -> None:
        try:
            asked = self._callers[ident].recv(64)
        except BlockingIOError:
            return
        except OSError:
            asked = b""
        table = self._table
        if asked in {ALONE, SHARED}:
            self._tell(table.ask(ident, is_shared=asked == SHARED))
        elif asked in {ALONE_NOW, SHARED_NOW}:
            self._tell(table.ask(ident, is_shared=asked == SHARED_NOW, is_patient=False))
        elif asked == STEAL:
            self._tell(table.steal(ident))
        else:
            # It has let go, or died; or it says what nobody says.
            self._drop(ident)

    def _tell(self, verdicts: list[tuple[int, Verdict]]) -> None:
        for ident, verdict in verdicts:
            fds = [self._reception.fileno()] if verdict is verdict.GRANTED else []
            try:
                send_fds(self._callers[ident], verdict.value, fds)
            except OSError as error:
                # Its end is heard next. Where the kernel refuses the copy, it is to ask again.
                _log.debug("who asked for a lock does not hear of it: %s", error)
                self._callers[ident].shutdown(socket.SHUT_RDWR)

    def _drop(self, ident: int) -> None:
        end = self._callers.pop(ident)
        self._reactor.unregister(end.fileno())
        end.close()
        self._tell(self._table.leave(ident))
        self._rest()

    def _rest(self) -> None:
        if not self._callers:
            self._reactor.call_at(time.monotonic() + LINGER_SECONDS, self._end_if_idle)

    def _end_if_idle(self) -> None:
        # One who calls just now is hung up on by the kernel, and asks again.
        if not self._callers:
            self._end()

    def _end(self) -> None:
        if self._reception.is_closed:
            return
        self._reception.close()
        for end in self._callers.values():
            self._reactor.unregister(end.fileno())
            end.close()
        self._callers.clear()
        host.release(self)

    # -- the host's

    def finish_at_exit(self, *, interrupted: bool) -> None:
        """Have others grant it; the interpreter is about to exit."""
        self._reactor.call_soon(self._end)

    def disown_after_fork(self) -> None:
        """In a forked child: this is the parent's, and no copy may keep anything open."""
        self._reception.disown()
        for end in tuple(self._callers.values()):
            end.close()
        self._callers.clear()
