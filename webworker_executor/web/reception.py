"""
Where processes of one program are called: a listener, watched by the reactor.

Not for addresses (``realm``), nor for what is said in a call. Who calls where no descriptor is left
waits with the kernel, and is heard a moment later.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from webworker_executor.link.journal import Journal
from webworker_executor.link.reactor import READ
from webworker_executor.web import realm

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from webworker_executor.link.reactor import Reactor

# When calls are looked for again that could not be taken.
AGAIN_SECONDS = 0.1

_log = Journal("webworker_executor.web")


class Reception:
    """
    Takes calls, on the reactor's thread.

    Args:
        address: Where.
        kind: Of the socket.
        take: Called with the end of each call, which it owns. It comes from our own user: abstract
            addresses have no permissions, and anybody may call.

    Raises:
        OSError: ``EADDRINUSE``, somebody else listens there; or no descriptor is left.
    """

    def __init__(
        self, address: str, kind: socket.SocketKind, take: Callable[[socket.socket], object]
    ) -> None:
        self._take = take
        self._listener = realm.listener(address, kind)
        self._reactor: Reactor | None = None
        # What is closed must not be watched. Reentrant: a signal handler may close it.
        self._lock = threading.RLock()

    @property
    def is_closed(self) -> bool:
        """Whether nobody can call any more."""
        return self.fileno() < 0

    def fileno(self) -> int:
        """Return the descriptor of the listener, -1 once it is closed."""
        return self._listener.fileno()

    def open(self, reactor: Reactor) -> None:
        """Take calls from now on."""
        self._reactor = reactor
        reactor.register(self.fileno(), READ, self._accept)

    def _accept(self, _events: int) -> None:
        try:
            end, _ = self._listener.accept()
        except BlockingIOError:
            return
        except OSError as error:
            # It still waits, and the reactor would turn round and round: with no descriptor left
            # that was 94 % of a processor.
            _log.debug("nobody who calls can be heard at the moment: %s", error)
            self._look_later()
            return
        if realm.is_ours(end):
            self._take(end)
        else:
            end.close()

    def _look_later(self) -> None:
        if self._reactor is not None and self._attend(0):
            self._reactor.call_at(time.monotonic() + AGAIN_SECONDS, lambda: self._attend(READ))

    def _attend(self, events: int) -> bool:
        """Have the reactor look for calls, or for nothing; returns False when it is too late."""
        with self._lock:
            if self._reactor is None or self.is_closed:
                return False
            self._reactor.modify(self.fileno(), events)
            return True

    def close(self) -> None:
        """Take no more calls; in any thread. Twice is fine."""
        with self._lock:
            if self._reactor is not None:
                self._reactor.unregister(self.fileno())
            self._listener.close()

    def disown(self) -> None:
        """In a forked child: this is the parent's."""
        # Who held it is not here.
        self._lock = threading.RLock()
        self._reactor = None
        self._listener.close()
