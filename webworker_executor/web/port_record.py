"""
What a port is made of while it moves: its descriptor, what was read, and what was not written.

Not for the states of a port, nor for giving it up: see ``port``. Everything here is plain tuples,
lists, bytes and slots, because it becomes a part of a message's pickle.
"""

from __future__ import annotations

import contextlib
from itertools import repeat
from operator import call
from typing import TYPE_CHECKING, Any

from webworker_executor.link.rights import Descriptor
from webworker_executor.wire.frame import Frame
from webworker_executor.wire.kinds import MESSAGE
from webworker_executor.wire.transfer import taken

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Sequence

    from webworker_executor.web.port_link import PortLink
    from webworker_executor.wire.transfer import Parcel

    # Ident, payload, buffers and descriptors of a message that was read and not given out.
    Unread = tuple[int, bytes, Sequence[bytes], Sequence[int]]
    # Bytes and their descriptors.
    Part = tuple[bytes, Sequence[int]]


def freeze(
    link: PortLink | None, inbox: deque[Frame], frames: list[Frame], parcel: Parcel
) -> tuple[int, list[Unread], Part, list[Part]]:
    """
    Stop a link, and put what it is and has into a parcel.

    Args:
        link: The link, ``None`` if there is none any more.
        inbox: What was read; empty afterwards.
        frames: Gets what was in the inbox.
        parcel: Gets duplicates of the descriptors.

    Returns:
        The slot of the socket, -1 if it has ended; and what ``thaw`` takes.

    Raises:
        ValueError: There are more descriptors than one message takes.
        OSError: No descriptor is left.
    """
    begun: tuple[bytes, Sequence[Any]] = (b"", [])
    rest: list[tuple[bytes, Sequence[Any]]] = []
    if link is not None:
        link.freeze()
        begun, rest = link.residue()
    # Each is taken by one step of C, so that a handler's thread has it or the parcel.
    with contextlib.suppress(IndexError):
        frames.extend(map(call, repeat(inbox.popleft)))

    def slots(fds: Sequence[Any]) -> list[int]:
        return [parcel.add(Descriptor.to_send(fd.fileno())) for fd in fds]

    unread: list[Unread] = [
        (frame.ident, bytes(frame.payload), [*map(bytes, frame.buffers)], slots(frame.fds))
        for frame in frames
    ]
    if link is None or link.is_closed:
        return -1, unread, (b"", []), []
    unwritten: list[Part] = [(data, slots(fds)) for data, fds in rest]
    return slots([link])[0], unread, (begun[0], slots(begun[1])), unwritten


def thaw(
    link: PortLink | None,
    inbox: deque[Frame],
    unread: Sequence[Unread],
    begun: Part,
    unwritten: Sequence[Part],
) -> None:
    """
    Give a new link what ``freeze`` has put into the message that is being unpacked.

    Args:
        link: The link of the socket that came along, ``None`` if none did.
        inbox: Gets what was read.
        unread: Messages.
        begun: What was read of one that is not whole.
        unwritten: What was posted and is to be written from here.
    """
    for ident, payload, buffers, slots in unread:
        # Into memory of its own: what is unpacked shall be writable, as if it had come directly.
        views = [memoryview(bytearray(buffer)) for buffer in buffers]
        inbox.append(Frame(MESSAGE, ident, payload, views, [*map(taken, slots)]))
    if link is not None:
        data, slots = begun
        rest = [(part, [*map(taken, fds)]) for part, fds in unwritten]
        link.adopt((data, [*map(taken, slots)]), rest)
