"""
One end of a stream that an object of ours owns.

Not for what is read or written: see ``intake`` and ``outbox``.
"""

from __future__ import annotations

import socket


class End(socket.socket):
    """
    A connected stream socket that is closed in silence when nobody has it any more.

    Of objects that refer to each other the socket may be collected before its port.

    Args:
        end: The socket; its descriptor is taken out of it.
    """

    __slots__ = ()

    def __init__(self, end: socket.socket) -> None:
        super().__init__(socket.AF_UNIX, socket.SOCK_STREAM, 0, fileno=end.detach())
        # Reading in the thread of who waits may block; all else says that it must not.
        self.setblocking(True)

    def __del__(self) -> None:
        self.close()

    def stop_reading(self) -> None:
        """Wake whoever waits to read, with an end of file; what was written still arrives."""
        try:
            self.shutdown(socket.SHUT_RD)
        except OSError:
            # The other side has gone already.
            pass
