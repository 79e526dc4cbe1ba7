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
from typing import TYPE_CHECKING, Any

from webworker_executor.link.journal import Journal
from webworker_executor.link.rights import Descriptor
from webworker_executor.web import running
from webworker_executor.wire import codec
from webworker_executor.wire.frame import ESTATE, MAX_FDS, encode

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
    _, unwritten = link.residue()
    fds: list[Any] = [fd for _, part_fds in unwritten for fd in part_fds]
    try:
        if not link.is_closed and len(fds) < MAX_FDS:
            payload = codec.pack([(data, len(part_fds)) for data, part_fds in unwritten]).payload
            end = Descriptor.copy_of(link.fileno())
            running.post_to_host(encode(ESTATE, 0, payload, n_fds=len(fds) + 1), [end, *fds])
            return True
    except Exception as error:
        _log.debug("what was posted to a port cannot be left to the host: %s", error)
    link.thaw()
    return False


def inherit(frame: Frame) -> None:
    """Write on where a worker that ended has stopped; on the reactor's thread."""
    from webworker_executor.web.port import MessagePort

    fds: list[Any] = list(frame.fds)
    try:
        port = MessagePort._of(socket.socket(fileno=fds.pop(0).take()))
        unwritten = []
        for data, n_fds in codec.unpack(frame.payload, frame.buffers):  # type: ignore[attr-defined]  # the worker packed a list
            unwritten.append((data, [fds.pop(0) for _ in range(n_fds)]))
        port._link.adopt((b"", []), unwritten)  # type: ignore[union-attr]  # it has one
        port.close()
    except (OSError, RuntimeError) as error:
        _log.warning("what a worker had posted to a port before it ended is lost: %s", error)
