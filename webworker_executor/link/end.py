"""
One end of a stream that an object of ours owns.

Not for what is read or written: see ``intake`` and ``outbox``.
"""

from __future__ import annotations

import _socket
import socket
from functools import partial
from itertools import compress, starmap
from operator import call

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class End(socket.socket):
    """
    A connected stream socket that is closed in silence when nobody has it any more.

    Of objects that refer to each other the socket may be collected before its port.

    Args:
        end: The socket; its descriptor is taken out of it.
    """

    __slots__ = ()

    def __init__(self, end: socket.socket) -> None:
        own(self, starmap(end.detach, ((),)))
        # Reading in the thread of who waits may block; all else says that it must not.
        self.setblocking(True)

    # Of C: in one of Python a signal handler may raise, which nobody would hear of.
    __del__ = _socket.socket.close

    def stop_reading(self) -> None:
        """Wake whoever waits to read, with an end of file; what was written still arrives."""
        try:
            self.shutdown(socket.SHUT_RD)
        except OSError:
            # The other side has gone already.
            pass

    def disconnect(self) -> None:
        """
        End the connection for both sides, whoever has a copy of the descriptor.

        What was written still arrives. To close it is not enough: a process that was forked at the
        wrong moment may have it open as well, and the other side would hear of no end.

        Source: shutdown(2).
        """
        try:
            self.shutdown(socket.SHUT_RDWR)
        except OSError:
            # Closed already.
            pass

    def stopper(self) -> Callable[[], object]:
        """Return what does as `stop_reading`, once, and is a single step of C: for finalizers."""
        return self._shutting(socket.SHUT_RD)

    def leaver(self) -> Callable[[], object]:
        """Return what does as `disconnect` and closes, once, in a single step of C."""
        return partial(any, map(call, (self._shutting(socket.SHUT_RDWR), self.__del__)))

    def _shutting(self, how: int) -> Callable[[], object]:
        is_open = map((-1).__lt__, starmap(self.fileno, ((),)))
        return partial(any, map(self.shutdown, compress((how,), is_open)))


def own(owner: socket.socket, numbers: Iterable[int]) -> None:
    """
    Make a stream socket that was not initialised the owner of a descriptor.

    In one step of C, whatever makes the number: between two of them a signal handler may raise, and
    nobody would close it.

    Args:
        owner: The socket.
        numbers: Gives the number.
    """
    # What the class of Python adds to that of C. First: what comes after may drop the owner.
    owner._io_refs, owner._closed = 0, False  # type: ignore[attr-defined]  # private to `socket`
    family, kind = (socket.AF_UNIX,), (socket.SOCK_STREAM,)
    any(map(_socket.socket.__init__, (owner,), family, kind, (0,), numbers))
