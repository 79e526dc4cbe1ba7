"""
What a worker has posted to a port and nobody has read when the worker ends: its host writes it.

A process that ended at once would lose it, and one that waited for the reader might wait for ever:
who reads may be waiting for that very end. Not for the program itself, which has nobody above it.

The thing to know before a change: the worker's links are frozen and handed over when nothing of the
user runs in it any more, and before its link to the host is closed. What has begun to be written
goes on in the host where it stopped.
"""

from __future__ import annotations

import socket
from collections import deque
from typing import TYPE_CHECKING, Any

from webworker_executor.link.journal import Journal
from webworker_executor.link.rights import Descriptor
from webworker_executor.web import running
from webworker_executor.wire.frame import ESTATE, encode

if TYPE_CHECKING:
    from webworker_executor.web.port_link import PortLink
    from webworker_executor.wire.frame import Frame

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
    counts, runs, fds = list[int](), list[list[bytes]](), list[Any]()
    for data, fds_beside in link.residue()[1]:
        if fds_beside or not runs:
            counts.append(len(fds_beside))
            runs.append([])
        runs[-1].append(data)
        fds += fds_beside
    try:
        if not link.is_closed:
            buffers = [b"".join(run) for run in runs]
            # A count has room in a byte: no frame takes more descriptors.
            parts = encode(ESTATE, 0, bytes(counts), buffers, n_fds=len(fds) + 1)
            running.post_to_host(parts, [Descriptor.copy_of(link.fileno()), *fds])
            return True
    except Exception as error:
        _log.debug("what was posted to a port cannot be left to the host: %s", error)
    link.thaw()
    return False


def inherit(frame: Frame) -> None:
    """
    Write on where a worker that ended has stopped; on the reactor's thread.

    Nothing is unpickled here: whoever writes into a worker's link might hold this thread up.
    """
    from webworker_executor.web.port import MessagePort

    fds: deque[Any] = deque(frame.fds)
    try:
        end = fds.popleft()
        near = socket.socket(fileno=end.fileno())
        end.take()
        port = MessagePort._of(near)
        # There is padding behind the counts.
        unwritten = [
            (data, [fds.popleft() for _ in range(count)])
            for count, data in zip(frame.payload, frame.buffers, strict=False)
        ]
        port._link.adopt((b"", []), unwritten)  # type: ignore[union-attr]  # it has one
        port.close()
    except Exception as error:
        # Its text alone: whoever keeps the record is not to keep the descriptors.
        text = str(error)
        _log.warning("what a worker had posted to a port before it ended is lost: %s", text)
