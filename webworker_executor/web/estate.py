"""
What a worker has posted to a port and nobody has read when the worker ends: its host writes it.

A process that ended at once would lose it, and one that waited for the reader might wait for ever:
who reads may be waiting for that very end. Not for the program itself, which has nobody above it.

The thing to know before a change: the worker's links are frozen and handed over when nothing of the
user runs in it any more, and before its link to the host is closed. What has begun to be written
goes on in the host where it stopped.
"""

from __future__ import annotations

import os
import socket
import weakref
from collections import deque
from typing import TYPE_CHECKING, Any

from webworker_executor.link.journal import Journal
from webworker_executor.link.rights import Descriptor
from webworker_executor.web import running
from webworker_executor.wire.frame import MAX_FDS, encode
from webworker_executor.wire.kinds import ESTATE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from webworker_executor.web.port_link import PortLink
    from webworker_executor.wire.frame import Frame, Parts

    # What is to be joined, and what goes with its first byte.
    Share = tuple[list[bytes], Sequence[Any]]

# Beside the socket itself.
MOST_FDS = MAX_FDS - 1

_log = Journal("webworker_executor.web")


def bequeath(link: PortLink) -> bool:
    """
    Give what a link has not written to the host, if there is one; the process is about to end.

    Returns:
        Whether the host has it now. If not, the link is as it was.
    """
    if not running.is_worker():
        return False
    link.freeze()
    try:
        if not link.is_closed:
            # All of them before the first leaves: what has left cannot be taken back.
            estates = [_laid_out(link, shares) for shares in _divided(link.residue()[1])]
            for parts, fds in estates:
                running.post_to_host(parts, fds)
            link.leave()
            return True
    except Exception as error:
        _log.debug("what was posted to a port cannot be left to the host: %s", error)
    link.thaw()
    return False


def _divided(unwritten: Sequence[tuple[bytes, Sequence[Any]]]) -> Iterator[list[Share]]:
    """Divide what is left into as much as a frame can take: bytes, with descriptors beside them."""
    shares: list[Share] = []
    n_fds = 0
    for data, fds_beside in unwritten:
        # What has as many as there can be goes in two: descriptors only must not come too late.
        cut = 1 if len(fds_beside) > MOST_FDS else 0
        for piece, fds in ((data[:cut], fds_beside[:cut]), (data[cut:], fds_beside[cut:])):
            if not piece:
                continue
            if n_fds + len(fds) > MOST_FDS:
                yield shares
                shares, n_fds = [], 0
            if fds or not shares:
                shares.append(([], fds))
            shares[-1][0].append(piece)
            n_fds += len(fds)
    yield shares


def _laid_out(link: PortLink, shares: list[Share]) -> tuple[Parts, list[Any]]:
    counts = bytes(len(fds) for _, fds in shares)
    buffers = [b"".join(pieces) for pieces, _ in shares]
    fds = [Descriptor.to_send(link.fileno()), *(fd for _, fds in shares for fd in fds)]
    # The payload says how many go with each buffer; the socket goes first.
    return encode(ESTATE, 0, counts, buffers, n_fds=len(fds)), fds


# By the number of the socket, which is the same for each copy of its descriptor.
_inherited: weakref.WeakValueDictionary[int, PortLink] = weakref.WeakValueDictionary()


def inherit(frame: Frame) -> None:
    """
    Write on where a worker that ended has stopped; on the reactor's thread.

    What had too many descriptors for one frame comes in several, one after the other.

    Nothing is unpickled here: whoever writes into a worker's link might hold this thread up.
    """
    from webworker_executor.web.port import MessagePort

    fds: deque[Any] = deque(frame.fds)
    try:
        end = fds.popleft()
        number = os.fstat(end.fileno()).st_ino
        # There is padding behind the counts.
        unwritten = [
            (data, [fds.popleft() for _ in range(count)])
            for count, data in zip(frame.payload, frame.buffers, strict=False)
        ]
        link = _inherited.get(number)
        # Once all that came before is written, it is closed here, and the copy takes its place.
        if link is not None and not link.is_closed:
            link.adopt((b"", []), unwritten)
            return
        near = socket.socket(fileno=end.fileno())
        end.take()
        port = MessagePort._of(near)
        link = port._link
        assert link is not None
        _inherited[number] = link
        # More of it may come, with a copy of its own.
        link.leave()
        link.adopt((b"", []), unwritten)
        port.close()
    except Exception as error:
        # Its text alone: whoever keeps the record is not to keep the descriptors.
        text = str(error)
        _log.warning("what a worker had posted to a port before it ended is lost: %s", text)
