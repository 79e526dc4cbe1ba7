"""
Channels: two ports that are connected to each other.

Not for what ports do: see ``port``.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

from webworker_executor.link.fds import socket_pair
from webworker_executor.web.port import MessagePort

if TYPE_CHECKING:
    from typing import Self


class MessageChannel:
    """
    Two ports that are connected to each other.

    Used in a ``with`` block, it closes both at the end.

    Attributes:
        port1: One end.
        port2: The other.

    Raises:
        OSError: No descriptor is left.

    Source: HTML, "Message channels"; socketpair(2).
    """

    def __init__(self) -> None:
        end1, end2 = socket_pair()
        self.port1 = MessagePort._of(end1)
        self.port2 = MessagePort._of(end2)
        self.port1._other_end = weakref.ref(self.port2)
        self.port2._other_end = weakref.ref(self.port1)

    def __repr__(self) -> str:
        return f"<MessageChannel {self.port1!r} {self.port2!r}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.port1.close()
        self.port2.close()
