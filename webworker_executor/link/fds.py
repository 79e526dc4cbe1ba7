"""
Descriptors: made, moved above the standard streams, sent, received, closed.

Every descriptor here is close-on-exec from birth. Who gets one from a function of this module
owns it.
"""

from __future__ import annotations

import array
import errno
import fcntl
import itertools
import os
import select
import socket
from functools import partial

from webworker_executor.link.end import own
from webworker_executor.link.rights import LOWEST, STANDARD_ERROR

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_FDS_PER_SEND = 250
# What poll(2) and epoll_wait(2) take at most is an int of milliseconds, some 24 days. Who waits
# longer looks again once a day.
LONGEST_WAIT = 86_400.0


def socket_pair() -> tuple[socket.socket, socket.socket]:
    """
    Open two connected stream sockets, close-on-exec, both at or above ``LOWEST``.

    Raises:
        OSError: No descriptor is left (``EMFILE``, ``ENFILE``); nothing stays open.

    Source: socketpair(2), fcntl(2) ``F_DUPFD_CLOEXEC``.
    """
    near, far = socket.socketpair()
    try:
        near = lifted_socket(near)
        far = lifted_socket(far)
    except BaseException:
        near.close()
        far.close()
        raise
    return near, far


def lifted_socket(end: socket.socket) -> socket.socket:
    """
    Move a stream socket of ours to a number of at least ``LOWEST``, if it has a lower one.

    Its number is never without an owner, who closes it where a signal handler raises.

    Raises:
        OSError: No descriptor is left; ``end`` is closed.
    """
    if end.fileno() >= LOWEST:
        return end
    with end:
        high = socket.socket.__new__(socket.socket)
        command = (fcntl.F_DUPFD_CLOEXEC,)
        try:
            own(high, map(fcntl.fcntl, (end.fileno(),), command, (LOWEST,)))
        except OSError as error:
            raise _told(error) from None
        return high


def lift(fd: int) -> int:
    """Duplicate a descriptor to a number of at least ``LOWEST``, close-on-exec."""
    try:
        return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, LOWEST)
    except OSError as error:
        raise _told(error) from None


def lift_all(fds: Iterable[int]) -> list[int]:
    """
    Duplicate descriptors as ``lift`` does; the copies are the caller's.

    Raises:
        OSError: No descriptor is left, or one is not open; no copy stays open.
    """
    copies: list[int] = []
    try:
        # One after the other: those that were made before an error are among them.
        copies.extend(map(lift, fds))
    except BaseException:
        for copy in copies:
            os.close(copy)
        raise
    return copies


def _told(error: OSError) -> OSError:
    if error.errno == errno.EINVAL:
        # What the kernel says where the limit of descriptors lies below LOWEST.
        return OSError(errno.EMFILE, os.strerror(errno.EMFILE))
    return error


def lifted(fd: int) -> int:
    """
    Move a descriptor of ours away from the standard streams, if it has one of their numbers.

    A program that has closed its standard streams would otherwise print into it.

    Raises:
        OSError: No descriptor is left; ``fd`` is closed.
    """
    if fd > STANDARD_ERROR:
        return fd
    try:
        return lift(fd)
    finally:
        os.close(fd)


# The descriptors that are this process's to close, by a key that none had before. In a forked copy
# they are not: there the numbers may be others' by now.
_alarms: dict[int, int] = {}
_keys = itertools.count()
os.register_at_fork(after_in_child=_alarms.clear)


class Alarm:
    """
    An eventfd that is closed when nobody refers to it any more.

    Attributes:
        fd: Its number, above those of the standard streams; it stays this object's.
        fileno: Returns it, in C. Whoever writes to the object and not to the number keeps it open
            until that is done: a function of ``os`` lets other threads run before it calls the
            kernel, and the number could be another's by then.

    Raises:
        OSError: No descriptor is left.
    """

    # A finalizer of C, which each has as a value: one of Python is a step in which a signal handler
    # may raise, and then both the descriptor and what the handler raised would be lost.
    __slots__ = ("__del__", "fd", "fileno")

    def __init__(self) -> None:
        key = next(_keys)
        # Taken out, and closed if it was there.
        own = filter(None, map(_alarms.pop, (key,), (None,)))
        self.__del__ = partial(any, map(os.close, own))
        # Opened and noted in one step of C.
        _alarms.update(zip((key,), map(os.eventfd, (0,), (os.EFD_CLOEXEC | os.EFD_NONBLOCK,))))  # noqa: B905 (one each)
        self.fd = _alarms[key]
        if self.fd <= STANDARD_ERROR:
            self.fd = _alarms[key] = lifted(self.fd)
        self.fileno = self.fd.__index__


def send_fds(end: socket.socket, data: bytes, fds: list[int]) -> None:
    """
    Send a few bytes and duplicates of descriptors with the first of them.

    Args:
        end: A connected ``AF_UNIX`` socket, with room for ``data``.
        data: At least one byte: rights travel on bytes.
        fds: At most ``MAX_FDS_PER_SEND``; they stay the caller's.

    Raises:
        OSError: The other side is gone, or there is no room.

    Source: unix(7), ``SCM_RIGHTS``.
    """
    end.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))])


def send_all_fds(end: socket.socket, fds: list[int]) -> None:
    """Send duplicates of any number of descriptors, a byte for as many as go at once."""
    for start in range(0, len(fds), MAX_FDS_PER_SEND):
        send_fds(end, b"\0", fds[start : start + MAX_FDS_PER_SEND])


def is_readable(fd: int, seconds: float = 0.0) -> bool:
    """Wait until a descriptor is readable, at most ``seconds``; and say whether it is."""
    # Not select(2), which takes no number above 1023.
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(seconds * 1000))


def pidfd_open(pid: int) -> int | None:
    """
    Open a descriptor that stands for a child, or ``None`` where the kernel refuses.

    Held by it, a child cannot be mistaken for a later process of the same number.

    Source: pidfd_open(2).
    """
    try:
        return lifted(os.pidfd_open(pid))
    except (OSError, AttributeError):
        return None
