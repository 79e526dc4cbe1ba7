"""
One of each kind of what can be transferred, and what shows where it is.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
from typing import TYPE_CHECKING, Any

import pytest

from tests.link.interrupts import ctrl_c, interrupted_at
from webworker_executor import FileDescriptor, MessageChannel, PortClosedError, current_task, scope
from webworker_executor.link.fds import is_readable

if TYPE_CHECKING:
    from collections.abc import Callable

    from webworker_executor import MessageEvent

LIMIT = 20.0


class Belongings:
    """
    A port with messages in it, a socket, a descriptor, memory; and the other sides of all.

    Attributes:
        things: What is to be transferred.
    """

    def __init__(self) -> None:
        self.channel = MessageChannel()
        self._port = self.channel.port2
        for number in range(3):
            self.channel.port1.post_message(number)
        # The others have been read with it, and wait in the port.
        assert 0 == self._port.receive(LIMIT).data
        self._near, self._far = socket.socketpair()
        self._near.settimeout(LIMIT)
        self._reading, writing = os.pipe()
        self._descriptor = FileDescriptor(writing)
        self._data = bytearray(b"data")
        self._memory = bytearray(b"memory")
        self._view = memoryview(self._memory)
        self.things = [self._port, self._far, self._descriptor, self._data, self._view]

    def are_here(self) -> bool:
        """Whether whoever made them still has them: all, or none."""
        found = {
            not (self._port.detached or self._port.closed),
            self._far.fileno() >= 0,
            "taken" not in repr(self._descriptor),
            bool(self._data),
            "released" not in repr(self._view),
        }
        assert 1 == len(found), "some are here, and some are not"
        return found.pop()

    def post(self, over: Any) -> None:
        """Transfer them."""
        over.post_message(self.things[1:], self.things)

    def check(self) -> None:
        """See that somebody has used each of them, and has let go of all; and let go, too."""
        with self.channel.port1 as port:
            assert [1, 2, b"data", b"memory"] == port.receive(LIMIT).data
            with pytest.raises(PortClosedError):
                port.receive(LIMIT)
        with self._near as near:
            assert b"x" == near.recv(2)
            assert b"" == near.recv(1)
        for expected in (b"y", b""):
            assert is_readable(self._reading, LIMIT)
            assert expected == os.read(self._reading, 2)
        os.close(self._reading)
        # Nothing is laid over it.
        self._memory.clear()


def use(event: MessageEvent) -> None:
    """Use each of those that came, and let go of all."""
    (port,) = event.ports
    use_all(port, *event.data)


def use_all(port: Any, far: Any, descriptor: Any, data: Any, view: Any) -> None:
    """Use each, and let go of all."""
    with port, far, descriptor:
        numbers = [port.receive(LIMIT).data for _ in range(2)]
        port.post_message([*numbers, bytes(data), bytes(view)])
        far.sendall(b"x")
        os.write(descriptor.fileno(), b"y")


def break_off_anywhere(over: Any, take: Callable[[], object] = bool) -> tuple[int, int]:
    """
    Have a signal handler raise at one place of a transfer after the other.

    Args:
        over: What is posted to. Where nothing has gone it is posted again, so that it is there once
            in any case.
        take: Has it used where it comes, if nobody else has.

    Returns:
        How often all was kept, and how often all had gone.

    Raises:
        AssertionError: Something was neither kept nor has gone; or both.
    """
    n_kept, is_through = 0, False
    for step in itertools.count():
        belongings = Belongings()
        with contextlib.suppress(KeyboardInterrupt), interrupted_at(step, ctrl_c):
            belongings.post(over)
            is_through = True
        if belongings.are_here():
            n_kept += 1
            belongings.post(over)
        take()
        belongings.check()
        if is_through:
            break
    return n_kept, step + 1 - n_kept


def transfer_once(over: Any) -> None:
    """Do it once, so that what is imported for it has been."""
    belongings = Belongings()
    belongings.post(over)
    belongings.check()


def take_all() -> None:
    """Use what comes to this worker; tell how many descriptors it has first, and when asked."""

    def take(event: MessageEvent) -> None:
        if event.ports:
            use(event)
        else:
            scope.post_message(n_open())

    scope.onmessage = take
    scope.post_message(n_open())


def take_for_task() -> None:
    """Say so when this task begins, and use what comes, until something else does."""
    task = current_task()
    task.post_message("begun")
    while True:
        event = task.receive(LIMIT)
        if not event.ports:
            return
        use(event)


def post_from_task() -> list[tuple[int, int]]:
    """Break off transfers from this task, and from its worker, at any place."""
    counts = []
    for over in (current_task(), scope):
        transfer_once(over)
        before = n_open()
        counts.append(break_off_anywhere(over))
        assert before == n_open()
        over.post_message("done")
    return counts


def n_open() -> int:
    """Return how many descriptors this process has."""
    return len(os.listdir("/proc/self/fd"))
