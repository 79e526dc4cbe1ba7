"""
Where processes of one program find each other: abstract sockets whose names only they can make.

Not for what is said there. A name begins with a digest of the program's secret, so two programs
never meet by mistake; it keeps nobody out, as everybody can read the names in ``/proc/net/unix``.
So both sides ask the kernel who the other is. Whoever dies is gone from there at once.
"""

from __future__ import annotations

import hashlib
import os
import socket
import struct
from typing import TYPE_CHECKING

from webworker_executor.link.fds import lifted_socket
from webworker_executor.link.journal import Journal

if TYPE_CHECKING:
    from typing import Final

# The kernel makes it less where it allows less.
BACKLOG: Final = 4096
_DURATION = struct.Struct("ll")
_CREDENTIALS = struct.Struct("3i")

_log = Journal("webworker_executor.web")


def prefix(purpose: str, name: str) -> str:
    """
    Return how the addresses of a name begin, in this program and in its workers.

    Args:
        purpose: What is said there; one word.
        name: Any text.
    """
    from multiprocessing import process

    # Made at random in the program's first process; workers have it from there.
    secret = bytes(process.current_process().authkey)
    realm = _digest(b"webworker-executor realm" + secret)
    topic = _digest(name.encode("utf-8", "surrogatepass"))
    return f"webworker-executor-{purpose}-{realm}-{topic}-"


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:24]


def listener(address: str, kind: int = socket.SOCK_STREAM) -> socket.socket:
    """
    Listen at an address, without blocking.

    Raises:
        OSError: ``EADDRINUSE``, somebody else does; or no descriptor is left.
    """
    listener = lifted_socket(socket.socket(socket.AF_UNIX, kind))
    try:
        listener.setblocking(False)
        listener.bind(b"\0" + address.encode())
        listener.listen(BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


def addresses(prefix: str) -> set[str]:
    """
    Return the addresses that begin so.

    Source: proc_net(5), ``/proc/net/unix``, where an abstract address begins with an ``@``.
    """
    mark = b"@" + prefix.encode()
    with open("/proc/net/unix", "rb") as file:
        table = file.read()
    if mark not in table:
        return set()
    return {line[line.index(mark) + 1 :].decode() for line in table.splitlines() if mark in line}


def connected(
    address: str, seconds: float = 0.0, kind: int = socket.SOCK_STREAM
) -> socket.socket | None:
    """
    Call an address; ``None`` if nobody is there any more, or only another user.

    Args:
        address: The address.
        seconds: How long to wait until the call is taken. By the kernel: it has no news of that for
            whoever waits with poll(2), as a time-out of Python's does.
        kind: As that of the listener.

    Returns:
        The socket, which blocks only if seconds were given.

    Raises:
        BlockingIOError: It takes no more calls at the moment.
        OSError: No descriptor is left.
    """
    end = lifted_socket(socket.socket(socket.AF_UNIX, kind))
    try:
        end.setblocking(seconds > 0.0)
        _limit_sending(end, seconds)
        end.connect(b"\0" + address.encode())
        if is_ours(end):
            _limit_sending(end, 0.0)
            return end
    except BlockingIOError:
        end.close()
        raise
    except OSError as error:
        # It has gone since.
        _log.debug("%s is not reached: %s", address, error)
    except BaseException:
        end.close()
        raise
    end.close()
    return None


def is_ours(end: socket.socket) -> bool:
    """
    Whether the other side of a connection runs as the same user.

    Source: unix(7), ``SO_PEERCRED``.
    """
    raw = end.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _, uid, _ = _CREDENTIALS.unpack(raw)
    return bool(uid == os.getuid())


def _limit_sending(end: socket.socket, seconds: float) -> None:
    """Have the kernel wait so long at most; 0 is for ever."""
    limit = _DURATION.pack(int(seconds), int(seconds % 1 * 1e6))
    end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
